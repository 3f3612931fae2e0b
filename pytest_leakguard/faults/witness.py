"""Looks closely at one trial: what is held when the fault comes, and which cleanups run after it.

A trial that found something is run once more under a witness. That way a sweep
of clean code pays nothing for it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from types import CodeType, FrameType

from pytest_leakguard.faults.cleanups import Cleanup, around
from pytest_leakguard.faults.model import FaultFinding
from pytest_leakguard.faults.points import line_now
from pytest_leakguard.faults.remedies import remedy
from pytest_leakguard.faults.targets import Targets
from pytest_leakguard.faults.watching import Listener, Refused, watching
from pytest_leakguard.origins import frames
from pytest_leakguard.origins.audit import Recorder

NO_CLEANUP = "no with, except or finally of the code under test was around it"


@dataclass(slots=True)
class _Watched:
    """A cleanup of a running function."""

    cleanup: Cleanup
    file: str
    has_run: bool

    def __str__(self) -> str:
        return f"{self.cleanup.text} ({self.file}:{self.cleanup.line})"


@dataclass(slots=True)
class Witness:
    """Sees one trial.

    Args:
        held: asked at the moment of the fault.
    """

    targets: Targets
    held: Callable[[], tuple[str, ...]]
    _held: tuple[str, ...] = ()
    _reason: str = ""
    _came: bool = False
    # by the frame's number: the frame itself would keep alive what its locals hold
    _around: dict[tuple[int, CodeType], list[_Watched]] = field(default_factory=dict)

    @contextmanager
    def watching(self) -> Iterator[None]:
        """While the block runs, lines of the code under test are seen, where that can be had."""
        with ExitStack() as stack:
            try:
                stack.enter_context(watching(self.targets, Listener(line=self._line)))
            except Refused as refused:
                self._reason = str(refused)
            yield

    def moment(self, stack: Iterable[FrameType]) -> None:
        """The fault comes now.

        Args:
            stack: the frames that it goes through, innermost first.
        """
        if self._came:
            return
        self._came = True
        with Recorder.unharmed():
            self._held = self.held()
            for frame in stack:
                if self.targets.is_target(frame.f_code.co_filename):
                    self._around[id(frame), frame.f_code] = self._cleanups(frame)

    def _cleanups(self, frame: FrameType) -> list[_Watched]:
        file = frames.shorten(frame.f_code.co_filename, self.targets.root)
        # the way out of a frame leads through each `with` and `finally`; whether an `except` catches is seen
        return [_Watched(one, file, not one.is_handler) for one in around(frame.f_code, line_now(frame))]

    def _line(self, frame: FrameType, number: int) -> None:
        if self._came:
            for one in self._around.get((id(frame), frame.f_code), ()):
                if one.cleanup.is_handler and one.cleanup.first <= number <= one.cleanup.last:
                    one.has_run = True

    def explain(self, finding: FaultFinding) -> FaultFinding:
        """A finding of that trial, with what was seen; nothing of cleanups when the fault did not come again."""
        if self._came:
            seen = [one for cleanups in self._around.values() for one in cleanups]
            finding = replace(finding, held=self._held, unseen=self._reason or ("" if seen else NO_CLEANUP))
            if not self._reason:
                ran, passed = ([str(one) for one in seen if one.has_run is has_run] for has_run in (True, False))
                finding = replace(finding, ran=tuple(ran), passed=tuple(passed))
        return replace(finding, fix=remedy(finding, self.targets.root) or finding.fix)
