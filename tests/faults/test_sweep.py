"""The sweep as such: every point once, no more, with reasons for what is left out. No fault is real here."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import replace

import pytest

from pytest_leakguard.core.model import NOBODY, Finding, Origin
from pytest_leakguard.faults.model import FaultPoint
from pytest_leakguard.faults.oracles import Run, findings_of
from pytest_leakguard.faults.points import Shot
from pytest_leakguard.faults.sweep import Budget, Sweep
from pytest_leakguard.faults.watching import Refused


def point(number: int, what: str = "open") -> FaultPoint:
    return FaultPoint(family="acquire", path="a.py", qualname="f", what=what, occurrence=number)


class Stage:
    """A subject and its injector: the subject goes through `count` points and reacts as `react` says."""

    family = "acquire"
    modes = ("transient", "persistent")

    def __init__(self, count, react=lambda point: Run(error="OSError", is_from_fault=True), later=0):
        self.points = [point(number + 1) for number in range(count)]
        self.react, self.later = react, later
        self.failing, self.failed, self.plain_runs = None, [], 0

    @contextmanager
    def count(self):
        yield list(self.points)

    @contextmanager
    def inject(self, point, mode):
        shot = Shot(later=self.later, error="OSError: injected")
        self.failing, self.mode, self.shot = point, mode, shot
        yield shot
        self.failing = None

    def run(self, limit_seconds):
        if self.failing is None:
            self.plain_runs += 1
            return Run()
        self.shot.injected = 1
        self.failed.append((self.failing.occurrence, self.mode))
        return self.react(self.failing)


def test_each_point_fails_once():
    """As many trials as points, in order, and the run without a fault once before and once after."""
    stage = Stage(7)
    result = Sweep(stage, [stage]).run()
    assert stage.failed == [(number, "transient") for number in range(1, 8)]
    assert (len(result.points), len(result.trials), result.findings, result.stopped) == (7, 7, (), "")
    assert stage.plain_runs == 2


def test_a_persistent_trial_follows_where_the_operation_is_tried_again():
    """Without a later operation it would be the same trial."""
    stage = Stage(2, later=1)
    Sweep(stage, [stage]).run()
    assert stage.failed == [(1, "transient"), (1, "persistent"), (2, "transient"), (2, "persistent")]


def test_what_is_beyond_the_budget_is_counted():
    """Never a silent cut; the same seed chooses the same points."""
    chosen = []
    for _ in range(2):
        stage = Stage(20)
        result = Sweep(stage, [stage], budget=Budget(trials=5), seed=3).run()
        assert dict(result.skipped) == {"beyond the budget": 15}
        chosen.append(stage.failed)
    assert chosen[0] == chosen[1]
    assert len(chosen[0]) == 5


def test_a_place_in_a_long_loop_is_not_tried_for_ever():
    """The first hundred, and the rest is counted."""
    stage = Stage(130)
    result = Sweep(stage, [stage]).run()
    assert len(result.trials) == 100
    assert dict(result.skipped) == {"more than 100 times at one place": 30}


def test_one_point_can_be_asked_for():
    """As --leakguard-fault does."""
    stage = Stage(5)
    Sweep(stage, [stage], only=frozenset({point(4).id})).run()
    assert stage.failed == [(4, "transient")]


def test_nothing_is_tried_when_it_fails_without_a_fault():
    """A test that leaks or fails by itself says nothing about faults."""
    stage = Stage(3)
    stage.run = lambda limit_seconds: Run(error="ValueError: own")
    result = Sweep(stage, [stage]).run()
    assert result.stopped == "without a fault it does not pass: ValueError: own"
    assert result.trials == ()


@pytest.mark.parametrize(
    ("run", "fault", "told"),
    [
        (Run(), "swallowed", True),
        (Run(error="NameError", unrelated="NameError: x"), "unrelated", False),
        (Run(error="OSError", unraisable=("E",)), "unraisable", False),
        (Run(stacks=("thread",)), "hang", False),
    ],
)
def test_each_oracle_has_its_finding(run, fault, told):
    """Equal causes are one finding with a count; a fault that nobody heard of fails only when strict."""
    stage = Stage(2, react=lambda point: run)
    (finding,) = Sweep(stage, [stage], modes=("transient",)).run().findings
    assert (finding.fault, finding.count, finding.told) == (fault, 2, told)
    strict = Stage(2, react=lambda point: run)
    assert not Sweep(strict, [strict], modes=("transient",), strict=True).run().findings[0].told


def test_hangs_end_a_sweep_with_a_reason():
    """Each costs the whole limit, so three are enough."""
    stage = Stage(9, react=lambda point: Run(stacks=("thread",)))
    result = Sweep(stage, [stage]).run()
    assert result.stopped == "3 trials did not end in time"
    assert dict(result.skipped)["after too many hangs"] == 6


def test_a_polluted_process_ends_the_sweep():
    """The run without a fault fails after a trial: nothing that follows would mean anything."""
    stage = Stage(3)

    def run(limit_seconds):
        if stage.failing is not None:
            stage.shot.injected = 1
            stage.failed.append(stage.failing.occurrence)
            return Run(error="OSError")
        return Run(error="AssertionError: state") if stage.failed else Run()

    stage.run = run
    result = Sweep(stage, [stage]).run()
    assert result.stopped.startswith("polluted")
    assert [finding.fault for finding in result.findings] == ["polluted"]


def test_after_a_fault_by_force_it_is_asked_at_once_whether_all_still_works():
    """A failed call may leave something half done: what came after it would be blamed on another point."""
    stage = Stage(3)
    stage.points = [replace(one, family="call") for one in stage.points]
    plain = stage.run
    stage.run = lambda limit: plain(limit) if stage.failing or len(stage.failed) < 2 else Run(error="AssertionError")
    result = Sweep(stage, [stage]).run()
    assert len(result.trials) == 2
    assert result.stopped == f"polluted: it does not pass any more after {stage.points[1].id}"


def test_a_family_that_is_refused_is_told():
    """The others are swept."""

    class Refusing(Stage):
        @contextmanager
        def count(self):
            raise Refused("a debugger is there")
            yield

    stage, refusing = Stage(1), Refusing(1)
    result = Sweep(stage, [refusing, stage]).run()
    assert dict(result.skipped) == {"acquire: a debugger is there": 1}
    assert len(result.trials) == 1


def test_what_the_failing_call_itself_acquired_is_not_the_codes():
    """The standard library's own leak inside the call that failed: the code under test never had it."""

    def leak(line, within):
        origin = Origin(file="a.py", line=line, function="f", how="audit", event="open", within=within)
        return Finding(
            kind="fd", verdict="leaked", disposition="fails", owner=NOBODY, test="", phase=None, what="fd 7",
            subject="x", fix="", origin=origin, due="", allow="", fingerprint=f"fd:{line}",
        )  # fmt: skip

    failing = replace(point(1), line=3)
    inside, beside, own = leak(3, ("Popen.__init__",)), leak(4, ("Popen.__init__",)), leak(3, ())
    found = findings_of(
        Run(error="OSError", leaks=(inside, beside, own)), Shot(injected=1), failing, "transient", strict=False
    )
    assert [finding.leak for finding in found] == [beside, own]
