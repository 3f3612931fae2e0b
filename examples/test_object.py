"""object: something that must be gone when the test is over, given to `leak_check.track`."""

from __future__ import annotations

from typing import Any

from app import alarms


def test_leaky_dashboard(leak_check: Any) -> None:
    """The list of listeners keeps the bound method, and with it the dashboard."""
    dashboard = leak_check.track(alarms.Dashboard())
    alarms.subscribe(dashboard.show)
    alarms.ring("frost")
    assert dashboard.shown == ["frost"]


def test_clean_dashboard(leak_check: Any) -> None:
    dashboard = leak_check.track(alarms.Dashboard())
    with alarms.subscribed(dashboard.show):
        alarms.ring("frost")
    assert dashboard.shown == ["frost"]
