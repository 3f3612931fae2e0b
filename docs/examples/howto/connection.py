from __future__ import annotations

import asyncio
import os

OPEN: set[int] = set()  # what a test can look at


class Connection:
    """A connection with a greeting to read before it can be used."""

    async def __aenter__(self):
        self.fd = os.open(os.devnull, os.O_RDONLY)
        OPEN.add(self.fd)
        await self.greet()
        return self

    async def __aexit__(self, *error: object) -> None:
        self.close()

    async def greet(self) -> None:
        await asyncio.sleep(0.001)

    def close(self) -> None:
        os.close(self.fd)
        OPEN.remove(self.fd)


class SafeConnection(Connection):
    """The same, closed when the greeting does not come."""

    async def __aenter__(self):
        self.fd = os.open(os.devnull, os.O_RDONLY)
        OPEN.add(self.fd)
        try:
            await self.greet()
        except BaseException:
            self.close()
            raise
        return self
