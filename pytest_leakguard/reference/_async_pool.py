"""A pool of async connections, for tasks of one event loop."""

from __future__ import annotations

import asyncio
import inspect
import logging
import time
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from functools import partial
from types import TracebackType
from typing import TYPE_CHECKING, Any, Generic, Literal, TypeVar

from pytest_leakguard.reference import _shield
from pytest_leakguard.reference._expect import expect_callable, expect_positive
from pytest_leakguard.reference._resource_pool import PoolCounts
from pytest_leakguard.reference._unwind import AsyncUnwind, add_note, attach, outranks
from pytest_leakguard.reference.errors import NotInUse, PoolClosed, PoolExhausted

if TYPE_CHECKING:
    from typing_extensions import Self

C = TypeVar("C")

_log = logging.getLogger("pytest_leakguard.reference.database")


async def is_alive(connection: Any) -> bool:
    """The default health check: a query is answered. Raises what the driver does about a dead connection."""
    cursor = await connection.execute("SELECT 1")
    close = getattr(cursor, "close", None)
    if close is not None:
        closing = close()
        if inspect.isawaitable(closing):
            await closing
    await end_transaction(connection)
    return True


async def end_transaction(connection: Any) -> None:
    """The default reset: rolled back, or what the driver has instead (asyncpg: `reset`)."""
    end = getattr(connection, "rollback", None) or getattr(connection, "reset", None)
    if end is not None:
        await end()


async def close_connection(connection: Any) -> None:
    """The default close."""
    await connection.close()


class _Ticket:
    """A place in the queue of those who wait. Its future is renewed for each time it is woken."""

    __slots__ = ("woken",)

    def __init__(self) -> None:
        self.woken: asyncio.Future[None] | None = None

    def wake(self) -> None:
        if self.woken is not None and not self.woken.done():
            self.woken.set_result(None)


class _Loan(Generic[C]):
    """One place in the pool, taken by one user: with nothing in it yet, or with a connection and when it was made."""

    __slots__ = ("ended_by", "made")

    def __init__(self) -> None:
        self.made: list[tuple[C, float]] = []
        self.ended_by: object | None = None


class AsyncDatabasePool(Generic[C]):
    """A pool of async connections: as `DatabasePool`, and safe to cancel at every await.

    Acquires: a connection at a checkout, an idle one if there is one, else a new one. Releases: rolled back and idle
    again at the end of the checkout; in a task of its own, so that a cancellation does not reach it.
    Cancelled while waiting for a place: the place goes to the next one who waits.
    Cancelled while connecting: that ends first, within `release_timeout`, since many drivers lose a connection when
    they are cancelled meanwhile; what arrived is closed, the place is free. Cancelled while checking: likewise closed
    or given back.
    Cancelled in the body: rolled back; closed and replaced if that fails. Then the cancellation comes out.
    Cancelled while giving back, or while closing: that ends first, within `release_timeout`, then it comes out.
    Creation fails: the place is free again, the error comes out with a note that names the pool.
    Destroying fails: the place is free all the same; told as `ResourcePool` does.
    States: open → closed, for good.

    Locking: none. All state changes between awaits, and one event loop runs one task at a time; so a pool belongs to
    one loop. Those who wait form a queue. Only its first may take a place, also before somebody who has just come, so
    nobody starves; whoever leaves the queue, in whatever way, wakes the next.

    Args:
        connect: coroutine function that makes a connection.
        close, check, reset: coroutine functions that take one; defaults are `connection.close()`, `SELECT 1`, and
            `connection.rollback()` or `reset()`. `check=None` has none.
        max_size: how many may exist at once.
        timeout: seconds that a checkout waits for a place; None waits for ever.
        connect_timeout: seconds for `connect`; None leaves it to the driver.
        release_timeout: seconds for giving back one connection, or for closing one.
        max_age: seconds after which an idle connection is replaced.
        name: for messages.
    """

    def __init__(
        self,
        connect: Callable[[], Awaitable[C]],
        *,
        close: Callable[[C], Awaitable[object]] = close_connection,
        check: Callable[[C], Awaitable[bool]] | None = is_alive,
        reset: Callable[[C], Awaitable[object]] | None = end_transaction,
        max_size: int = 8,
        timeout: float | None = 30.0,
        connect_timeout: float | None = None,
        release_timeout: float = 10.0,
        max_age: float | None = None,
        name: str = "async database pool",
    ) -> None:
        expect_callable(connect, f"connect of {name!r}", "a coroutine function without arguments")
        expect_callable(close, f"close of {name!r}", "a coroutine function that takes a connection")
        for role, given in (("check", check), ("reset", reset)):
            if given is not None:
                expect_callable(given, f"{role} of {name!r}", "a coroutine function that takes a connection")
        expect_positive(max_size, f"max_size of {name!r}", "connections")
        self.name = name
        self.max_size = max_size
        self._connect = connect
        self._close = close
        self._check = check
        self._reset = reset
        self._timeout = timeout
        self._connect_timeout = connect_timeout
        self._release_timeout = release_timeout
        self._max_age = max_age
        self._idle: list[tuple[C, float]] = []
        self._loans: list[_Loan[C]] = []
        self._queue: deque[_Ticket] = deque()
        self._is_closed = False

    @property
    def state(self) -> Literal["open", "closed"]:
        """Which of its two states it is in."""
        return "closed" if self._is_closed else "open"

    @property
    def counts(self) -> PoolCounts:
        """Idle and in use."""
        return PoolCounts(len(self._idle), len(self._loans), self.max_size)

    @property
    def waiting(self) -> int:
        """How many tasks wait for a place."""
        return len(self._queue)

    def connection(self, timeout: float | None = -1.0) -> AbstractAsyncContextManager[C]:
        """A block that uses one connection; `async with pool.connection() as connection`.

        Args:
            timeout: seconds to wait; negative means that of the pool.
        Raises:
            As `acquire`.
        """
        return self._checkout(timeout)

    @asynccontextmanager
    async def _checkout(self, timeout: float | None) -> AsyncIterator[C]:
        loan: _Loan[C] = _Loan()
        async with AsyncUnwind() as unwind:
            unwind.register(f"giving a connection back to {self.name!r}", partial(self._release, loan))
            yield await self._fill(loan, timeout)

    async def acquire(self, timeout: float | None = -1.0) -> C:
        """Take a connection by hand; give it back with `release` or `discard`.

        Raises:
            PoolClosed: the pool was closed.
            PoolExhausted: all are in use, and none came back in time.
            AcquireTimeout: connecting took longer than `connect_timeout`.
            BaseException: what `connect` raised, with a note that names the pool.
        """
        loan: _Loan[C] = _Loan()
        try:
            return await self._fill(loan, timeout)
        except BaseException as error:
            try:
                await self._release(loan)
            except BaseException as second:
                if outranks(second, error):
                    raise
                attach(error, second, f"giving a connection back to {self.name!r}")
            raise

    async def release(self, connection: C) -> None:
        """Give back what `acquire` gave, to be used again. Raises `NotInUse` when it is not in use."""
        await self._release_lent(connection, keep=True)

    async def discard(self, connection: C) -> None:
        """Give back what `acquire` or `connection` gave, to be closed. Raises `NotInUse` when it is not in use."""
        await self._release_lent(connection, keep=False)

    async def close(self) -> None:
        """Close what is idle and lend no more; what is in use is closed when it comes back. May be called again.

        Raises:
            CancelledError: this task was cancelled; all is closed.
            BaseException: the first error of a close, further ones as notes; each was tried.
        """
        self._is_closed = True
        for ticket in self._queue:
            ticket.wake()
        unwind = AsyncUnwind()
        # one more than there are: one may be interrupted before it has taken its connection
        for _ in range(len(self._idle) + 1):
            unwind.register(f"closing an idle connection of {self.name!r}", self._close_one)
        await unwind.aclose()

    async def _close_one(self) -> None:
        loan: _Loan[C] = _Loan()
        try:
            self._loans.append(loan)
            loan.made[:], self._idle[:1] = self._idle[:1], []
        finally:
            await self._release(loan, keep=False)

    async def _fill(self, loan: _Loan[C], timeout: float | None) -> C:
        limit = self._timeout if timeout is not None and timeout < 0 else timeout
        await self._reserve(loan, limit)
        made_at = time.monotonic()
        if loan.made:
            if await self._is_fit(loan):
                return loan.made[0][0]
            await self._close_unfit(loan)
        try:
            what = f"a connection of {self.name!r}"
            connecting = _shield.acquired(
                self._connect, self._close, what, self._connect_timeout, patience=self._release_timeout
            )
            loan.made[:] = [(await connecting, made_at)]
        except BaseException as error:
            add_note(error, f"while making a connection for {self.name!r}")
            raise
        return loan.made[0][0]

    async def _reserve(self, loan: _Loan[C], limit: float | None) -> None:
        """Wait for a place; the loan is then among `_loans`, with what was idle there or with nothing."""
        end = None if limit is None else time.monotonic() + limit
        ticket = _Ticket()
        try:
            self._queue.append(ticket)
            while True:
                if self._is_closed:
                    raise PoolClosed(f"{self.name!r} is closed")
                if self._queue[0] is ticket and (self._idle or len(self._loans) < self.max_size):
                    self._loans.append(loan)
                    # one statement and no call: a connection is always in one of the two
                    loan.made[:], self._idle[:1] = self._idle[:1], []
                    return
                remaining = None if end is None else end - time.monotonic()
                if remaining is not None and remaining <= 0:
                    raise PoolExhausted(
                        f"{self.name!r}: all {self.max_size} connections are in use, none came back in {limit} s"
                    )
                ticket.woken = asyncio.get_running_loop().create_future()
                # unlike wait_for, this loses neither a wake-up nor a cancellation
                await asyncio.wait({ticket.woken}, timeout=remaining)
        finally:
            if ticket in self._queue:
                self._queue.remove(ticket)
            self._wake_first()

    def _wake_first(self) -> None:
        if self._queue:
            self._queue[0].wake()

    async def _is_fit(self, loan: _Loan[C]) -> bool:
        connection, made_at = loan.made[0]
        if self._max_age is not None and time.monotonic() - made_at > self._max_age:
            return False
        if self._check is None:
            return True
        try:
            return bool(await self._check(connection))
        except Exception:
            return False

    async def _close_unfit(self, loan: _Loan[C]) -> None:
        """Make place for a new one. The user gets that one, so an error of the old one's close is only logged."""
        try:
            await _shield.release(partial(self._close_held, loan), "closing a dead connection", self._release_timeout)
        except Exception:
            _log.warning("%r: closing a connection that is not fit any more failed", self.name, exc_info=True)

    async def _release(self, loan: _Loan[C], *, keep: bool = True) -> None:
        if loan not in self._loans:
            return
        doing = f"giving a connection back to {self.name!r}"
        await _shield.release(partial(self._close_loan, loan, keep), doing, self._release_timeout)

    async def _close_loan(self, loan: _Loan[C], keep: bool) -> None:
        if loan.ended_by is not None:
            return
        unwind = loan.ended_by = AsyncUnwind()
        # in reverse: a place is free when its connection is gone, so there are never more than max_size
        unwind.callback(self._free, loan)
        unwind.register(f"closing a connection of {self.name!r}", partial(self._close_held, loan))
        if keep:
            unwind.register(f"keeping a connection of {self.name!r}", partial(self._keep, loan))
        await unwind.aclose()

    async def _keep(self, loan: _Loan[C]) -> None:
        if loan.made and await self._was_reset(loan) and not self._is_closed:
            self._idle[:0], loan.made[:] = loan.made, []

    def _free(self, loan: _Loan[C]) -> None:
        if loan in self._loans:
            self._loans.remove(loan)
        self._wake_first()

    async def _was_reset(self, loan: _Loan[C]) -> bool:
        if self._reset is None:
            return True
        try:
            await self._reset(loan.made[0][0])
        except Exception:
            _log.warning("%r: a connection could not be reset and is not used again", self.name, exc_info=True)
            return False
        return True

    async def _close_held(self, loan: _Loan[C]) -> None:
        if not loan.made:
            return
        try:
            await self._close(loan.made[0][0])
        except BaseException as error:
            add_note(error, f"while closing a connection of {self.name!r}")
            raise
        finally:
            # a connection whose close failed is not closed twice
            loan.made.clear()

    async def _release_lent(self, connection: C, *, keep: bool) -> None:
        for loan in self._loans:
            if loan.made and loan.made[0][0] is connection and loan.ended_by is None:
                await self._release(loan, keep=keep)
                return
        raise NotInUse(f"{connection!r} is not in use from {self.name!r}: given back already, or not of this pool")

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        try:
            await self.close()
        except BaseException as second:
            if error is None or outranks(second, error):
                raise
            attach(error, second, f"closing {self.name!r}")

    def __repr__(self) -> str:
        counts = self.counts
        return f"<{type(self).__name__} {self.name!r} {self.state}: {counts.idle} idle, {counts.in_use} in use>"
