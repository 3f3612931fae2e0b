"""One task or asynchronous generator that is watched: what is known of it, and what can be asked."""

from __future__ import annotations

import weakref
from collections import deque
from collections.abc import Callable
from typing import Any, Literal

from pytest_leakguard import _real
from pytest_leakguard.core.ledger import Context
from pytest_leakguard.origins import frames
from pytest_leakguard.origins.asyncio_stacks import name_of
from pytest_leakguard.origins.awaiting import await_stack, has_started, is_closed
from pytest_leakguard.origins.record import Record

What = Literal["task", "asyncgen"]


class Sighting:
    """One task or asynchronous generator, held weakly.

    One is made for each, and nearly all are over before anybody asks: what is worked out later is a default of the
    class until then.

    Attributes:
        serial: its key, unique in the process.
        identity: its id.
        stack: of the code that made it, as it was found.
        context: who owned what was made at that moment.
    """

    record: Record | None = None
    """Where it was made, and whose it is; worked out when it rests or is asked for."""
    at_rest = False
    """Pending when its loop last stopped, and the loop has not run since."""
    asked = False
    """Somebody had asked it to end by then, or its loop was broken off."""
    put_off = ""
    """The test after which it was not told yet, since its loop had something to run that might end it."""
    by_callback = False
    """No code of the project or a dependency made it, but a callback of the loop."""
    ended = ""
    """How it ended without having been released; empty while it is alive."""
    name = ""
    coroutine = ""
    coroutine_id = 0
    place: frames.Stack = ()
    """Where it waits."""
    started = True
    guard: object = None
    """Tells of its death, from its first rest on."""
    loop_of_generator: Callable[[], Any] | None = None
    """A task knows its loop itself."""
    body: Callable[[], Any] | None = None
    """The coroutine of a task, while it lives."""

    def __init__(self, serial: int, what: What, obj: Any, stack: frames.Stack, context: Context) -> None:
        self.serial = serial
        self.what = what
        self.ref = weakref.ref(obj)
        self.identity = _real.identity(obj)
        self.stack = stack
        self.context = context

    def loop(self) -> Any:
        """Its loop, if that is alive."""
        if self.loop_of_generator is not None:
            return self.loop_of_generator()
        obj = self.ref()
        return obj.get_loop() if obj is not None and self.what == "task" else None

    def settle(self, event: str, stack: frames.Stack, context: Context) -> None:
        """Say for good where it was made and whose it is."""
        self.record = Record(event, None, stack, context)
        self.record.how = "wrap"

    def identify(self, task: Any) -> None:
        """Note what is told of a task when it is gone."""
        coroutine = task.get_coro()
        self.body = weakly(coroutine)
        self.coroutine = name_of(coroutine)
        self.coroutine_id = _real.identity(coroutine)
        self.name = str(task.get_name())
        self.started = has_started(coroutine)

    def is_over(self, obj: Any) -> bool:
        """Whether it ran to its end, or was closed; a task also by hand, where no loop can cancel it."""
        if self.what == "task":
            return bool(obj.done()) or is_closed(obj.get_coro())
        return obj.ag_frame is None

    def was_closed(self) -> bool:
        """Whether somebody closed the coroutine of a task that dies; False when the collector takes both."""
        return self.body is not None and is_closed(self.body())

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


def has_work(loop: Any) -> bool:
    """Whether a loop at rest would run something now: a callback, a timer that is due, what waits for a descriptor.

    The next step of a task is nothing that ends another one. Nothing is known of a loop that is not asyncio's own, and
    no selector is asked that is not Python's.
    """
    ready, timers = getattr(loop, "_ready", None), getattr(loop, "_scheduled", None)
    if type(ready) is not deque or type(timers) is not list:
        return False
    if not all(map(_is_step, tuple(ready))) or (timers and timers[0].when() <= loop.time()):
        return True
    selector: Any = getattr(loop, "_selector", None)
    return type(selector).__module__ == "selectors" and bool(selector.get_map() and selector.select(0))


def _is_step(handle: Any) -> bool:
    callback = getattr(handle, "_callback", None)
    # of a task written in C, or in Python
    return type(callback).__name__ == "TaskStepMethWrapper" or getattr(callback, "__name__", "") == "__step"


def weakly(obj: Any) -> Callable[[], Any]:
    """A weak reference; to nothing where there can't be one, as for a loop or coroutine of another kind."""
    try:
        return weakref.ref(obj)
    except TypeError:
        return _nothing


def _nothing() -> None:
    """What a weak reference to nothing gives."""
