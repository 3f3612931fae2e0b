"""Runs what is tried and puts all that comes out of it in words, so that nothing of the user's is held."""

from __future__ import annotations

import sys
import threading
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any

from pytest_leakguard import _real
from pytest_leakguard.core.model import Finding
from pytest_leakguard.faults.errors import comes_from_injected, is_injected, related
from pytest_leakguard.faults.limit import Hung, limited
from pytest_leakguard.faults.oracles import Run

_BLUNDERS = (NameError, AttributeError, TypeError)
"""What an error in a handler looks like: a name that is not set yet, a method of None."""


@dataclass(slots=True)
class Observation:
    """What came out of a run so far.

    Args:
        is_target: whether a file is code under test; only its blunders are told.
    """

    is_target: Callable[[str], bool]
    error: str = ""
    is_from_fault: bool = False
    unrelated: str = ""
    unraisable: list[str] = field(default_factory=list)
    stacks: list[str] = field(default_factory=list)
    seconds: float = 0.0

    def note(self, error: BaseException) -> None:
        """An error came out of the run; the first one counts.

        Raises: a KeyboardInterrupt of the user's keyboard.
        """
        if isinstance(error, KeyboardInterrupt) and not comes_from_injected(error):
            raise error
        if isinstance(error, Hung):
            return
        if not self.error:
            self.error = in_words(error)
            self.is_from_fault = comes_from_injected(error)
        self.unrelated = self.unrelated or self._unrelated(error)

    def run(self, leaks: tuple[Finding, ...]) -> Run:
        """All of it, with what was left behind."""
        return Run(
            error=self.error, is_from_fault=self.is_from_fault, unrelated=self.unrelated, leaks=leaks,
            unraisable=tuple(self.unraisable), stacks=tuple(self.stacks), seconds=self.seconds,
        )  # fmt: skip

    def _unrelated(self, error: BaseException) -> str:
        for one in related(error):
            if (
                isinstance(one, _BLUNDERS)
                and not is_injected(one)
                and not one.__suppress_context__  # nor has it a cause then
                and comes_from_injected(one.__context__)
            ):
                place = _innermost(one.__traceback__)
                if place is not None and self.is_target(place[0]):
                    return f"{in_words(one)} (line {place[1]})"
        return ""


@contextmanager
def listening(seen: Observation) -> Iterator[None]:
    """While the block runs, errors that nobody could catch are collected, not shown."""
    hooks = sys.unraisablehook, threading.excepthook

    def unraisable(args: Any) -> None:
        # what the fault itself raised in a destructor or a thread had nowhere else to go
        if not isinstance(args.exc_value, (ResourceWarning, Hung)) and not comes_from_injected(args.exc_value):
            where = getattr(args.object, "__qualname__", "")
            seen.unraisable.append(f"{in_words(args.exc_value)}, with nobody to raise it to{where and f', in {where}'}")

    def in_thread(args: Any) -> None:
        if args.exc_type is not SystemExit and not comes_from_injected(args.exc_value):
            name = args.thread.name if args.thread is not None else "?"
            seen.unraisable.append(f"{in_words(args.exc_value)}, which ended thread {name!r}")

    sys.unraisablehook, threading.excepthook = unraisable, in_thread
    try:
        yield
    finally:
        if sys.unraisablehook is unraisable:
            sys.unraisablehook = hooks[0]
        if threading.excepthook is in_thread:
            threading.excepthook = hooks[1]


@contextmanager
def observed(is_target: Callable[[str], bool], limit_seconds: float) -> Iterator[Observation]:
    """The block runs within the limit; errors that nobody could catch are collected, not shown."""
    seen = Observation(is_target)
    start = _real.perf_counter()
    alarm = None
    try:
        with listening(seen), limited(limit_seconds) as alarm:
            yield seen
    except Hung:
        pass
    finally:
        if alarm is not None:
            seen.stacks += alarm.stacks
        seen.seconds = _real.perf_counter() - start


def in_words(error: BaseException | None) -> str:
    """Type and message, on one line."""
    if error is None:
        return "an error"
    try:
        text = " ".join(str(error).split())
    except Exception:  # a message of the user's own class
        text = ""
    return f"{type(error).__name__}: {text[:200]}" if text else type(error).__name__


def _innermost(tb: TracebackType | None) -> tuple[str, int] | None:
    places = [(frame.f_code.co_filename, line) for frame, line in traceback.walk_tb(tb)]
    return places[-1] if places else None
