"""One task or asynchronous generator that is watched: what is known of it, and what can be asked."""

from __future__ import annotations

import weakref
from collections.abc import Callable
from typing import Any, Literal

from pytest_leakguard.origins import frames
from pytest_leakguard.origins.awaiting import await_stack, has_started, is_closed
from pytest_leakguard.origins.record import Record

What = Literal["task", "asyncgen"]


class Sighting:
    """One task or asynchronous generator, held weakly.

    Attributes:
        serial: its key, unique in the process.
        at_rest: pending when its loop last stopped, and the loop has not run since.
        asked: somebody had asked it to end by then, or its loop was broken off.
        body: the coroutine of a task, while it lives.
        by_callback: no code of the project or a dependency made it, but a callback of the loop.
        ended: how it ended without having been released; empty while it is alive.
    """

    __slots__ = (
        "asked", "at_rest", "body", "by_callback", "coroutine", "coroutine_id", "ended", "loop", "name", "place",
        "record", "ref", "serial", "started", "what",
    )  # fmt: skip

    def __init__(self, serial: int, what: What, record: Record, loop: Any) -> None:
        self.serial = serial
        self.what = what
        self.record = record
        self.loop = weakly(loop)
        self.ref: Callable[[], Any] = lambda: None
        self.body: Callable[[], Any] = lambda: None
        self.name = self.coroutine = self.ended = ""
        self.coroutine_id = 0
        self.place: frames.Stack = ()
        self.at_rest = self.asked = self.by_callback = False
        self.started = True

    def is_over(self, obj: Any) -> bool:
        """Whether it ran to its end, or was closed; a task also by hand, where no loop can cancel it."""
        if self.what == "task":
            return bool(obj.done()) or is_closed(obj.get_coro())
        return obj.ag_frame is None

    def was_closed(self) -> bool:
        """Whether somebody closed the coroutine of a task that dies; False when the collector takes both."""
        return is_closed(self.body())

    def is_running(self) -> bool:
        """Whether its loop runs, in whatever thread."""
        loop = self.loop()
        return loop is not None and bool(loop.is_running())

    def is_closed(self) -> bool:
        """Whether its loop can't run any more."""
        loop = self.loop()
        return loop is None or bool(loop.is_closed())

    def look(self, obj: Any) -> None:
        """Note where it waits now."""
        if self.what == "task":
            coroutine = obj.get_coro()
            self.name = str(obj.get_name())
            self.started = has_started(coroutine)
            self.place = await_stack(coroutine)
        else:
            self.place = await_stack(obj)


def is_ending(task: Any) -> bool:
    """Whether a cancellation is on its way into a task: asked for, and not yet delivered."""
    waits = task
    for _ in range(20):
        if waits is None:
            return False
        if getattr(waits, "_must_cancel", False) or getattr(waits, "_cancel_requested", False) or waits.cancelled():
            return True
        waits = getattr(waits, "_fut_waiter", None)
    return False


def is_due(task: Any) -> bool:
    """Whether what a task waited for has come, so that it goes on as soon as its loop does."""
    waits = getattr(task, "_fut_waiter", None)
    return waits is not None and waits.done()


def weakly(obj: Any) -> Callable[[], Any]:
    """A weak reference; to nothing where there can't be one, as for a loop or coroutine of another kind."""
    try:
        return weakref.ref(obj)
    except TypeError:
        return lambda: None
