"""Where a suspended coroutine, generator or asynchronous generator waits, as a stack of its own."""

from __future__ import annotations

from types import AsyncGeneratorType, CoroutineType, FrameType, GeneratorType
from typing import Any

from pytest_leakguard import _real
from pytest_leakguard.origins import frames

_DEPTH = 64
_SUSPENDED = (CoroutineType, GeneratorType, AsyncGeneratorType)


def await_stack(awaitable: object) -> frames.Stack:
    """The frames from the innermost one that waits outwards; empty for what is over or written in C.

    No frame is kept: only code objects and the index of the instruction.
    """
    chain: list[tuple[Any, int]] = []
    step: Any = awaitable
    for _ in range(_DEPTH):
        if isinstance(step, CoroutineType):
            frame, step = step.cr_frame, step.cr_await
        elif isinstance(step, GeneratorType):
            frame, step = step.gi_frame, step.gi_yieldfrom
        elif isinstance(step, AsyncGeneratorType):
            frame, step = step.ag_frame, step.ag_await
        else:
            step = _behind(step)
            if step is None:
                break
            continue
        _add(chain, frame)
    return tuple(reversed(chain))


def has_started(awaitable: object) -> bool:
    """Whether a coroutine's body has been entered; True for what can't tell."""
    if not isinstance(awaitable, CoroutineType) or awaitable.cr_frame is None:
        return True
    suspended = getattr(awaitable, "cr_suspended", None)  # 3.11 and later
    return awaitable.cr_frame.f_lasti >= 0 if suspended is None else bool(suspended or awaitable.cr_running)


def is_closed(awaitable: object) -> bool:
    """Whether a coroutine can't go on: it ran to its end, or somebody closed it; False for what can't tell."""
    if isinstance(awaitable, CoroutineType):
        return awaitable.cr_frame is None
    return isinstance(awaitable, GeneratorType) and awaitable.gi_frame is None


def held_by(awaitable: object) -> set[int]:
    """The ids of what the frames of a suspended coroutine hold directly: locals and the value stack."""
    held: set[int] = set()
    step: Any = awaitable
    owner: object
    for _ in range(_DEPTH):
        if isinstance(step, CoroutineType):
            owner, frame, step = step, step.cr_frame, step.cr_await
        elif isinstance(step, AsyncGeneratorType):
            owner, frame, step = step, step.ag_frame, step.ag_await
        else:
            step = _behind(step)
            if step is None:
                break
            continue
        # before 3.11 the frame leads to its values, from then on the coroutine itself does
        for holder in (owner, frame):
            if holder is not None:
                held.update(_real.identity(value) for value in _real.gc_get_referents(holder))
        held.add(_real.identity(step))
        held.add(_real.identity(_behind(step)))
    return held


def _behind(step: object) -> object | None:
    """The generator or coroutine behind a C object that stands for one await: ``asend()``, ``__await__()``."""
    name = type(step).__name__
    if not name.startswith(("async_generator_", "coroutine_wrapper", "anext_awaitable")):
        return None
    return next((one for one in _real.gc_get_referents(step) if isinstance(one, _SUSPENDED)), None)


def _add(chain: list[tuple[Any, int]], frame: FrameType | None) -> None:
    if frame is not None:
        chain.append((frame.f_code, frame.f_lasti))
