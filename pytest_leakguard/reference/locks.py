"""Locks that are released exactly when they were acquired."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from contextlib import AbstractAsyncContextManager, AbstractContextManager, asynccontextmanager, contextmanager
from typing import Any, Protocol

from pytest_leakguard.reference._expect import expect
from pytest_leakguard.reference._shield import acquired
from pytest_leakguard.reference.errors import AcquireTimeout


class Lock(Protocol):
    """Locks, semaphores and conditions of `threading` and `multiprocessing` are such."""

    def acquire(self, blocking: bool = ..., timeout: Any = ..., /) -> bool: ...
    def release(self) -> None: ...


class AsyncLock(Protocol):
    """Locks, semaphores and conditions of `asyncio` are such."""

    async def acquire(self) -> Any: ...
    def release(self) -> None: ...


def held(lock: Lock, timeout: float | None = None, *, name: str | None = None) -> AbstractContextManager[None]:
    """Hold a lock for a block.

    Acquires: the lock. Releases: the lock, on every path, if and only if it was acquired.
    Acquisition fails or times out: nothing is released.
    Body fails: released; the body's error comes out.
    Release fails (the body released it): that error comes out, with the body's as its context.

    Args:
        timeout: seconds; None waits for ever.
        name: for messages; default is the lock's own text.
    Raises:
        TypeError: this is no lock.
        AcquireTimeout: it was not to be had in time.
    """
    what = name or repr(lock)
    expect(lock, ("acquire", "release"), "held", "a lock")
    return _held(lock, timeout, what)


@contextmanager
def _held(lock: Lock, timeout: float | None, what: str) -> Iterator[None]:
    is_ours = False
    try:
        is_ours = lock.acquire() if timeout is None else lock.acquire(True, timeout)
        if not is_ours:
            raise AcquireTimeout(f"lock {what} was not acquired in {timeout} s")
        yield
    finally:
        if is_ours:
            lock.release()


def async_held(
    lock: AsyncLock, timeout: float | None = None, *, name: str | None = None
) -> AbstractAsyncContextManager[None]:
    """`held` for the locks of asyncio. Cancelled while it waits, it releases only what it got."""
    what = name or repr(lock)
    expect(lock, ("acquire", "release"), "async_held", "a lock of asyncio")
    return _async_held(lock, timeout, what)


@asynccontextmanager
async def _async_held(lock: AsyncLock, timeout: float | None, what: str) -> AsyncIterator[None]:
    is_ours = False

    async def give_back(_: object) -> None:
        lock.release()

    try:
        # with a timeout another task acquires it: asyncio's locks belong to nobody in particular
        is_ours = bool(await acquired(lock.acquire, give_back, f"lock {what}", timeout))
        yield
    finally:
        if is_ours:
            lock.release()
