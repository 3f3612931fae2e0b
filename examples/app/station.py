"""Measures in the background, with asyncio."""

from __future__ import annotations

import asyncio
import contextlib


class Station:
    """Takes a measurement every so often until it is closed."""

    def __init__(self) -> None:
        self.measurements = 0
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Begin; needs a running event loop."""
        self._task = asyncio.create_task(self._measure(), name="measure")

    async def close(self) -> None:
        """End the measuring and wait until it has ended."""
        if self._task is not None:
            self._task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._task

    async def _measure(self) -> None:
        while True:
            self.measurements += 1
            await asyncio.sleep(60)
