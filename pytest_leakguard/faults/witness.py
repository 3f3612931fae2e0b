"""Looks closely at one trial: what is held when the fault comes, and which cleanups run after it.

A trial that found something is run once more under a witness. That way a sweep
of clean code pays nothing for it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from types import CodeType, FrameType

from pytest_leakguard.faults import force
from pytest_leakguard.faults.cleanups import Cleanup, around
from pytest_leakguard.faults.model import FaultFinding
from pytest_leakguard.faults.points import line_now
from pytest_leakguard.faults.remedies import remedy
from pytest_leakguard.faults.targets import Targets
from pytest_leakguard.faults.watching import Listener, Refused, watching
from pytest_leakguard.origins import frames
from pytest_leakguard.origins.audit import Recorder

NO_CLEANUP = "no with, except or finally of the code under test was around it"

NOT_COME = "what was held and which cleanups ran is not known: the fault did not come when the trial was repeated"
LOST = "which cleanups ran is not known: a profile function is in the way of looking on after the error"
IN_HANDS = "told only: the test had it in its hands by then, and guards it by no `with` and no `try`"


@dataclass(frozen=True, slots=True, kw_only=True)
class HeldThen:
    """A resource that the run has when the fault comes.

    Attributes:
        text: it in words, with the line it came from.
        file, line: that line, where it is known.
        in_hands: the code under test has given it out to a test that does not release it when it fails.
    """

    text: str
    file: str | None = None
    line: int | None = None
    in_hands: bool = False


@dataclass(slots=True)
class _Watched:
    """A cleanup of a running function."""

    cleanup: Cleanup
    file: str
    has_run: bool = False

    def __str__(self) -> str:
        return f"{self.cleanup.text} ({self.file}:{self.cleanup.line})"

    def begins_at(self, line: int, offset: int) -> bool:
        """Whether it runs when the function comes there."""
        cleanup = self.cleanup
        return cleanup.first <= line <= cleanup.last if cleanup.exit is None else offset == cleanup.exit


@dataclass(slots=True)
class Witness:
    """Sees one trial.

    Args:
        held: asked at the moment of the fault, with the frames that it goes through, innermost first.
    """

    targets: Targets
    held: Callable[[Sequence[FrameType]], Sequence[HeldThen]]
    _held: Sequence[HeldThen] = ()
    _reason: str = ""
    _came: bool = False
    _ends: int = 0
    _seen: list[_Watched] = field(default_factory=list)
    # by the frame's number: the frame itself would keep alive what its locals hold
    _around: dict[tuple[int, CodeType], list[_Watched]] = field(default_factory=dict)

    @contextmanager
    def watching(self) -> Iterator[None]:
        """While the block runs, the code under test is seen, where that can be had."""
        self._ends = force.ends()
        with ExitStack() as stack:
            try:
                stack.enter_context(watching(self.targets, Listener(line=self._line, left=self._left, lost=self._lost)))
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
            stack = list(stack)
            self._held = self.held(stack)
            for frame in stack:
                if self.targets.is_target(frame.f_code.co_filename):
                    self._around[id(frame), frame.f_code] = self._cleanups(frame)

    def _cleanups(self, frame: FrameType) -> list[_Watched]:
        file = frames.shorten(frame.f_code.co_filename, self.targets.root)
        cleanups = [_Watched(one, file) for one in around(frame.f_code, line_now(frame), frame.f_lasti)]
        self._seen += cleanups
        return [one for one in cleanups if one.cleanup.is_entered]

    def _line(self, frame: FrameType, number: int) -> None:
        if self._is_on():
            for one in self._around.get((id(frame), frame.f_code), ()):
                one.has_run = one.has_run or one.begins_at(number, frame.f_lasti)

    def _left(self, frame: FrameType) -> None:
        """No way out of a function leads past a `with` that is entered, or past a `finally`."""
        if self._is_on():
            for one in self._around.pop((id(frame), frame.f_code), ()):
                one.has_run = one.has_run or not one.cleanup.is_handler

    def _lost(self) -> None:
        self._reason = self._reason or LOST

    def _is_on(self) -> bool:
        """Whether the fault has come, and what goes on goes on because of it."""
        return self._came and force.ends() == self._ends

    def explain(self, finding: FaultFinding) -> FaultFinding:
        """A finding of that trial, with what was seen, or why nothing was."""
        if not self._came:
            finding = replace(finding, unseen=NOT_COME)
        else:
            held = tuple(one.text for one in self._held)
            finding = replace(finding, held=held, unseen=self._reason or ("" if self._seen else NO_CLEANUP))
            if not self._reason:
                finding = replace(finding, ran=self._told(True), passed=self._told(False), no_exit=self._no_exit())
            if self._is_in_hands(finding):
                finding = replace(finding, told=True, details=(IN_HANDS, *finding.details))
        return replace(finding, fix=remedy(finding, self.targets.root) or finding.fix)

    def _told(self, has_run: bool) -> tuple[str, ...]:
        return tuple(str(one) for one in self._seen if one.cleanup.is_entered and one.has_run is has_run)

    def _no_exit(self) -> tuple[str, ...]:
        return tuple(str(one) for one in self._seen if not one.cleanup.is_entered)

    def _is_in_hands(self, finding: FaultFinding) -> bool:
        origin = finding.leak.origin if finding.leak is not None else None
        if origin is None or origin.file is None:
            return False
        same = [one for one in self._held if (one.file, one.line) == (origin.file, origin.line)]
        return bool(same) and all(one.in_hands for one in same)
