"""Releases that run whatever the ones before them did, and errors that are attached instead of lost.

One rule everywhere in this package: the body's error comes out; without one,
the first error of a release. Each further error is a note on it and can be
read by `secondary_errors`. Only an interrupt or a cancellation during a release
outranks an ordinary error, which is then its `__context__`.
"""

from __future__ import annotations

import sys
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack, ExitStack
from types import TracebackType

_ATTACHED = "__secondary_errors__"


def secondary_errors(error: BaseException) -> tuple[BaseException, ...]:
    """The errors of releases that were attached to `error`, in the order in which they happened."""
    return tuple(getattr(error, _ATTACHED, ()))


def add_note(error: BaseException, note: str) -> None:
    """`error.add_note` of Python 3.11; on 3.10 the same attribute, which pytest shows too."""
    if sys.version_info >= (3, 11):
        error.add_note(note)
    else:
        notes = [*getattr(error, "__notes__", ()), note]
        error.__notes__ = notes  # type: ignore[attr-defined]


def attach(error: BaseException, second: BaseException, doing: str) -> None:
    """Keep `second`, which came up while something was done about `error`."""
    if second is error:
        return
    lines = [f"{doing} failed too: {type(second).__name__}: {second}", *getattr(second, "__notes__", ())]
    add_note(error, "\n  ".join(lines))
    if second.__context__ is error:
        # else a circle, which only the collector would free
        second.__context__ = None
    setattr(error, _ATTACHED, [*secondary_errors(error), second])


def outranks(second: BaseException, error: BaseException | None) -> bool:
    """Whether `second`, raised by a release, comes out and not `error`, which was under way."""
    return error is None or (isinstance(error, Exception) and not isinstance(second, Exception))


def undo(error: BaseException, doing: str, release: Callable[[], object]) -> None:
    """Release something because `error` is under way; the release's own error is attached to it.

    Raises: an interrupt that came during the release.
    """
    try:
        release()
    except BaseException as second:
        if outranks(second, error):
            raise
        attach(error, second, doing)


class Unwind(ExitStack):
    """An exit stack for which no error is lost.

    A release is registered *before* its acquisition and does nothing when there
    is nothing to release, so also the second time. So there is no line between
    the two at which an interrupt could leave something behind.
    """

    def register(self, doing: str, release: Callable[[], object]) -> None:
        """Run `release` when unwinding, before everything that was pushed earlier."""

        def leave(
            _kind: type[BaseException] | None, error: BaseException | None, _traceback: TracebackType | None
        ) -> None:
            try:
                release()
            except BaseException as second:
                if not isinstance(second, Exception):
                    # an interrupt may have come before the release began; a second time it does nothing
                    undo(second, doing, release)
                if error is None or outranks(second, error):
                    raise
                attach(error, second, doing)
            finally:
                # the traceback of `second` holds this frame
                del error, _traceback

        self.push(leave)


def close_all(*steps: tuple[str, Callable[[], object]]) -> None:
    """Run these releases in this order; each one runs, whatever the ones before it raised.

    Raises:
        BaseException: the first error; further ones are attached to it.
    """
    unwind = Unwind()
    for doing, release in reversed(steps):
        unwind.register(doing, release)
    unwind.close()


class AsyncUnwind(AsyncExitStack):
    """The same for releases that are awaited."""

    def register(self, doing: str, release: Callable[[], Awaitable[object]]) -> None:
        """Await `release` when unwinding, before everything that was pushed earlier."""

        async def leave(
            _kind: type[BaseException] | None, error: BaseException | None, _traceback: TracebackType | None
        ) -> None:
            try:
                await release()
            except BaseException as second:
                if error is None or outranks(second, error):
                    raise
                attach(error, second, doing)
            finally:
                del error, _traceback

        self.push_async_exit(leave)
