"""The examples of docs/reference-managers/async-resource.md: the release is itself cancelled half-way."""

from __future__ import annotations

import asyncio

import pytest

from pytest_leakguard.reference import AsyncResource


async def leaky_use(acquire, release):
    resource = await acquire()
    try:
        await asyncio.sleep(10)
    finally:
        await release(resource)  # a second cancellation stops it where it is


async def fixed_use(acquire, release):
    async with AsyncResource(acquire, release):
        await asyncio.sleep(10)


async def cancelled_twice(use):
    log = []

    async def acquire():
        log.append("acquired")

    async def release(_):
        log.append("releasing")
        await asyncio.sleep(0.01)
        log.append("released")

    task = asyncio.ensure_future(use(acquire, release))
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    while "releasing" not in log:
        if "acquired" in log:
            task.cancel()
        await asyncio.sleep(0)
    task.cancel()
    await asyncio.wait({task})
    return log[-1]


@pytest.mark.parametrize(("use", "last"), [(leaky_use, "releasing"), (fixed_use, "released")])
def test_a_release_under_cancellation(use, last):
    assert asyncio.run(cancelled_twice(use)) == last
