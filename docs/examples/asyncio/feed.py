"""A feed of readings, kept up to date by a task in the background."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator


class Feed:
    """Polls in the background from `start` to `aclose`."""

    def __init__(self) -> None:
        self.readings: list[float] = []
        self.changed = asyncio.Event()

    def start(self) -> None:
        self.task = asyncio.create_task(self.poll(), name="feed")

    async def poll(self) -> None:
        while True:
            self.readings.append(3.5)
            self.changed.set()
            await asyncio.sleep(60)

    async def aclose(self) -> None:
        """When this returns the task is over."""
        self.task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await self.task


@contextlib.asynccontextmanager
async def open_feed() -> AsyncIterator[Feed]:
    """A running feed; it is over at the end of the block."""
    feed = Feed()
    feed.start()
    try:
        yield feed
    finally:
        await feed.aclose()
