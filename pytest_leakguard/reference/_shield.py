"""Await something to its end while this task is being cancelled."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from functools import partial
from typing import TypeVar

from pytest_leakguard.reference._unwind import attach
from pytest_leakguard.reference.errors import AcquireTimeout, ReleaseTimeout

T = TypeVar("T")

GIVE_UP_SECONDS = 1.0
"""How long a release that did not end in time gets to react to being cancelled."""


async def _call(function: Callable[[], Awaitable[T]]) -> T:
    # the coroutine is made inside the task: with no task there is none that was never awaited
    return await function()


async def _release_in_task(call: Callable[[], Awaitable[object]]) -> None:
    await call()


async def release(call: Callable[[], Awaitable[object]], doing: str, timeout: float) -> None:
    """Run a release in a task of its own and wait for it, however often this task is cancelled meanwhile.

    Args:
        doing: what it is, for messages.
        timeout: seconds; then the release is cancelled itself.
    Raises:
        CancelledError: this task was cancelled; the release has ended by now, its own error is a note.
        ReleaseTimeout: it did not end in time.
        BaseException: what the release raised.
    """
    task = asyncio.ensure_future(_release_in_task(call))
    interrupted = await _wait(task, timeout)
    failure: BaseException | None = None
    if not task.done():
        failure = ReleaseTimeout(f"{doing} did not end in {timeout} s")
        task.cancel()
        interrupted = await _wait(task, GIVE_UP_SECONDS) or interrupted
    if task.done() and not task.cancelled() and task.exception() is not None:
        error = task.exception()
        assert error is not None
        if failure is None:
            failure = error
        else:
            attach(failure, error, doing)
    elif task.cancelled() and failure is None:
        failure = asyncio.CancelledError(f"{doing} was cancelled from elsewhere")
    try:
        if interrupted is not None:
            if failure is not None:
                attach(interrupted, failure, doing)
            raise interrupted
        if failure is not None:
            raise failure
    finally:
        # else the errors, their tracebacks and this frame hold each other
        del interrupted, failure


async def _wait(task: asyncio.Future[T], timeout: float) -> BaseException | None:
    """Wait until a task is done or the time is up; gives the first cancellation or interrupt that came meanwhile."""
    end = None
    interrupted: BaseException | None = None
    while not task.done():
        try:
            end = end or time.monotonic() + timeout
            _, pending = await asyncio.wait({task}, timeout=max(end - time.monotonic(), 0.0))
            if pending:
                break
        except (asyncio.CancelledError, KeyboardInterrupt) as error:
            interrupted = interrupted or error
    return interrupted


async def acquired(
    acquire: Callable[[], Awaitable[T]],
    give_back: Callable[[T], Awaitable[object]],
    what: str,
    timeout: float | None,
    patience: float = 0.0,
) -> T:
    """Await an acquisition, for a limited time; what comes too late is given back.

    `asyncio.wait_for` of Python 3.10 and 3.11 can lose a result that comes at
    the moment of the timeout or of a cancellation.

    Args:
        give_back: called with what was acquired although nobody waits for it any more.
        timeout: seconds; None waits for ever.
        patience: seconds for which an acquisition may go on after this task was cancelled, before it is cancelled
            too. Drivers that connect in a thread lose the connection when they are cancelled meanwhile.
    Raises:
        AcquireTimeout: it did not end in time.
        CancelledError: this task was cancelled.
        BaseException: what the acquisition raised.
    """
    if timeout is None and not patience:
        return await acquire()
    task = asyncio.ensure_future(_call(acquire))
    try:
        _, pending = await asyncio.wait({task}, timeout=timeout)
        if pending:
            raise AcquireTimeout(f"{what} was not acquired in {timeout} s")
        return task.result()
    except BaseException as error:
        if task.done() and not task.cancelled() and task.exception() is error:
            raise
        if isinstance(error, asyncio.CancelledError):
            await _wait(task, patience)
        if not task.done():
            task.cancel()
            await _wait(task, GIVE_UP_SECONDS)
        if task.done() and not task.cancelled():
            late = task.exception()
            if late is not None:
                attach(error, late, f"acquiring {what}")
            else:
                result = task.result()
                try:
                    await release(partial(give_back, result), f"releasing {what}", GIVE_UP_SECONDS)
                except Exception as second:
                    attach(error, second, f"releasing {what}")
        raise
