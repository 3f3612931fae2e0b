"""Runs the station with settings of another place, which are settings of the whole process."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager


def move_carelessly(place: str) -> None:
    """Careless: whatever runs next is in that place too."""
    os.environ["STATION_PLACE"] = place


@contextmanager
def moved(place: str) -> Iterator[None]:
    before = os.environ.get("STATION_PLACE")
    os.environ["STATION_PLACE"] = place
    try:
        yield
    finally:
        if before is None:
            del os.environ["STATION_PLACE"]
        else:
            os.environ["STATION_PLACE"] = before


def place() -> str:
    return os.environ.get("STATION_PLACE", "roof")
