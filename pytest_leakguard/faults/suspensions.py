"""The points of a run where a coroutine gives control away, and what one trial at such a point showed."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Literal

from pytest_leakguard.faults.await_chain import Place, links
from pytest_leakguard.faults.model import FaultPoint, Moment

AwaitFamily = Literal["cancel", "timeout"]
End = Literal["", "cancelled", "timed out", "returned", "uncancelled", "completed", "raised"]

WOKEN = "-woken"
"""Ends the `what` of a point where the awaited future has its result already, and its waiter is not back yet."""


class InjectedCancellation(Exception):
    """A cancellation stopped at the scope that was made for it; this tells so to whoever runs the coroutine."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Suspension:
    """What the counting run knows of a point, beyond its identity.

    Attributes:
        task: the coroutine that the task runs.
        spawned: the task is not the outermost one of its loop.
        told: why a fault here is told and never a failure, or nothing.
    """

    point: FaultPoint
    task: str
    spawned: bool
    told: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Stuck:
    """A task that did not end.

    Attributes:
        task: its coroutine.
        at: where target code of it waits, or the innermost line when it has none.
        lines: where it waits, innermost first.
        enters: it waits to get something that another has to give back: a lock, a slot.
        joins: it waits for another task.
    """

    task: str
    at: str
    lines: tuple[str, ...]
    enters: bool = False
    joins: bool = False


@dataclass(slots=True)
class Observation:
    """What one run showed.

    Attributes:
        injected: how often a cancellation was delivered.
        later: always 0: a persistent trial would be for information only.
        apart: always false: a hang is judged by what each task waits for.
        error: the first one as the coroutine saw it, in words.
        stack: ``file:line in function`` where that was, innermost first.
        told: why nothing of this run is a failure, or nothing.
        end: how the task ended that was cancelled; nothing when it had not ended yet.
        ended_with: its error, in words.
        in_handler: that error came up while the cancellation was being handled.
        after: how often the cancelled task suspended again before it ended.
        stuck: the tasks alive when the time for the run was over.
        pending: tasks that outlived the outermost coroutine.
        open_generators: async generators left half-way inside a block with a clean-up -> how many.
        collected_generators: the same, but closed by the loop when the collector had found them.
        unretrieved: errors of tasks and futures that nobody asked for; of_tasks: those of tasks.
        moment: told when the fault comes.
        has_loop: a task of an event loop took a step.
    """

    injected: int = 0
    later: int = 0
    apart: bool = False
    error: str = ""
    stack: tuple[str, ...] = ()
    spawned: bool = False
    told: str = ""
    end: End = ""
    ended_with: str = ""
    in_handler: bool = False
    after: int = 0
    stuck: tuple[Stuck, ...] = ()
    pending: tuple[Stuck, ...] = ()
    open_generators: Counter[str] = field(default_factory=Counter)
    collected_generators: Counter[str] = field(default_factory=Counter)
    unretrieved: list[str] = field(default_factory=list)
    of_tasks: list[str] = field(default_factory=list)
    moment: Moment | None = None
    has_loop: bool = False

    def comes_in(self, coroutine: object) -> None:
        """The fault is about to come out of what this suspended coroutine awaits."""
        if self.moment is not None:
            self.moment([link.frame for link in reversed(list(links(coroutine)))])


class Register:
    """Names the suspensions of one run in the order in which they come.

    Args:
        wanted: the point that a trial is for; a count has none.

    Attributes:
        points: those where a fault can show a failure.
        suspensions: all, by the id of their point.
    """

    def __init__(
        self,
        family: AwaitFamily,
        *,
        is_target: Callable[[str], bool],
        path_of: Callable[[str], str],
        wanted: FaultPoint | None = None,
    ) -> None:
        self.family = family
        self.is_target = is_target
        self.path_of = path_of
        self.wanted = None if wanted is None else wanted.id
        self.points: list[FaultPoint] = []
        self.suspensions: dict[str, Suspension] = {}
        self._occurrences: Counter[tuple[str, str, str]] = Counter()

    def meet(self, place: Place, *, task: str, spawned: bool, told: str = "", woken: bool = False) -> Suspension | None:
        """Count one suspension. Gives it when it is the wanted one."""
        what = place.what + WOKEN if woken else place.what
        key = (place.path, place.qualname, what)
        self._occurrences[key] += 1
        point = FaultPoint(
            family=self.family,
            path=place.path,
            qualname=place.qualname,
            what=what,
            occurrence=self._occurrences[key],
            line=place.line,
        )
        suspension = Suspension(point=point, task=task, spawned=spawned, told=told)
        if self.wanted is None:
            if not told:
                self.points.append(point)
            self.suspensions[point.id] = suspension
        return suspension if point.id == self.wanted else None
