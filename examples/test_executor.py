"""thread: an executor that nobody shuts down is one finding, at the line that made it, not one for each worker."""

from __future__ import annotations

from app import forecast


def test_leaky_forecast() -> None:
    assert forecast.warmest(forecast.shared_executor(), [[3.5, 4.0], [2.0]]) == 4.0


def test_clean_forecast() -> None:
    with forecast.executor() as workers:
        assert forecast.warmest(workers, [[3.5, 4.0], [2.0]]) == 4.0
