"""The examples of docs/reference-managers/open-connections.md: gather leaves the siblings running when one fails."""

from __future__ import annotations

import asyncio

import pytest

from pytest_leakguard.reference import AsyncResource, open_connections


async def leaky_open(*opens):
    return await asyncio.gather(*(open_one() for open_one in opens))  # one fails: the others open on


async def fixed_open(close, *opens):
    async with open_connections([AsyncResource(open_one, close) for open_one in opens]) as connections:
        return len(connections)


async def one_fails(open_both):
    log = []

    async def slow():
        await asyncio.sleep(0.01)
        log.append("opened for nobody")

    async def bad():
        raise ConnectionError

    async def close(_):
        log.append("closed")

    with pytest.raises(ConnectionError):
        await open_both(close, slow, bad)
    await asyncio.sleep(0.03)
    return log


def test_leaky():
    assert asyncio.run(one_fails(lambda close, *opens: leaky_open(*opens))) == ["opened for nobody"]


def test_fixed():
    assert asyncio.run(one_fails(fixed_open)) == []
