"""Run with `pytest --leakguard`: the leaky test is LEAKED, the others are not."""

from __future__ import annotations

from typing import Any

import handles
import pytest

from pytest_leakguard import LeakError


def test_leaky_handle() -> None:
    slot = handles.open_handle("lantern")
    assert slot in handles.table()


def test_clean_handle() -> None:
    slot = handles.open_handle("lantern")
    try:
        assert slot in handles.table()
    finally:
        handles.close_handle(slot)


def test_clean_reuse() -> None:
    """One closed, one opened, the same slot: the probe tells them apart."""
    first = handles.open_handle("first")
    handles.close_handle(first)
    second = handles.open_handle("second")
    assert second == first
    handles.close_handle(second)


def test_allowed_handle() -> None:
    """Let through by the plugin's own allow rule."""
    handles.open_handle("system-clock")


def test_clean_block(leak_check: Any) -> None:
    """The fixture knows the new kind as well."""
    slots: list[int] = []
    with pytest.raises(LeakError, match="lantern"), leak_check("handle", grace=0):
        slots.append(handles.open_handle("lantern"))
    handles.close_handle(slots.pop())
