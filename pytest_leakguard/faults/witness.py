"""Looks closely at one trial: what is held when the fault comes, and which cleanups run after it.

A trial that found something is run once more under a witness. That way a sweep
of clean code pays nothing for it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
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
    has_run: bool

    def __str__(self) -> str:
        return f"{self.cleanup.text} ({self.file}:{self.cleanup.line})"


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
            stack = list(stack)
            self._held = self.held(stack)
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
            held = tuple(one.text for one in self._held)
            finding = replace(finding, held=held, unseen=self._reason or ("" if seen else NO_CLEANUP))
            if not self._reason:
                ran, passed = ([str(one) for one in seen if one.has_run is has_run] for has_run in (True, False))
                finding = replace(finding, ran=tuple(ran), passed=tuple(passed))
            if self._is_in_hands(finding):
                finding = replace(finding, told=True, details=(IN_HANDS, *finding.details))
        return replace(finding, fix=remedy(finding, self.targets.root) or finding.fix)

    def _is_in_hands(self, finding: FaultFinding) -> bool:
        origin = finding.leak.origin if finding.leak is not None else None
        if origin is None or origin.file is None:
            return False
        same = [one for one in self._held if (one.file, one.line) == (origin.file, origin.line)]
        return bool(same) and all(one.in_hands for one in same)
