"""The database managers over a real PostgreSQL: connections killed by the server, restarts, statement timeouts."""

from __future__ import annotations

import asyncio
import threading
from contextlib import suppress

import postgres
import pytest

from pytest_leakguard.reference import (
    AsyncDatabasePool,
    DatabaseConnection,
    DatabasePool,
    async_transaction,
    secondary_errors,
    transaction,
)


class Boom(Exception):
    """The error of a body."""


@pytest.fixture(scope="module")
def server():
    try:
        with postgres.server() as server:
            yield server
    except postgres.Unavailable as why:
        pytest.skip(str(why))


@pytest.fixture
def psycopg():
    return pytest.importorskip("psycopg")


@pytest.fixture
def asyncpg():
    return pytest.importorskip("asyncpg")


@pytest.fixture(autouse=True)
def table(server, psycopg):
    with psycopg.connect(server.dsn, autocommit=True) as connection:
        connection.execute("drop table if exists account")
        connection.execute("create table account (name text primary key)")


def names(server, psycopg):
    with psycopg.connect(server.dsn) as connection:
        return [name for (name,) in connection.execute("select name from account order by name")]


def kill(server, psycopg, pid):
    """As an administrator does it: the server ends one connection."""
    with psycopg.connect(server.dsn, autocommit=True) as connection:
        connection.execute("select pg_terminate_backend(%s, 5000)", (pid,))


def idle_in_transaction(server, psycopg):
    with psycopg.connect(server.dsn, autocommit=True) as connection:
        query = "select count(*) from pg_stat_activity where state like 'idle in transaction%'"
        return connection.execute(query).fetchone()[0]


def test_connection_and_transaction(server, psycopg, leak_check):
    """Committed, rolled back on any error, closed."""
    with leak_check():
        with DatabaseConnection(server.dsn, connect=psycopg.connect, name="the server") as connection:
            with transaction(connection):
                connection.execute("insert into account values ('ann')")
            for kind in (Boom, KeyboardInterrupt, GeneratorExit):
                with suppress(kind), transaction(connection):
                    connection.execute("insert into account values ('bob')")
                    raise kind
        assert connection.closed
        with pytest.raises(psycopg.OperationalError) as caught:
            DatabaseConnection("host=/nowhere", connect=psycopg.connect, name="the server").open()
        assert caught.value.__notes__ == ["while connecting to the server"]
    assert names(server, psycopg) == ["ann"]


def test_killed_in_a_transaction(server, psycopg, leak_check):
    """The body's error is the server's; the failing rollback is a note or nothing; the connection is closed."""
    with leak_check(), DatabaseConnection(server.dsn, connect=psycopg.connect) as connection:
        with pytest.raises(psycopg.OperationalError) as caught, transaction(connection):
            connection.execute("insert into account values ('ann')")
            kill(server, psycopg, connection.info.backend_pid)
            connection.execute("insert into account values ('bob')")
        assert all(isinstance(error, psycopg.Error) for error in secondary_errors(caught.value))
    assert names(server, psycopg) == []


def test_a_statement_timeout_rolls_back(server, psycopg, leak_check):
    """The error is the server's; the connection is good again for the next transaction, in the pool too."""
    with leak_check(), DatabasePool(lambda: psycopg.connect(server.dsn), max_size=1) as pool:
        with pytest.raises(psycopg.errors.QueryCanceled), pool.transaction() as first:
            first.execute("insert into account values ('ann')")
            first.execute("set local statement_timeout = '20ms'")
            first.execute("select pg_sleep(10)")
        with pool.transaction() as second:
            assert second is first
            second.execute("insert into account values ('bob')")
    assert names(server, psycopg) == ["bob"]


def test_a_pool_replaces_what_the_server_killed(server, psycopg, leak_check, caplog):
    """Killed while idle: found by the health check. Killed in use: not kept. Never more than its size."""
    with leak_check(), DatabasePool(lambda: psycopg.connect(server.dsn), max_size=2, timeout=5) as pool:
        with pool.connection() as one, pool.connection() as two:
            pids = [one.info.backend_pid, two.info.backend_pid]
        for pid in pids:
            kill(server, psycopg, pid)
        with pool.connection() as connection:
            assert connection.info.backend_pid not in pids
            connection.execute("insert into account values ('ann')")
        with pytest.raises(psycopg.OperationalError), pool.connection() as connection:
            kill(server, psycopg, connection.info.backend_pid)
            connection.execute("select 1")
        with pool.connection(), pool.connection():
            assert pool.counts.in_use == 2
        assert idle_in_transaction(server, psycopg) == 0


def test_a_pool_outlives_a_restart(server, psycopg, leak_check):
    """While the server is down each checkout tells so and no place is lost; then all work again."""
    with leak_check(), DatabasePool(lambda: psycopg.connect(server.dsn), max_size=3, timeout=5) as pool:
        with pool.connection(), pool.connection():
            pass
        server.stop()
        try:
            for _ in range(5):
                with pytest.raises(psycopg.OperationalError) as caught, pool.connection():
                    pass
                assert "while making a resource" in caught.value.__notes__[-1]
            assert pool.counts.in_use == 0
        finally:
            server.start()
        with pool.connection(), pool.connection(), pool.connection() as connection:
            assert connection.execute("select 1").fetchone() == (1,)


def test_threads_while_the_server_kills(server, psycopg, caplog):
    """Eight threads, 20 transactions each, connections killed under them: what was committed is there, once."""
    committed = []
    with DatabasePool(lambda: psycopg.connect(server.dsn), max_size=4, timeout=30) as pool:

        def work(number):
            for turn in range(20):
                name = f"{number}-{turn}"
                with suppress(psycopg.Error):
                    with pool.transaction() as connection:
                        connection.execute("insert into account values (%s)", (name,))
                    committed.append(name)

        threads = [threading.Thread(target=work, args=(number,)) for number in range(8)]
        for thread in threads:
            thread.start()
        with psycopg.connect(server.dsn, autocommit=True) as admin:
            while any(thread.is_alive() for thread in threads):
                admin.execute(
                    "select pg_terminate_backend(pid) from pg_stat_activity "
                    "where pid <> pg_backend_pid() and backend_type = 'client backend' order by random() limit 1"
                )
                threads[0].join(0.01)
        for thread in threads:
            thread.join(60)
        assert pool.counts.in_use == 0
    # a commit whose answer was cut off may have happened: never the other way round
    assert set(committed) <= set(names(server, psycopg))
    assert idle_in_transaction(server, psycopg) == 0


# -- asyncio


def test_an_async_transaction_over_psycopg(server, psycopg, leak_check):
    """Cancelled while the server works on a statement: rolled back, and the connection is good again."""

    async def main():
        connection = await psycopg.AsyncConnection.connect(server.dsn)
        try:

            async def use():
                async with async_transaction(connection):
                    await connection.execute("insert into account values ('ann')")
                    await connection.execute("select pg_sleep(10)")

            task = asyncio.ensure_future(use())
            await asyncio.sleep(0.1)
            task.cancel()
            await asyncio.wait({task})
            assert task.cancelled()
            async with async_transaction(connection):
                await connection.execute("insert into account values ('bob')")
        finally:
            await connection.close()

    with leak_check(grace=2):
        asyncio.run(main())
    assert names(server, psycopg) == ["bob"]


def make_pool(driver, server, psycopg, asyncpg):
    async def connect():
        if driver == "asyncpg":
            return await asyncpg.connect(host=str(server.folder), user="tester", database="postgres")
        return await psycopg.AsyncConnection.connect(server.dsn)

    return AsyncDatabasePool(connect, max_size=2, timeout=10, name="postgres")


@pytest.mark.parametrize("driver", ["psycopg", "asyncpg"])
def test_an_async_pool_over_real_drivers(driver, server, psycopg, asyncpg, leak_check, caplog):
    """Killed while idle, killed in use, cancelled in a statement, server restarted: no place lost, all closed."""

    async def main():
        async with make_pool(driver, server, psycopg, asyncpg) as pool:

            async def pid(connection):
                if driver == "asyncpg":
                    return connection.get_server_pid()
                return connection.info.backend_pid

            async with pool.connection() as first:
                first_pid = await pid(first)
            kill(server, psycopg, first_pid)
            async with pool.connection() as second:
                assert await pid(second) != first_pid
                await second.execute("select 1")
            try:
                async with pool.connection() as third:
                    kill(server, psycopg, await pid(third))
                    await third.execute("select 1")
            except Exception as error:
                assert "terminat" in str(error) or "closed" in str(error)
            else:
                pytest.fail("no error")

            async def sleep():
                async with pool.connection() as connection:
                    await connection.execute("select pg_sleep(10)")

            task = asyncio.ensure_future(sleep())
            await asyncio.sleep(0.1)
            task.cancel()
            await asyncio.wait({task})
            assert task.cancelled()
            assert pool.counts.in_use == 0
            await asyncio.get_running_loop().run_in_executor(None, server.restart)
            async with pool.connection() as one, pool.connection() as two:
                await one.execute("select 1")
                await two.execute("select 1")
            assert pool.counts.in_use == 0

    with leak_check(grace=3):
        asyncio.run(main())
    assert idle_in_transaction(server, psycopg) == 0


@pytest.mark.parametrize("driver", ["psycopg", "asyncpg"])
def test_cancelled_at_any_moment_over_real_drivers(driver, server, psycopg, asyncpg, leak_check, caplog):
    """After 0, 1, 2 … milliseconds: no connection stays on the server, none in a transaction, no place lost."""

    async def main():
        for milliseconds in range(0, 30, 2):
            pool = make_pool(driver, server, psycopg, asyncpg)

            async def use(pool=pool):
                for _ in range(2):
                    async with pool.connection() as connection:
                        await connection.execute("select pg_sleep(0.005)")

            tasks = [asyncio.ensure_future(use()) for _ in range(4)]
            await asyncio.sleep(milliseconds / 1000)
            for task in tasks:
                task.cancel()
            await asyncio.wait(tasks)
            assert pool.counts.in_use == 0
            assert pool.waiting == 0
            async with pool.connection() as connection:
                await connection.execute("select 1")
            await pool.close()

    with leak_check(grace=3):
        asyncio.run(main())
    assert idle_in_transaction(server, psycopg) == 0
