"""lock: a lock that is still held when the test is over, given to `track_lock`."""

from __future__ import annotations

import contextlib
import threading

from app import gauge

from pytest_leakguard import track_lock


def test_leaky_rain() -> None:
    counter = gauge.RainGauge(track_lock(threading.Lock(), wrap=True))
    with contextlib.suppress(ValueError):
        counter.add_carelessly(-1.0)
    assert counter.total == 0.0


def test_clean_rain() -> None:
    counter = gauge.RainGauge(track_lock(threading.Lock(), wrap=True))
    with contextlib.suppress(ValueError):
        counter.add(-1.0)
    assert counter.total == 0.0
