"""Two tests that leave something on the loop, and their repaired twins."""

from __future__ import annotations

import asyncio

from feed import Feed, open_feed


def test_leaky_feed() -> None:
    async def main() -> None:
        feed = Feed()
        feed.start()
        await feed.changed.wait()
        assert feed.readings == [3.5]

    asyncio.run(main())


def test_feed() -> None:
    async def main() -> None:
        async with open_feed() as feed:
            await feed.changed.wait()
            assert feed.readings == [3.5]

    asyncio.run(main())


def test_leaky_notice() -> None:
    async def main() -> None:
        async with open_feed() as feed:
            feed.changed.wait()

    asyncio.run(main())


def test_notice() -> None:
    async def main() -> None:
        async with open_feed() as feed:
            await asyncio.wait_for(feed.changed.wait(), timeout=60)

    asyncio.run(main())
