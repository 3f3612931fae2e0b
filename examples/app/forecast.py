"""Forecasts, computed beside the station's own work."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor

_executors: list[ThreadPoolExecutor] = []


def shared_executor() -> ThreadPoolExecutor:
    """Workers for all forecasts. Careless: whoever makes them has to shut them down, and nobody does."""
    if not _executors:
        _executors.append(ThreadPoolExecutor(2))
    return _executors[0]


@contextlib.contextmanager
def executor() -> Iterator[ThreadPoolExecutor]:
    """Workers for the length of the block."""
    with ThreadPoolExecutor(2) as workers:
        yield workers


def warmest(workers: ThreadPoolExecutor, forecasts: Iterable[Iterable[float]]) -> float:
    """The highest temperature of all forecasts."""
    return max(workers.map(max, forecasts))
