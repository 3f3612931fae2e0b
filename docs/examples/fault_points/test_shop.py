"""Both payments work; one leaks when something fails on the way."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import shop


@pytest.mark.no_leaks(faults="custom")
def test_pay(tmp_path: Path) -> None:
    assert shop.pay(str(tmp_path / "journal"), shop.Till()) == 350


@pytest.mark.no_leaks(faults="custom")
def test_pay_carefully(tmp_path: Path) -> None:
    assert shop.pay_carefully(str(tmp_path / "journal"), shop.Till()) == 350


def test_by_hand(leak_faults: Any, tmp_path: Path) -> None:
    with leak_faults.fail("custom:journal.sync"), pytest.raises(OSError, match="injected"):
        shop.pay_carefully(str(tmp_path / "journal"), shop.Till())
