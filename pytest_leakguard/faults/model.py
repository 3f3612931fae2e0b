"""The values of a fault sweep: points, trials, results. Frozen, strings and numbers only."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from types import FrameType
from typing import Literal, Protocol, cast, get_args

from pytest_leakguard.core.model import Finding

Family = Literal["acquire", "call", "body", "release", "interrupt", "cancel", "timeout", "custom"]
Mode = Literal["transient", "persistent"]
Outcome = Literal["passed", "raised", "hung", "not reached"]
Fault = Literal["leak", "hang", "unrelated", "unraisable", "swallowed", "polluted"]
"""What a trial can show; ``swallowed`` is only told unless asked to be strict."""

Moment = Callable[[Iterable[FrameType]], object]
"""Told when a fault comes, with the frames that it goes through, innermost first; nothing of them may be kept."""

FAMILIES: tuple[Family, ...] = get_args(Family)

STRICT_INTERRUPT = "interrupt=strict"
"""Named as a family: ``interrupt``, also where no code could bear one; what comes of that is told, not failed."""
STRICT = "strict-"
"""Begins `FaultPoint.what` of such a point."""

_ID = re.compile(r"(?P<family>\w+):(?P<path>.+):(?P<qualname>[^:]*):(?P<what>[^:#]+)#(?P<number>\d+)", re.DOTALL)


class BadPoint(ValueError):
    """A text that is no fault point's id; says what is allowed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FaultPoint:
    """One place where a fault can be injected, named so that it survives edits elsewhere.

    Attributes:
        path: relative to the root folder, with forward slashes.
        qualname: of the function that holds the place.
        what: the operation: an audit event in short, the called name, ``with``, ``await``.
        occurrence: which of the equal ones of a run, from 1.
        line: where that is now; not part of the identity.
    """

    family: Family
    path: str
    qualname: str
    what: str
    occurrence: int
    line: int = 0

    @property
    def id(self) -> str:
        """``FAMILY:PATH:QUALNAME:WHAT#N``"""
        return f"{self.family}:{self.path}:{self.qualname}:{self.what}#{self.occurrence}"

    @property
    def is_strict(self) -> bool:
        """Whether no code could bear a fault there."""
        return self.what.startswith(STRICT)

    @classmethod
    def parse(cls, text: str) -> FaultPoint:
        """Read an id; the line is not known. Raises BadPoint."""
        match = _ID.fullmatch(text.strip())
        if match is None or match["family"] not in FAMILIES or int(match["number"]) < 1:
            raise BadPoint(
                f"bad fault point {text!r}. Allowed: FAMILY:PATH:QUALNAME:WHAT#N, "
                f"e.g. acquire:app/loader.py:load:open#2; families: {', '.join(FAMILIES)}."
            )
        return cls(
            family=cast(Family, match["family"]), path=match["path"], qualname=match["qualname"], what=match["what"],
            occurrence=int(match["number"]),
        )  # fmt: skip


def site_of(point: FaultPoint) -> str:
    """The id without its number: equal for all occurrences at one place."""
    return point.id.rpartition("#")[0]


class Injection(Protocol):
    """What one trial injected so far.

    Attributes:
        injected: how many times an error was raised; 0 when the run never came to the point.
        later: how many equal operations came after it; 0 means that a persistent trial would be the same.
        error: the first one in words; the error itself would hold the user's objects.
        stack: ``file:line in function``, innermost first, where it was raised.
        moment: to be told when the fault comes.
    """

    moment: Moment | None

    @property
    def injected(self) -> int: ...

    @property
    def later(self) -> int: ...

    @property
    def error(self) -> str: ...

    @property
    def stack(self) -> tuple[str, ...]: ...

    @property
    def apart(self) -> bool:
        """It was in a thread of its own or in an event loop: the rest of the run may wait for what has failed."""
        ...

    def findings(self, point: FaultPoint, mode: Mode) -> tuple[FaultFinding, ...]:
        """What only the injector could see of the trial."""
        ...


class Injector(Protocol):
    """Counts the points of one family that a run goes through, and makes one of them fail."""

    @property
    def family(self) -> Family: ...

    @property
    def modes(self) -> Sequence[Mode]:
        """``transient`` fails this one only, ``persistent`` this and all later ones of the same operation."""
        ...

    def count(self) -> AbstractContextManager[list[FaultPoint]]:
        """Pass 0: the list fills, in order, while the block runs; nothing fails."""
        ...

    def inject(self, point: FaultPoint, mode: Mode) -> AbstractContextManager[Injection]:
        """While the block runs, the point fails."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class FaultFinding:
    """What a trial brought to light, as it is reported; equal ones are folded into a count.

    Attributes:
        told: it is no failure: ``swallowed``, or a family that only informs.
        what: one line.
        error: the injected one, in words.
        stack: where it was injected, ``file:line in function``, innermost first.
        leak: the resource that was left, for ``leak``.
        details: further lines, such as the stacks of a hang.
        held: a line for each resource that the run had when the fault came.
        ran: the cleanups of the code under test that were seen to run after it, innermost first; passed: those
            that did not; no_exit: each `with` that had no exit to call, because it was only being entered.
        unseen: why no cleanup is told, where that is so.
    """

    fault: Fault
    point: FaultPoint
    mode: Mode
    what: str
    error: str = ""
    stack: tuple[str, ...] = ()
    leak: Finding | None = None
    told: bool = False
    fix: str = ""
    count: int = 1
    details: tuple[str, ...] = ()
    held: tuple[str, ...] = ()
    ran: tuple[str, ...] = ()
    passed: tuple[str, ...] = ()
    no_exit: tuple[str, ...] = ()
    unseen: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Trial:
    """One run with one point failing."""

    point: FaultPoint
    mode: Mode
    outcome: Outcome
    findings: tuple[FaultFinding, ...] = ()
    seconds: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class SweepResult:
    """A whole sweep.

    Attributes:
        points: found by pass 0.
        skipped: reason -> how many trials were left out for it.
        stopped: why the sweep ended early, or nothing.
    """

    points: tuple[FaultPoint, ...] = ()
    trials: tuple[Trial, ...] = ()
    skipped: tuple[tuple[str, int], ...] = ()
    findings: tuple[FaultFinding, ...] = ()
    seconds: float = 0.0
    seed: int = 0
    stopped: str = ""
