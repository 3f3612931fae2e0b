"""Counting the points of a run, and knowing the one that is to fail when it comes."""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from types import FrameType

from pytest_leakguard import _real
from pytest_leakguard.faults.model import Family, FaultFinding, FaultPoint, Mode, Moment
from pytest_leakguard.faults.source import qualname_of
from pytest_leakguard.faults.targets import Targets, stack_of
from pytest_leakguard.origins import frames

Site = tuple[str, str, str]
"""Path, qualified name, what: occurrences are counted within one."""

MOST_OCCURRENCES = 100
"""Of one site; a loop of ten thousand turns does not become ten thousand trials. The rest is told as skipped."""


@dataclass(slots=True)
class Shot:
    """What one trial injected. An `Injection`."""

    injected: int = 0
    later: int = 0
    error: str = ""
    stack: tuple[str, ...] = ()
    apart: bool = False
    moment: Moment | None = None

    def findings(self, point: FaultPoint, mode: Mode) -> tuple[FaultFinding, ...]:
        """Nothing but what everybody sees."""
        return ()


@dataclass(slots=True)
class Counting:
    """Pass 0: asks for nothing to fail."""

    family: Family
    targets: Targets
    points: list[FaultPoint]
    seen: Counter[Site] = field(default_factory=Counter)
    pid: int = field(default_factory=_real.getpid)

    def hit(self, frame: FrameType, line: int, what: str, make: Callable[[str], BaseException]) -> None:
        """A point is reached; nothing fails."""
        if _real.getpid() != self.pid:
            return
        code = frame.f_code
        site = (self.targets.path_of(code.co_filename), qualname_of(code), what)
        self.seen[site] += 1
        path, qualname, _ = site
        self.points.append(
            FaultPoint(
                family=self.family, path=path, qualname=qualname, what=what, occurrence=self.seen[site], line=line
            )
        )


@dataclass(slots=True)
class Aiming:
    """A trial: the error is given out when the point comes, and later ones of its site when it persists."""

    point: FaultPoint
    mode: Mode
    targets: Targets
    shot: Shot
    seen: int = 0
    pid: int = field(default_factory=_real.getpid)

    def hit(self, frame: FrameType, line: int, what: str, make: Callable[[str], BaseException]) -> BaseException | None:
        """A point is reached: the error, if it is to fail now."""
        point, shot = self.point, self.shot
        if what != point.what or _real.getpid() != self.pid:
            return None  # an error in a forked child would lead it back into pytest
        if shot.injected:
            # what persists is the operation, wherever in the code under test it is tried again
            shot.later += 1
            if self.mode == "transient":
                return None
            shot.injected += 1
            return make(point.id)
        code = frame.f_code
        if self.targets.path_of(code.co_filename) != point.path or qualname_of(code) != point.qualname:
            return None
        self.seen += 1
        if self.seen < point.occurrence:
            return None
        error = make(point.id)
        shot.injected = 1
        shot.error = f"{type(error).__name__}: {error}"
        shot.stack = stack_of(frame, self.targets)
        if shot.moment is not None:
            shot.moment(outwards(frame))
        shot.apart = is_in_event_loop() or _real.get_ident() != _real.main_thread().ident
        return error


Tally = Counting | Aiming


def is_in_event_loop() -> bool:
    """Whether this thread runs an event loop of asyncio."""
    asyncio = sys.modules.get("asyncio")
    return asyncio is not None and asyncio._get_running_loop() is not None


def outwards(frame: FrameType | None) -> Iterator[FrameType]:
    """A frame and its callers."""
    while frame is not None:
        yield frame
        frame = frame.f_back


def line_now(frame: FrameType) -> int:
    """The line that a frame is at."""
    return frame.f_lineno or frames.line_of(frame.f_code, frame.f_lasti)
