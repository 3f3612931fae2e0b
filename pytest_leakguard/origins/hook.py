"""The one audit hook of the process: cheap, switchable, safe at shutdown.

A hook can't be removed, so exactly one is added and it looks its events up in
a table that is empty while nobody records. An error of ours never comes out of it.

Nearly all events are of no interest. Where the part in C was built, the hook of
the process is there, and Python is called for the others only.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any

from pytest_leakguard import _real, native

Handler = Callable[[Any], None]
Handlers = dict[str, Handler]

_handlers: Handlers = {}
_silenced = 0

Plan = Callable[[str, Any, FrameType], "BaseException | None"]
"""Asked at an event, with its arguments and the frame that calls: the error that the call is to raise."""

_plan: Plan | None = None


def _hook(event: str, args: Any) -> None:
    handlers = _handlers  # another thread may put others in their place
    if event in handlers and _silenced != _real.get_ident():  # nearly every event is one of the others
        fault = None
        try:
            if _plan is not None:
                fault = _plan(event, args, _real.getframe(1))
            if fault is None:
                handlers[event](args)
        except Exception as error:  # an error of ours must never come out of the user's call
            note_failure(error)
        if fault is not None:
            try:
                raise fault
            finally:
                del fault, args  # the traceback keeps this frame


@contextmanager
def sabotage(plan: Plan, events: Iterable[str]) -> Iterator[None]:
    """While the block runs, `plan` decides whether a call that raises one of these events fails.

    What fails acquires nothing, so nothing is recorded of it.
    """
    global _plan
    before = _handlers, _plan
    try:
        _plan = plan
        feed({**dict.fromkeys(events, _ignore), **_handlers})
        yield
    finally:
        handlers, _plan = before
        feed(handlers)


def planned_fault(event: str, args: Any, frame: FrameType) -> BaseException | None:
    """What `_hook` asks, for operations that raise no event in this version of Python."""
    if _plan is None or _silenced == _real.get_ident():
        return None
    return _plan(event, args, frame)


def _ignore(args: Any) -> None:
    """Nothing to record of that event."""


_failures: list[str] = []


def note_failure(error: Exception) -> None:
    """Keep an error of ours for the report."""
    if len(_failures) < 10:
        _failures.append(f"audit hook: {type(error).__name__}: {error}")


def feed(handlers: Handlers) -> None:
    """From now on these are told of their events, and no others; adds the process's hook the first time."""
    global _handlers
    _handlers = handlers
    if handlers and not _added:
        _add()
    if _by_name is not None:
        _by_name.tell(tuple(handlers))


def changed(handlers: Handlers) -> None:
    """Events were put into that table, or taken out."""
    if handlers is _handlers:
        feed(handlers)


_added = False
_by_name: native.Native | None = None
"""The part in C, while it is what calls `_hook`."""


def _add() -> None:
    global _added, _by_name
    _added = True
    if native.part is not None:
        try:
            native.part.add_hook(_hook)
        except RuntimeError:  # an earlier import of this module, which somebody undid, has it
            pass
        else:
            _by_name = native.part
            return
    sys.addaudithook(_hook)


def hush() -> int:
    """What this thread does is left out, our own reading of the process: give the result to `unhush`."""
    global _silenced
    before, _silenced = _silenced, _real.get_ident()
    return before


def unhush(before: int) -> None:
    """End of `hush`."""
    global _silenced
    _silenced = before


def is_hushed() -> bool:
    """Whether this thread does work of ours."""
    return _silenced == _real.get_ident()


def failures() -> list[str]:
    """Errors of our own handlers, for the report."""
    return list(_failures)


def in_turn(handlers: list[Handler]) -> Handler:
    """One handler for all of these."""
    if len(handlers) == 1:
        return handlers[0]
    told = tuple(handlers)

    def handle(args: Any) -> None:
        for handler in told:
            handler(args)

    return handle
