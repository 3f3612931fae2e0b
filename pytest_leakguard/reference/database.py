"""Database connections, transactions and pools, over any DB-API 2.0 driver and over async drivers."""

from __future__ import annotations

import sqlite3
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import (
    AbstractAsyncContextManager,
    AbstractContextManager,
    asynccontextmanager,
    contextmanager,
)
from typing import Any, Generic, Literal, Protocol, TypeVar, overload

from pytest_leakguard.reference import _shield
from pytest_leakguard.reference._async_pool import AsyncDatabasePool as AsyncDatabasePool
from pytest_leakguard.reference._closing import ClosedOnExit
from pytest_leakguard.reference._expect import expect, expect_callable
from pytest_leakguard.reference._unwind import Unwind, add_note, attach, outranks, undo
from pytest_leakguard.reference.errors import AlreadyOpen, NotOpen
from pytest_leakguard.reference.pools import ResourcePool


class Connection(Protocol):
    """What DB-API 2.0 asks of a connection, as far as it is needed here."""

    def cursor(self) -> Any: ...
    def commit(self) -> Any: ...
    def rollback(self) -> Any: ...
    def close(self) -> Any: ...


class AsyncConnection(Protocol):
    """The same with coroutines, as aiosqlite and psycopg have it."""

    def execute(self, sql: str, /) -> Awaitable[Any]: ...
    def commit(self) -> Awaitable[Any]: ...
    def rollback(self) -> Awaitable[Any]: ...


C = TypeVar("C", bound=Connection)
A = TypeVar("A", bound=AsyncConnection)


class DatabaseConnection(ClosedOnExit, Generic[C]):
    """One connection; by `with`, or by `open()` and `close()`; usable again.

    Acquires: what `connect(*args, **options)` gives. Releases: its `close()`, on every path. It neither commits nor
    rolls back: what was not committed is gone, as DB-API says; `transaction` is for that.
    Acquisition fails: the driver's error comes out with a note that names the database; nothing is left.
    Body fails: closed; the body's error comes out.
    Release fails: its error comes out, or is a note on the body's.
    States: closed → open → closed …
    One thread at a time, unless the driver allows more.

    Args:
        args, options: for `connect`.
        connect: any DB-API 2.0 `connect`; default `sqlite3.connect`.
        name: for messages; keep passwords out of it.
    """

    @overload
    def __init__(
        self: DatabaseConnection[sqlite3.Connection], *args: Any, name: str | None = None, **options: Any
    ) -> None: ...
    @overload
    def __init__(self, *args: Any, connect: Callable[..., C], name: str | None = None, **options: Any) -> None: ...
    def __init__(
        self, *args: Any, connect: Callable[..., Any] = sqlite3.connect, name: str | None = None, **options: Any
    ) -> None:
        # the arguments may hold a password, so only those of sqlite are shown
        self.name = name or (repr(args[0]) if connect is sqlite3.connect and args else "database")
        expect_callable(connect, f"connect of {self.name}", "a DB-API connect function")
        self._connect = connect
        self._args = args
        self._options = options
        self._connection: C | None = None

    @property
    def state(self) -> Literal["closed", "open"]:
        """Which of its two states it is in."""
        return "closed" if self._connection is None else "open"

    @property
    def connection(self) -> C:
        """The connection.

        Raises:
            NotOpen: there is none.
        """
        if self._connection is None:
            raise NotOpen(f"connection to {self.name} is not open")
        return self._connection

    def open(self) -> C:
        """Connect, and give the connection.

        Raises:
            AlreadyOpen: it is open.
            BaseException: the driver's error.
        """
        if self._connection is not None:
            raise AlreadyOpen(f"connection to {self.name} is open already; close it first")
        try:
            self._connection = self._connect(*self._args, **self._options)
            return self._connection
        except BaseException as error:
            add_note(error, f"while connecting to {self.name}")
            undo(error, self._closing, self.close)
            raise

    def close(self) -> None:
        """Close the connection; nothing when there is none.

        Raises:
            BaseException: the driver's error; the connection counts as closed.
        """
        if self._connection is None:
            return
        try:
            self._connection.close()
        finally:
            self._connection = None

    @property
    def _closing(self) -> str:
        return f"closing the connection to {self.name}"

    def __enter__(self) -> C:
        return self.open()


def transaction(connection: C, begin: str | None = None) -> AbstractContextManager[C]:
    """A transaction around a block.

    Acquires: a transaction, by `begin` or as the driver begins one by itself. Releases: committed or rolled back.
    Body ends well: committed. The commit fails: rolled back, its error comes out.
    Body fails, by any BaseException: rolled back, that error comes out. The rollback fails: a note on the body's error.

    Args:
        begin: SQL that begins it, as "BEGIN IMMEDIATE"; None leaves it to the driver.
    Raises:
        TypeError: this is no connection.
    """
    expect(connection, ("cursor", "commit", "rollback"), "transaction", "a DB-API connection")
    return _transaction(connection, begin)


@contextmanager
def _transaction(connection: C, begin: str | None) -> Iterator[C]:
    try:
        if begin is not None:
            _execute(connection, begin)
        yield connection
        connection.commit()
    except BaseException as error:
        undo(error, "rolling back", connection.rollback)
        raise


def async_transaction(
    connection: A, begin: str | None = None, *, timeout: float = 10.0
) -> AbstractAsyncContextManager[A]:
    """`transaction` for a connection whose methods are coroutines.

    Body ends well: the commit runs to its end, also when this task is cancelled meanwhile; the cancellation comes out
    after it, and the transaction is committed.
    Body fails or is cancelled: the rollback runs to its end, shielded; then the error or the cancellation comes out.

    Args:
        timeout: seconds for the commit, and for the rollback.
    """
    expect(connection, ("execute", "commit", "rollback"), "async_transaction", "an async connection")
    return _async_transaction(connection, begin, timeout)


@asynccontextmanager
async def _async_transaction(connection: A, begin: str | None, timeout: float) -> AsyncIterator[A]:
    try:
        if begin is not None:
            await connection.execute(begin)
        yield connection
        await _shield.release(connection.commit, "committing", timeout)
    except BaseException as error:
        try:
            await _shield.release(connection.rollback, "rolling back", timeout)
        except BaseException as second:
            if outranks(second, error):
                raise
            attach(error, second, "rolling back")
        raise


def _execute(connection: Connection, sql: str) -> None:
    with Unwind() as unwind:
        cursor = connection.cursor()
        unwind.register("closing a cursor", cursor.close)
        cursor.execute(sql)


def is_alive(connection: Connection) -> bool:
    """The default health check: a query is answered. Leaves no transaction open.

    Raises: what the driver does about a dead connection.
    """
    _execute(connection, "SELECT 1")
    # many drivers have begun a transaction for it
    connection.rollback()
    return True


def _roll_back(connection: Connection) -> None:
    connection.rollback()


def _close(connection: Connection) -> None:
    connection.close()


class DatabasePool(ResourcePool[C]):
    """A pool of connections for threads; everything that `ResourcePool` says holds, its locking too.

    Acquires: a connection at a checkout, made only when none is idle. Releases: it is rolled back and idle again.
    Creation, health check, rollback or close fails: as `ResourcePool` says; a place is never lost by it.
    A connection that comes back is rolled back, so nobody inherits a transaction; one that can't be rolled back is
    dead, and is closed. Before an idle one is lent again it is checked, and replaced when it is dead or too old.
    The driver must let a connection be used by another thread than the one that made it: for `sqlite3` that is
    `check_same_thread=False`.

    Args:
        connect: makes a connection.
        timeout: seconds that a checkout waits for a connection.
        check: health check; default is `SELECT 1`; None to have none.
        max_age: seconds after which an idle connection is replaced.
    """

    def __init__(
        self,
        connect: Callable[[], C],
        *,
        max_size: int = 8,
        timeout: float | None = 30.0,
        check: Callable[[C], bool] | None = is_alive,
        max_age: float | None = None,
        name: str = "database pool",
    ) -> None:
        super().__init__(
            connect,
            _close,
            max_size=max_size,
            timeout=timeout,
            check=check,
            reset=_roll_back,
            max_age=max_age,
            name=name,
        )

    def connection(self, timeout: float | None = -1.0) -> AbstractContextManager[C]:
        """A block that uses one connection. As `checkout`."""
        return self.checkout(timeout)

    @contextmanager
    def transaction(self, begin: str | None = None) -> Iterator[C]:
        """A block that uses one connection in one transaction. As `checkout` and `transaction`."""
        with self.checkout() as connection, transaction(connection, begin):
            yield connection
