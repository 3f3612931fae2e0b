"""task: asyncio work that nobody ends, or that nobody awaits."""

from __future__ import annotations

import asyncio

import pytest
from app.station import Station


def test_leaky_station() -> None:
    """`asyncio.run` cancels what is left, in the middle of whatever it was doing."""

    async def measure() -> int:
        station = Station()
        station.start()
        await asyncio.sleep(0)
        return station.measurements

    assert asyncio.run(measure()) == 1


def test_clean_station() -> None:
    async def measure() -> int:
        station = Station()
        station.start()
        try:
            await asyncio.sleep(0)
            return station.measurements
        finally:
            await station.close()

    assert asyncio.run(measure()) == 1


@pytest.mark.filterwarnings("ignore:coroutine .* was never awaited")
def test_leaky_close() -> None:
    """The `await` is missing; Python's own warning for it is ignored."""

    async def measure() -> None:
        station = Station()
        station.close()

    asyncio.run(measure())


def test_clean_close() -> None:
    async def measure() -> None:
        station = Station()
        await station.close()

    asyncio.run(measure())
