"""The examples of docs/reference-managers/async-database-pool.md: a place lost to a cancelled waiter."""

from __future__ import annotations

import asyncio

import pytest

from pytest_leakguard.reference import AsyncDatabasePool


class LeakyPool:
    def __init__(self, connect):
        self.connect = connect
        self.waiting = []

    async def acquire(self):
        turn = asyncio.get_running_loop().create_future()
        self.waiting.append(turn)
        await asyncio.wait({turn})  # cancelled here, its turn is still in the list
        return await self.connect()

    def free(self):
        self.waiting.pop(0).set_result(None)  # maybe for nobody


async def fixed_query(pool, sql):
    async with pool.connection() as connection:
        return await connection.execute(sql)


class Connection:
    async def execute(self, sql):
        await asyncio.sleep(0)
        return sql

    async def close(self):
        await asyncio.sleep(0)


async def connect():
    return Connection()


async def served_after_a_cancelled_one(wait, free):
    first, second = asyncio.ensure_future(wait()), asyncio.ensure_future(wait())
    await asyncio.sleep(0.01)
    first.cancel()
    await asyncio.wait({first})
    await free()
    await asyncio.wait({second}, timeout=0.2)
    served = second.done()
    second.cancel()
    await asyncio.wait({second})
    return served


async def leaky():
    pool = LeakyPool(connect)

    async def free():
        pool.free()

    return await served_after_a_cancelled_one(pool.acquire, free)


async def fixed():
    async with AsyncDatabasePool(connect, max_size=1) as pool:
        held = await pool.acquire()
        return await served_after_a_cancelled_one(lambda: fixed_query(pool, "select 1"), lambda: pool.release(held))


@pytest.mark.parametrize(("pool", "served"), [(leaky, False), (fixed, True)])
def test_a_cancelled_waiter(pool, served):
    assert asyncio.run(pool()) is served
