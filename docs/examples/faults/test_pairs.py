"""Both pass, and leak nothing. What happens when the second open fails?"""

from __future__ import annotations

from typing import Any

import pairs
import pytest

from pytest_leakguard import is_injected


def test_pair() -> None:
    assert pairs.hasty(__file__) > 0


def test_careful_pair() -> None:
    assert pairs.careful(__file__) > 0


def test_second_open_fails(leak_faults: Any) -> None:
    with leak_faults.fail("open", nth=2) as fault, pytest.raises(OSError, match="injected") as caught:
        pairs.careful(__file__)
    assert fault.injected
    assert is_injected(caught.value)


def test_sweep(leak_faults: Any) -> None:
    result = leak_faults.sweep(lambda: pairs.careful(__file__), families="acquire,call")
    assert [point.what for point in result.points if point.family == "acquire"] == ["open", "open"]
