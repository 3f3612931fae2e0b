"""All fault points of a subject in turn. Knows nothing of pytest: it is given something that runs."""

from __future__ import annotations

import contextlib
import random
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field, replace
from typing import Protocol

from pytest_leakguard import _real
from pytest_leakguard.faults.model import FaultFinding, FaultPoint, Injector, Mode, SweepResult, Trial
from pytest_leakguard.faults.oracles import Run, cause_of, findings_of, is_only_told, not_told_yet, outcome_of
from pytest_leakguard.faults.points import MOST_OCCURRENCES
from pytest_leakguard.faults.watching import Refused
from pytest_leakguard.faults.witness import Witness

SHORTEST_LIMIT_SECONDS = 5.0
COUNTING_LIMIT_SECONDS = 60.0
"""For the runs without a fault that count, where nobody knows yet how long one takes."""
LIMIT_FACTOR = 20
"""A trial may take that many times as long as the run without a fault."""
HANGS_BORNE = 3
"""After so many hangs a sweep ends: each costs the whole limit."""

NOT_AGAIN = "what was held and which cleanups ran can't be known: the trial can't be repeated in the process it spoiled"


class Subject(Protocol):
    """What is swept."""

    def run(self, limit_seconds: float) -> Run:
        """Run once, from set-up to teardown, and look at what is left.

        Raises: KeyboardInterrupt of the user's keyboard, nothing else.
        """
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Budget:
    """How much may be tried: trials, seconds, or both; None is no limit."""

    trials: int | None = None
    seconds: float | None = None


@dataclass(slots=True)
class Sweep:
    """One sweep of one subject.

    Args:
        injectors: one for each family; modes: what each point is tried with, where its family has it.
        only: the ids to try, all when empty.
        rank: smaller is tried earlier; equal ones in the order in which they come, shuffled by `seed` under a budget.
        limit_seconds: for the run that counts; a trial's follows from how long that took.
        progress: told after each point: how many are done, how many there are.
        witness: makes one for a trial that found something and is looked at again; None: none is.
    """

    subject: Subject
    injectors: Iterable[Injector]
    modes: tuple[Mode, ...] = ("transient", "persistent")
    only: frozenset[str] = frozenset()
    budget: Budget = field(default_factory=Budget)
    seed: int = 0
    strict: bool = False
    limit_seconds: float = COUNTING_LIMIT_SECONDS
    rank: Callable[[FaultPoint], int] = lambda point: 0
    progress: Callable[[int, int], object] = lambda done, of: None
    witness: Callable[[], Witness] | None = None
    _skipped: Counter[str] = field(default_factory=Counter)
    _trials: list[Trial] = field(default_factory=list)
    _limit: float = COUNTING_LIMIT_SECONDS
    _causes: set[tuple[object, ...]] = field(default_factory=set)
    _error: str = ""
    _stack: tuple[str, ...] = ()

    def run(self) -> SweepResult:
        """Count, then try each point; ends early only with a reason that is told."""
        start = _real.perf_counter()
        points, stopped = self._count()
        if not stopped:
            stopped = self._try_all(points, start)
        found: dict[tuple[object, ...], FaultFinding] = {}
        for trial in self._trials:
            for finding in trial.findings:
                cause = cause_of(finding)
                known = found.get(cause)
                if known is not None:
                    shown = finding if known.told and not finding.told else known
                    finding = replace(shown, count=known.count + 1)
                found[cause] = finding
        return SweepResult(
            points=tuple(point for _, point in points),
            trials=tuple(self._trials),
            skipped=tuple(self._skipped.items()),
            findings=tuple(found.values()),
            seconds=_real.perf_counter() - start,
            seed=self.seed,
            stopped=stopped,
        )

    def _count(self) -> tuple[list[tuple[Injector, FaultPoint]], str]:
        points: list[tuple[Injector, FaultPoint]] = []
        for injector in self.injectors:
            try:
                with injector.count() as counted:
                    run = self.subject.run(self.limit_seconds)
            except Refused as refused:
                self._skipped[f"{injector.family}: {refused}"] += 1
                continue
            if not run.passed:
                why = run.error or "something was left behind" if not run.stacks else "it did not end in time"
                return points, f"without a fault it does not pass: {why}"
            self._limit = max(SHORTEST_LIMIT_SECONDS, LIMIT_FACTOR * run.seconds)
            points += [(injector, point) for point in counted]
        return points, ""

    def _try_all(self, points: list[tuple[Injector, FaultPoint]], start: float) -> str:
        chosen = self._chosen(points)
        hangs = 0
        for number, (injector, point) in enumerate(chosen):
            if self._spent(start):
                self._skipped["beyond the budget"] += len(chosen) - number
                break
            for trial in self._try(injector, point):
                self._trials.append(trial)
                hangs += trial.outcome == "hung"
                if self._is_doubtful(trial) and not self._passes_again(trial):
                    return f"polluted: it does not pass any more after {trial.point.id}"
                if self._look_closely(injector, trial) and self._is_doubtful(trial) and not self._passes_again(trial):
                    return f"polluted: it does not pass any more after {trial.point.id}, which was tried twice"
                if hangs >= HANGS_BORNE:
                    self._skipped["after too many hangs"] += len(chosen) - number - 1
                    return f"{hangs} trials did not end in time"
            self.progress(number + 1, len(chosen))
        if self._trials and not self._is_doubtful(self._trials[-1]) and not self._passes_again(self._trials[-1]):
            return f"polluted: it does not pass any more after {self._trials[-1].point.id} at the latest"
        return ""

    @staticmethod
    def _is_doubtful(trial: Trial) -> bool:
        """Whether the state of the process is looked at after it, by a run without a fault.

        After a failed acquisition once at the end is enough: nothing was left half done by force.
        """
        return trial.outcome in ("not reached", "hung") or trial.point.family != "acquire"

    def _try(self, injector: Injector, point: FaultPoint) -> Iterator[Trial]:
        for mode in [mode for mode in self.modes if mode in injector.modes]:
            with injector.inject(point, mode) as injection:
                run = self.subject.run(self._limit)
            self._error, self._stack = injection.error, injection.stack
            outcome = outcome_of(run, injection)
            if outcome == "not reached":
                self._skipped["not reached again"] += 1
            yield Trial(
                point=point,
                mode=mode,
                outcome=outcome,
                findings=(
                    *findings_of(run, injection, point, mode, strict=self.strict),
                    *not_told_yet(run, injection.findings(point, mode)),
                ),
                seconds=run.seconds,
            )
            if outcome == "hung" or not injection.later:
                return  # nothing that could fail again came after it, or it would hang again

    def _look_closely(self, injector: Injector, trial: Trial) -> bool:
        """Run a trial that found something new once more, and add what a witness sees to what it found."""
        new = {_key(finding) for finding in trial.findings} - self._causes
        if not new or self.witness is None:
            return False
        witness = self.witness()
        with contextlib.suppress(Refused), injector.inject(trial.point, trial.mode) as injection, witness.watching():
            injection.moment = witness.moment
            self.subject.run(self._limit)
        explained = tuple(witness.explain(finding) if _key(finding) in new else finding for finding in trial.findings)
        # what turns out to be told only may be a failure at another point
        self._causes |= {_key(after) for before, after in zip(trial.findings, explained, strict=True)
                         if before.told or not after.told}  # fmt: skip
        self._trials[-1] = replace(trial, findings=explained)
        return True

    def _passes_again(self, trial: Trial) -> bool:
        """Whether the run without a fault still does what it did before the sweep."""
        run = self.subject.run(self._limit)
        if run.passed:
            return True
        what = f"without a fault it does not pass any more: {run.error or 'it leaks or hangs'}"
        fix = "some state of the process is not put right when this fails: a lock, a counter, a cache"
        told = is_only_told("polluted", trial.point, trial.mode, strict=self.strict)
        finding = FaultFinding(
            fault="polluted", point=trial.point, mode=trial.mode, what=what, error=self._error, stack=self._stack,
            fix=fix, told=told, unseen=NOT_AGAIN,
        )  # fmt: skip
        last = self._trials[-1]
        self._trials[-1] = replace(last, findings=(*last.findings, finding))
        return False

    def _chosen(self, points: list[tuple[Injector, FaultPoint]]) -> list[tuple[Injector, FaultPoint]]:
        chosen = []
        for injector, point in points:
            if self.only and point.id not in self.only:
                self._skipped["not asked for"] += 1
            elif point.occurrence > MOST_OCCURRENCES and not self.only:
                self._skipped[f"more than {MOST_OCCURRENCES} times at one place"] += 1
            else:
                chosen.append((injector, point))
        if self.budget.trials is not None or self.budget.seconds is not None:
            random.Random(self.seed).shuffle(chosen)
            # one of each place before the second of any
            chosen.sort(key=lambda one: (one[1].is_strict, self.rank(one[1]), one[1].occurrence > 1))
        else:
            # what is only told may spoil the process all the same: those come last
            chosen.sort(key=lambda one: (one[1].family == "release" or one[1].is_strict, self.rank(one[1])))
        return chosen

    def _spent(self, start: float) -> bool:
        budget = self.budget
        if budget.trials is not None and len(self._trials) >= budget.trials:
            return True
        return budget.seconds is not None and _real.perf_counter() - start >= budget.seconds


def _key(finding: FaultFinding) -> tuple[object, ...]:
    return (finding.told, *cause_of(finding))
