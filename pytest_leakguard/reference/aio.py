"""Async resources: one, and many opened together."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from functools import partial
from types import TracebackType
from typing import Any, Generic, Literal, TypeVar

from pytest_leakguard.reference import _shield
from pytest_leakguard.reference._expect import expect_async_manager, expect_callable, expect_positive
from pytest_leakguard.reference._unwind import AsyncUnwind, add_note, attach, outranks
from pytest_leakguard.reference.errors import AlreadyOpen, NotOpen

T = TypeVar("T")


class AsyncResource(Generic[T]):
    """What one coroutine acquires and another releases; by `async with`, or by `open()` and `close()`. For asyncio.

    Acquires: what `acquire()` gives. Releases: `release(resource)`, in a task of its own, so that a cancellation does
    not reach it; it is waited for, also under repeated cancellation, for `release_timeout` seconds at most.
    Acquisition fails, times out or is cancelled: nothing is left; what arrives too late is released at once.
    Body fails or is cancelled: released; then the body's error or the cancellation comes out.
    Release fails: its error comes out, or is a note on the body's error or on the cancellation.
    Release does not end in time: it is cancelled, and `ReleaseTimeout` comes out, or is a note as above.
    States: closed → opening → open → closing → closed …; a second open is refused with `AlreadyOpen`.
    Locking: none; states change only between awaits, and one event loop runs one task at a time.

    Args:
        acquire, release: coroutine functions. A cancel scope must not begin in the one and end in the other.
        timeout: seconds for the acquisition; None waits for ever. With a timeout it runs in a task of its own.
        release_timeout: seconds for the release.
        name: for messages.
    """

    def __init__(
        self,
        acquire: Callable[[], Awaitable[T]],
        release: Callable[[T], Awaitable[object]],
        *,
        timeout: float | None = None,
        release_timeout: float = 10.0,
        name: str = "resource",
    ) -> None:
        expect_callable(acquire, f"acquire of AsyncResource {name!r}", "a coroutine function")
        expect_callable(release, f"release of AsyncResource {name!r}", "a coroutine function that takes the resource")
        if timeout is not None:
            expect_positive(timeout, f"timeout of AsyncResource {name!r}", "seconds")
        expect_positive(release_timeout, f"release_timeout of AsyncResource {name!r}", "seconds")
        self.name = name
        self._acquire = acquire
        self._release = release
        self._timeout = timeout
        self._release_timeout = release_timeout
        self._state: Literal["closed", "opening", "open", "closing"] = "closed"
        # a list, so that None can be a resource too
        self._held: list[T] = []

    @property
    def state(self) -> Literal["closed", "opening", "open", "closing"]:
        """Which of its four states it is in."""
        return self._state

    @property
    def resource(self) -> T:
        """What was acquired.

        Raises:
            NotOpen: nothing is.
        """
        if not self._held:
            raise NotOpen(f"{self.name!r} is not open")
        return self._held[0]

    async def open(self) -> T:
        """Acquire, and give the resource.

        Raises:
            AlreadyOpen: it is not closed; nothing is touched.
            AcquireTimeout: it took longer than `timeout`.
            BaseException: what `acquire` raised, with a note that names the resource.
        """
        if self._state != "closed":
            raise AlreadyOpen(f"{self.name!r} is {self._state}; close it first")
        try:
            self._state = "opening"
            self._held[:] = [await _shield.acquired(self._acquire, self._release, repr(self.name), self._timeout)]
            self._state = "open"
            return self._held[0]
        except BaseException as error:
            add_note(error, f"while acquiring {self.name!r}")
            await self._close_because(error)
            raise
        finally:
            if not self._held:
                self._state = "closed"

    async def close(self) -> None:
        """Release; nothing when it is closed or being closed.

        Raises:
            ReleaseTimeout: the release did not end in time.
            CancelledError: this task was cancelled; the release has ended.
            BaseException: what `release` raised.
        """
        if not self._held or self._state == "closing":
            return
        try:
            self._state = "closing"
            resource = self._held[0]
            await _shield.release(partial(self._release, resource), f"releasing {self.name!r}", self._release_timeout)
        finally:
            self._held.clear()
            self._state = "closed"

    async def _close_because(self, error: BaseException) -> None:
        try:
            await self.close()
        except BaseException as second:
            if outranks(second, error):
                raise
            attach(error, second, f"releasing {self.name!r}")

    async def __aenter__(self) -> T:
        return await self.open()

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if error is None:
            await self.close()
        else:
            await self._close_because(error)


class _Opening(Generic[T]):
    """One of many that are being entered; `leave` does nothing when it was not."""

    def __init__(self, manager: AbstractAsyncContextManager[T, Any], name: str) -> None:
        self._manager = manager
        self._name = name
        self.given: list[T] = []

    async def enter(self) -> None:
        self.given[:] = [await self._manager.__aenter__()]

    async def leave(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if not self.given:
            return
        try:
            await self._manager.__aexit__(kind, error, traceback)
        except BaseException as second:
            if second is error:
                return
            if error is None or outranks(second, error):
                raise
            attach(error, second, f"closing {self._name}")
        finally:
            self.given.clear()
            del error, traceback


def open_connections(
    managers: Iterable[AbstractAsyncContextManager[T, Any]], *, concurrently: bool = True
) -> AbstractAsyncContextManager[list[T]]:
    """Open many async context managers together: all or none. For asyncio.

    Acquires: each one's `__aenter__`; in order, or all at once in tasks of their own. Releases: in reverse, one by one.
    One fails, or this is cancelled: those that are still opening are cancelled and waited for, those already open are
    closed; then that error comes out, with the errors of the others as notes.
    Body fails: all are closed, the body's error comes out.
    Release fails: the others are closed; the first error comes out, each further one is a note on it.
    An error is never suppressed, whatever a manager's `__aexit__` says: it is not known which of them it belongs to.

    Args:
        managers: async context managers; with `concurrently`, none may hold a cancel scope between enter and exit,
            since these are then run by different tasks.
    Raises:
        TypeError: one is no async context manager; nothing was opened.
    """
    openings = []
    for index, manager in enumerate(managers):
        expect_async_manager(manager, f"open_connections, number {index}")
        openings.append(_Opening(manager, f"number {index}"))
    return _open_connections(openings, concurrently)


@asynccontextmanager
async def _open_connections(openings: list[_Opening[T]], concurrently: bool) -> AsyncIterator[list[T]]:
    tasks: list[asyncio.Task[None]] = []
    async with AsyncUnwind() as unwind:
        for opening in openings:
            unwind.push_async_exit(opening.leave)
            if not concurrently:
                await opening.enter()
        if concurrently and openings:
            # pushed last, so run first: what is still opening may yet turn out to be open
            unwind.push_async_exit(_Siblings(tasks).leave)
            for opening in openings:
                tasks.append(asyncio.ensure_future(opening.enter()))
            done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_EXCEPTION)
            for task in tasks:
                if task in done:
                    task.result()
        yield [opening.given[0] for opening in openings]


class _Siblings:
    """The tasks that open; none outlives the opening."""

    def __init__(self, tasks: list[asyncio.Task[None]]) -> None:
        self._tasks = tasks

    async def leave(
        self, _kind: type[BaseException] | None, error: BaseException | None, _traceback: TracebackType | None
    ) -> None:
        cancelled: asyncio.CancelledError | None = None
        for task in self._tasks:
            task.cancel()
        while pending := [task for task in self._tasks if not task.done()]:
            try:
                await asyncio.wait(pending)
            except asyncio.CancelledError as again:
                cancelled = cancelled or again
        try:
            for task in self._tasks:
                # asked of each, or asyncio says that it was never retrieved
                late = None if task.cancelled() else task.exception()
                if late is not None and error is not None:
                    attach(error, late, "opening a sibling")
            if cancelled is not None and outranks(cancelled, error):
                raise cancelled
        finally:
            del error, _traceback, cancelled
            self._tasks.clear()
