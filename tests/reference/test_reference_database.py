"""Connections and transactions over sqlite3, and its pool; async ones over aiosqlite."""

from __future__ import annotations

import asyncio
import functools
import sqlite3
from contextlib import suppress

import leaky
import pytest

from pytest_leakguard.reference import (
    AsyncDatabasePool,
    DatabaseConnection,
    DatabasePool,
    async_transaction,
    secondary_errors,
    transaction,
)
from pytest_leakguard.reference.errors import AcquireTimeout, AlreadyOpen, NotInUse, NotOpen, PoolClosed, PoolExhausted


class Boom(Exception):
    """The error of a body."""


ERRORS = pytest.mark.parametrize("kind", [Boom, KeyboardInterrupt, GeneratorExit, asyncio.CancelledError])


@pytest.fixture
def path(tmp_path):
    path = tmp_path / "accounts.db"
    with DatabaseConnection(path) as connection:
        connection.execute("create table account (name text primary key)")
    return path


def names(path):
    with DatabaseConnection(path) as connection:
        return [name for (name,) in connection.execute("select name from account order by name")]


def is_closed(connection):
    try:
        connection.execute("select 1")
    except sqlite3.ProgrammingError:
        return True
    return False


# -- DatabaseConnection


@ERRORS
def test_a_connection_is_closed_on_every_path(path, kind, leak_check):
    """By with and by hand; usable again; nothing is committed by itself."""
    database = DatabaseConnection(path)
    with leak_check():
        for error in (None, kind):
            with suppress(kind), database as connection:
                connection.execute("insert into account values ('ann')")
                if error is not None:
                    raise error
            assert is_closed(connection)
        database.open()
        with pytest.raises(AlreadyOpen, match=r"accounts\.db"):
            database.open()
        database.close()
        database.close()
    with pytest.raises(NotOpen):
        database.connection
    assert names(path) == []
    leak_check.releases(lambda: DatabaseConnection(path))


def test_a_failed_connect_names_the_database(tmp_path, leak_check):
    """By a note; any connect will do; arguments that may hold a password are not shown."""
    with leak_check():
        with pytest.raises(sqlite3.OperationalError) as caught, DatabaseConnection(tmp_path / "no" / "such.db"):
            pass
        assert "such.db" in caught.value.__notes__[0]

    def connect(secret):
        raise Boom("refused")

    with pytest.raises(Boom) as caught, DatabaseConnection("secret", connect=connect):
        pass
    assert caught.value.__notes__ == ["while connecting to database"]
    with pytest.raises(TypeError, match=r"connect of .* is of type int"):
        DatabaseConnection("x", connect=5)


def test_the_twin_that_closes_only_without_an_error(path, left_behind, is_marked):
    """Found by an error in the body."""

    def use(manager):
        with suppress(Boom), manager(path) as connection:
            connection.execute("select * from account")
            raise Boom

    assert left_behind(lambda: use(DatabaseConnection)) == []
    (finding,) = left_behind(lambda: use(leaky.LeakyDatabaseConnection))
    assert is_marked(finding)


# -- transaction


@pytest.mark.parametrize("begin", [None, "BEGIN IMMEDIATE"])
@ERRORS
def test_committed_or_rolled_back(path, kind, begin):
    """Any error of the body rolls back, an interrupt and a cancellation too."""
    with DatabaseConnection(path) as connection:
        with transaction(connection, begin) as same:
            same.execute("insert into account values ('ann')")
        with pytest.raises(kind), transaction(connection, begin):
            connection.execute("insert into account values ('bob')")
            raise kind
        assert not connection.in_transaction
    assert names(path) == ["ann"]


def test_a_failing_commit_is_rolled_back(path):
    """Another connection holds the database for real."""
    with DatabaseConnection(path) as other, DatabaseConnection(path, timeout=0) as connection:
        other.execute("BEGIN")
        other.execute("select * from account").fetchall()
        with pytest.raises(sqlite3.OperationalError, match="locked"), transaction(connection):
            connection.execute("insert into account values ('ann')")
        assert not connection.in_transaction
        other.rollback()
        with pytest.raises(sqlite3.OperationalError, match="syntax"), transaction(connection, "BEGIN SOMETHING"):
            pytest.fail("entered")
    assert names(path) == []


def test_a_failing_rollback_does_not_hide_the_error_of_the_body(path):
    """The body closed the connection: the rollback fails for real."""
    with DatabaseConnection(path) as connection:
        with pytest.raises(Boom) as caught, transaction(connection):
            connection.close()
            raise Boom
    assert isinstance(secondary_errors(caught.value)[0], sqlite3.ProgrammingError)
    with pytest.raises(TypeError, match="transaction: 5 is of type int; expected a DB-API connection"):
        transaction(5)


def test_the_twin_that_misses_an_interrupt(path):
    """Told by the contract: after an interrupt the transaction is still open."""
    for manager, is_open in ((transaction, False), (leaky.leaky_transaction, True)):
        with DatabaseConnection(path) as connection:
            with suppress(KeyboardInterrupt), manager(connection):
                connection.execute("insert into account values ('ann')")
                raise KeyboardInterrupt
            assert connection.in_transaction is is_open


# -- DatabasePool


def pool_of(path, **options):
    return DatabasePool(functools.partial(sqlite3.connect, path, check_same_thread=False), name="accounts", **options)


@ERRORS
def test_a_connection_comes_back_rolled_back(path, kind, leak_check):
    """Nobody inherits a transaction; a transaction of the pool is committed or not."""
    with leak_check(), pool_of(path, max_size=1) as pool:
        with suppress(kind), pool.connection() as first:
            first.execute("insert into account values ('ann')")
            raise kind
        with pool.connection() as second:
            assert second is first
            assert not second.in_transaction
        with pool.transaction() as connection:
            connection.execute("insert into account values ('bob')")
        with suppress(kind), pool.transaction() as connection:
            connection.execute("insert into account values ('cid')")
            raise kind
    assert is_closed(first)
    assert names(path) == ["bob"]


def test_dead_connections_are_replaced(path, caplog, leak_check):
    """Closed while in use: not kept. Closed while idle: found by the health check. Too old: replaced."""
    with leak_check(), pool_of(path, max_size=1) as pool:
        with pool.connection() as first:
            first.close()
        assert pool.counts.idle == 0
        with pool.connection() as second:
            assert second is not first
        second.close()
        with pool.connection() as third:
            third.execute("select * from account")
            assert third is not second
    with pool_of(path, max_size=1, max_age=0.0) as pool:
        with pool.connection() as first:
            pass
        with pool.connection() as second:
            assert is_closed(first)


def test_a_pool_that_can_not_connect_keeps_its_places(tmp_path):
    """Each try fails as the first; when the database is there, all places are."""
    path = tmp_path / "late" / "accounts.db"
    with pool_of(path, max_size=2, timeout=0) as pool:
        for _ in range(3):
            with pytest.raises(sqlite3.OperationalError) as caught, pool.connection():
                pass
            assert caught.value.__notes__ == ["while making a resource for 'accounts'"]
        path.parent.mkdir()
        with pool.connection(), pool.connection(), pytest.raises(PoolExhausted, match="'accounts': all 2"):
            pool.acquire()
        with pool.connection() as lent:
            pool.close()
            with pytest.raises(PoolClosed):
                pool.acquire()
            lent.execute("select 1")
        assert is_closed(lent)


def test_the_twin_whose_failed_creation_eats_a_place(path):
    """Told by the contract: after one failed connect a pool of one is exhausted for ever."""

    def use(manager):
        tries = iter([Boom, None])

        def connect():
            if next(tries, None) is not None:
                raise Boom
            return sqlite3.connect(path)

        pool = manager(connect, max_size=1)
        with pytest.raises(Boom), pool.connection():
            pass
        try:
            with pool.connection():
                return "lent"
        except TimeoutError:
            return "exhausted"
        finally:
            if manager is DatabasePool:
                pool.close()

    assert use(DatabasePool) == "lent"
    assert use(leaky.LeakyDatabasePool) == "exhausted"


# -- async, over a real driver


@pytest.fixture
def aiosqlite():
    return pytest.importorskip("aiosqlite")


async def cancel_when(task, condition):
    while not condition():
        await asyncio.sleep(0.001)
    task.cancel()
    await asyncio.wait({task})
    assert task.cancelled()


@ERRORS
def test_an_async_transaction(path, kind, aiosqlite, leak_check):
    """Committed, or rolled back on any error."""

    async def main():
        async with aiosqlite.connect(path) as connection:
            async with async_transaction(connection, "BEGIN IMMEDIATE") as same:
                await same.execute("insert into account values ('ann')")
            try:
                async with async_transaction(connection):
                    await connection.execute("insert into account values ('bob')")
                    raise kind
            except kind:
                pass
            assert not connection.in_transaction

    with leak_check(grace=2):
        asyncio.run(main())
    assert names(path) == ["ann"]


def test_a_cancelled_async_transaction_is_rolled_back(path, aiosqlite, leak_check):
    """Once in the body, again during the rollback; the twin leaves it open."""

    async def left_open(manager):
        async with aiosqlite.connect(path) as connection:
            began = []

            async def use():
                async with manager(connection):
                    await connection.execute("insert into account values ('ann')")
                    began.append(True)
                    await asyncio.sleep(10)

            await cancel_when(asyncio.ensure_future(use()), lambda: began)
            return connection.in_transaction

    with leak_check(grace=2):
        assert asyncio.run(left_open(async_transaction)) is False
        assert asyncio.run(left_open(leaky.leaky_async_transaction)) is True
    with pytest.raises(TypeError, match="async_transaction: 5 is of type int"):
        async_transaction(5)


def test_a_commit_that_has_begun_ends(path, leak_check):
    """Cancelled meanwhile: it is committed, not rolled back, and the cancellation comes out."""

    class Slow:
        log: list[str] = []

        async def execute(self, sql):
            self.log.append(sql)

        async def commit(self):
            self.log.append("committing")
            await asyncio.sleep(0.02)
            self.log.append("committed")

        async def rollback(self):
            self.log.append("rolled back")

    async def main():
        connection = Slow()

        async def use():
            async with async_transaction(connection):
                pass

        await cancel_when(asyncio.ensure_future(use()), lambda: "committing" in connection.log)
        assert connection.log[:2] == ["committing", "committed"]

    asyncio.run(main())


def async_pool_of(aiosqlite, path, **options):
    async def connect():
        return await aiosqlite.connect(path)

    return AsyncDatabasePool(connect, name="accounts", **options)


@ERRORS
def test_an_async_connection_comes_back(path, kind, aiosqlite, leak_check):
    """Rolled back and used again; dead ones are replaced; by hand; closed for good."""

    async def main():
        async with async_pool_of(aiosqlite, path, max_size=2, timeout=0) as pool:
            try:
                async with pool.connection() as first:
                    await first.execute("insert into account values ('ann')")
                    raise kind
            except kind:
                pass
            async with pool.connection() as second:
                assert second is first
                assert not second.in_transaction
                other = await pool.acquire()
                with pytest.raises(PoolExhausted, match="'accounts': all 2"):
                    await pool.acquire()
                await pool.release(other)
                with pytest.raises(NotInUse):
                    await pool.release(other)
                await pool.discard(second)
                assert (pool.counts.idle, pool.counts.in_use) == (1, 0)
            await other.close()
            async with pool.connection() as third:
                assert third is not other
        with pytest.raises(PoolClosed):
            await pool.acquire()
        await pool.close()
        assert pool.state == "closed"
        assert (pool.counts.idle, pool.counts.in_use) == (0, 0)

    with leak_check(grace=2):
        asyncio.run(main())
    assert names(path) == []


def test_cancelled_at_each_step_no_place_is_lost(path, aiosqlite, leak_check):
    """A task that uses a pool of one is cancelled after 0, 1, 2 … turns of the loop; afterwards the place is there."""

    async def main():
        for turns in range(60):
            pool = async_pool_of(aiosqlite, path, max_size=1, timeout=5)

            async def use(pool=pool):
                async with pool.connection() as connection:
                    await connection.execute("insert into account values ('ann')")
                async with pool.connection() as connection:
                    await connection.execute("select 1")

            task = asyncio.ensure_future(use())
            for _ in range(turns):
                await asyncio.sleep(0 if turns % 2 else 0.0002)
            task.cancel()
            await asyncio.wait({task})
            assert pool.counts.in_use == 0
            async with pool.connection() as connection:
                assert not connection.in_transaction
            await pool.close()
            assert pool.counts.idle == 0
            assert asyncio.all_tasks() == {asyncio.current_task()}

    with leak_check(grace=2):
        asyncio.run(main())


def test_those_who_wait_are_served_in_turn(path, aiosqlite, leak_check):
    """Also before somebody who comes when a connection is just free; a cancelled one passes its turn on."""

    async def main():
        served = []
        async with async_pool_of(aiosqlite, path, max_size=1, check=None) as pool:

            async def use(number):
                async with pool.connection():
                    served.append(number)

            held = await pool.acquire()
            waiting = [asyncio.ensure_future(use(number)) for number in range(4)]
            while pool.waiting < 4:
                await asyncio.sleep(0)
            waiting[1].cancel()
            await pool.release(held)
            waiting[0].cancel()
            late = asyncio.ensure_future(use(4))
            await asyncio.wait({*waiting, late})
        assert [number for number in served if number] == [2, 3, 4]

    with leak_check(grace=2):
        asyncio.run(main())


def test_a_connect_that_takes_too_long(leak_check):
    """Named, and the place is free; arguments are checked."""

    async def main():
        async def connect():
            await asyncio.sleep(10)

        async with AsyncDatabasePool(connect, max_size=1, connect_timeout=0.01, name="accounts") as pool:
            with pytest.raises(AcquireTimeout, match=r"a connection of 'accounts' was not acquired in 0\.01 s"):
                await pool.acquire()
            assert pool.counts.in_use == 0

    asyncio.run(main())
    with pytest.raises(TypeError, match="connect of 'x'"):
        AsyncDatabasePool(5, name="x")


def test_the_twin_that_loses_a_place_to_a_cancelled_waiter(path, aiosqlite):
    """Told by the contract: the place is handed to a task that is gone."""

    async def use(manager):
        async def connect():
            return await aiosqlite.connect(path)

        pool = manager(connect, max_size=1)

        async def hold():
            async with pool.connection():
                pass

        async with pool.connection():
            waiting = asyncio.ensure_future(hold())
            await asyncio.sleep(0.01)
            waiting.cancel()
            await asyncio.wait({waiting})
        last = asyncio.ensure_future(hold())
        await asyncio.wait({last}, timeout=0.2)
        served = last.done()
        last.cancel()
        await asyncio.wait({last})
        if manager is AsyncDatabasePool:
            await pool.close()
        return served

    assert asyncio.run(use(AsyncDatabasePool)) is True
    assert asyncio.run(use(leaky.LeakyAsyncDatabasePool)) is False
