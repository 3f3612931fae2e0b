"""The one audit hook of the process: cheap, switchable, safe at shutdown.

A hook can't be removed, so exactly one is added and it looks its events up in
a table that is empty while nobody records. An error of ours never comes out of it.

Nearly all events are of no interest. Where the part in C was built, the hook of
the process is there, and calls the handlers of the others.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any

from pytest_leakguard import _real, native

Handler = Callable[[Any, "FrameType | None"], object]
"""Told of an event: its arguments, and the frame that calls."""

Handlers = dict[str, Handler]

_handlers: Handlers = {}
_silenced = 0

Plan = Callable[[str, Any, FrameType], "BaseException | None"]
"""Asked at an event, with its arguments and the frame that calls: the error that the call is to raise."""

_plan: Plan | None = None


def _hook(event: str, args: Any) -> None:
    if event in _handlers and not is_hushed():  # nearly every event is one of the others
        _tell(event, args, _real.getframe(0).f_back)


def _tell(event: str, args: Any, frame: FrameType | None) -> None:
    handlers = _handlers  # another thread may put others in their place
    fault = None
    try:
        if _plan is not None and frame is not None:
            fault = _plan(event, args, frame)
        if fault is None and event in handlers:
            handlers[event](args, frame)
    except Exception as error:  # an error of ours must never come out of the user's call
        note_failure(error)
    if fault is not None:
        try:
            raise fault
        finally:
            del fault, args, frame  # the traceback keeps this frame


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
    """What `_tell` asks, for operations that raise no event in this version of Python."""
    if _plan is None or is_hushed():
        return None
    return _plan(event, args, frame)


def _ignore(args: Any, frame: FrameType | None) -> None:
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
        _by_name.feed(handlers, None if _plan is None else _tell)


def changed(handlers: Handlers) -> None:
    """Events were put into that table, or taken out."""
    if handlers is _handlers:
        feed(handlers)


_added = False
_by_name: native.Native | None = None
"""The part in C, where it is the hook."""


def _add() -> None:
    global _added, _by_name
    _added = True
    if native.part is not None:
        try:
            native.part.add_hook(note_failure)
        except RuntimeError:  # an earlier import of this module, which somebody undid, has it
            pass
        else:
            _by_name = native.part
            return
    sys.addaudithook(_hook)


def _hush() -> int:
    global _silenced
    before, _silenced = _silenced, _real.get_ident()
    return before


def _unhush(before: int) -> None:
    global _silenced
    _silenced = before


def _is_hushed() -> bool:
    return _silenced == _real.get_ident()


hush: Callable[[], int] = _hush if native.part is None else native.part.hush
"""What this thread does is left out, our own reading of the process: give the result to `unhush`."""
unhush: Callable[[int], object] = _unhush if native.part is None else native.part.unhush
"""End of `hush`."""
is_hushed: Callable[[], bool] = _is_hushed if native.part is None else native.part.is_hushed
"""Whether this thread does work of ours."""


def failures() -> list[str]:
    """Errors of our own handlers, for the report."""
    return list(_failures)


def in_turn(handlers: list[Handler]) -> Handler:
    """One handler for all of these."""
    if len(handlers) == 1:
        return handlers[0]
    told = tuple(handlers)

    def handle(args: Any, frame: FrameType | None) -> None:
        for handler in told:
            handler(args, frame)

    return handle
