"""A time limit for a trial: the stacks of all threads, then an error in the thread that hangs."""

from __future__ import annotations

import os
import signal
import sys
import threading
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from types import FrameType

from pytest_leakguard import _real
from pytest_leakguard.faults import force
from pytest_leakguard.origins import frames

AGAIN_SECONDS = 1.0
"""How long after an alarm the next comes, for code that goes on after any error."""


class Hung(BaseException):
    """Raised in a trial that does not end; no handler for exceptions should stop it."""


@dataclass(slots=True)
class Alarm:
    """The stacks of all threads at the first alarm, one string a thread; none when it never rang."""

    stacks: list[str] = field(default_factory=list)


def can_limit() -> bool:
    """Whether a trial can be ended from outside here: the main thread, a system with an alarm that nobody uses."""
    return (
        hasattr(signal, "setitimer")
        and threading.current_thread() is threading.main_thread()
        and signal.getitimer(signal.ITIMER_REAL)[0] == 0
        and signal.getsignal(signal.SIGALRM) in (signal.SIG_DFL, signal.SIG_IGN, None)
    )


@contextmanager
def limited(seconds: float) -> Iterator[Alarm]:
    """End the block with `Hung` after that time; where that can't be done it just runs."""
    alarm = Alarm()
    if not can_limit():
        yield alarm
        return

    def ring(signum: int, frame: FrameType | None) -> None:
        if not alarm.stacks:
            alarm.stacks += _stacks(frame)
        force.note()
        raise Hung

    before = signal.signal(signal.SIGALRM, ring)
    signal.setitimer(signal.ITIMER_REAL, seconds, AGAIN_SECONDS)
    try:
        yield alarm
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


def _stacks(here: FrameType | None) -> list[str]:
    names = {thread.ident: thread.name for thread in _real.enumerate_threads()}
    stacks = []
    for ident, frame in sys._current_frames().items():
        top = here if ident == _real.get_ident() and here is not None else frame
        lines = [
            f"    {frames.shorten(line.filename, os.getcwd())}:{line.lineno} in {line.name}"
            for line in reversed(traceback.extract_stack(top))
            if frames.region(line.filename) not in ("runner", "self") and not line.filename.startswith("<frozen ")
        ]
        stacks.append("\n".join([f"thread {names.get(ident, ident)!r}", *lines[:12]]))
    return stacks
