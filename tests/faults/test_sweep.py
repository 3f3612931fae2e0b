"""The sweep as such: every point once, no more, with reasons for what is left out. No fault is real here."""

from __future__ import annotations

import itertools
from contextlib import contextmanager
from dataclasses import replace

import pytest

from pytest_leakguard import _real
from pytest_leakguard.core.model import NOBODY, Finding, Origin
from pytest_leakguard.faults.model import STRICT, FaultPoint, SweepResult
from pytest_leakguard.faults.oracles import Run, findings_of
from pytest_leakguard.faults.points import Shot
from pytest_leakguard.faults.sweep import NOT_AGAIN, Budget, Sweep
from pytest_leakguard.faults.watching import Refused


def point(number: int, what: str = "open", family="acquire", qualname="f") -> FaultPoint:
    return FaultPoint(family="".join(list(family)), path="a.py", qualname=qualname, what=what, occurrence=number)


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
    stage = Stage(3, react=lambda point: run)
    (finding,) = Sweep(stage, [stage], modes=("transient",)).run().findings
    assert (finding.fault, finding.count, finding.told) == (fault, 3, told)
    strict = Stage(2, react=lambda point: run)
    assert not Sweep(strict, [strict], modes=("transient",), strict=True).run().findings[0].told


def test_hangs_end_a_sweep_with_a_reason():
    """Each costs the whole limit, so three are enough."""
    stage = Stage(10, react=lambda point: Run(stacks=("thread",)), later=1)
    result = Sweep(stage, [stage]).run()
    assert result.stopped == "3 trials did not end in time"
    assert dict(result.skipped)["after too many hangs"] == 7
    assert [mode for _, mode in stage.failed] == ["transient"] * 3  # it would hang again


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


class Scripted:
    """A subject with given points, which takes a while, and says what the others need to know of each run."""

    modes = ("transient",)

    def __init__(self, *points: FaultPoint, seconds=0.0, plain=(), react=None, reached=True):
        self.points, self.seconds, self.plain, self.reached = points, seconds, list(plain), reached
        self.react = react or (lambda point: Run(error="OSError", is_from_fault=True))
        self.family = points[0].family if points else "acquire"
        self.failing, self.runs, self.limits, self.moments = None, [], [], []

    @contextmanager
    def count(self):
        yield list(self.points)

    @contextmanager
    def inject(self, point, mode):
        self.failing, self.shot = point, Shot(error="OSError: injected")
        try:
            yield self.shot
        finally:
            self.failing = None

    def run(self, limit_seconds):
        self.limits.append(limit_seconds)
        self.runs.append(self.failing.id if self.failing else "plain")
        if self.failing is None:
            return self.plain.pop(0) if self.plain else Run(seconds=self.seconds)
        self.shot.injected = int(self.reached)
        self.moments.append(self.shot.moment)
        return self.react(self.failing)

    def swept(self, **more) -> SweepResult:
        return Sweep(self, [self], **more).run()


@pytest.mark.parametrize(("seconds", "limit"), [(0.0, 5.0), (0.25, 5.0), (0.5, 10.0), (3.0, 60.0)])
def test_a_trial_may_take_many_times_as_long_as_the_run_without_a_fault(seconds, limit):
    """But five seconds in any case; nobody knows how long the first run takes."""
    stage = Scripted(point(1), seconds=seconds)
    result = stage.swept()
    assert stage.limits == [60.0, limit, limit]
    assert 0 <= result.seconds < 60
    again = Scripted(point(1))
    again.swept(limit_seconds=7.5)
    assert again.limits[0] == 7.5


@pytest.mark.parametrize(
    ("run", "why"),
    [
        (Run(error="ValueError: own"), "ValueError: own"),
        (Run(stacks=("thread",), error="E"), "it did not end in time"),
        (Run(leaks=("fd 3",)), "something was left behind"),
    ],
)
def test_why_nothing_is_tried(run, why):
    """The reason is told, once."""
    stage = Scripted(point(1), plain=[run])
    result = stage.swept()
    assert result.stopped == f"without a fault it does not pass: {why}"
    assert (stage.runs, result.trials) == (["plain"], ())


def test_the_process_is_looked_at_after_each_trial_that_broke_off_by_force():
    """After a failed acquisition once at the end is enough."""
    calls = Scripted(point(1, family="call"), point(2, family="call"))
    calls.swept()
    assert calls.runs == ["plain", calls.points[0].id, "plain", calls.points[1].id, "plain"]
    acquisitions = Scripted(point(1), point(2))
    acquisitions.swept()
    assert acquisitions.runs == ["plain", *(one.id for one in acquisitions.points), "plain"]
    mixed = Scripted(point(1, family="call"), point(1))
    mixed.swept()
    assert mixed.runs == ["plain", mixed.points[0].id, "plain", mixed.points[1].id, "plain"]
    assert Scripted().swept().stopped == ""


def test_a_trial_whose_point_did_not_come_is_counted():
    """It shows nothing, and the process is looked at."""
    stage = Scripted(point(1), point(2), reached=False, react=lambda point: Run())
    result = stage.swept()
    assert dict(result.skipped) == {"not reached again": 2}
    assert [trial.outcome for trial in result.trials] == ["not reached"] * 2
    assert stage.runs.count("plain") == 3


@pytest.mark.parametrize(
    ("family", "plain", "stopped"),
    [
        ("call", [Run(), Run(error="E")], "polluted: it does not pass any more after call:a.py:f:open#1"),
        (
            "acquire", [Run(), Run(error="E")],
            "polluted: it does not pass any more after acquire:a.py:f:open#3 at the latest",
        ),
    ],
)  # fmt: skip
def test_what_pollutes_the_process_is_named(family, plain, stopped):
    """With what came out of the run without a fault, on the last trial, beside what else that one found."""
    points = [point(number, family=family) for number in (1, 2, 3)]
    stage = Scripted(*points, plain=plain, react=lambda point: Run())
    result = stage.swept()
    assert result.stopped == stopped
    found = result.trials[-1].findings
    assert [(one.fault, one.told) for one in found] == [("swallowed", True), ("polluted", False)]
    assert found[-1].what == "without a fault it does not pass any more: E"
    assert found[-1].point == result.trials[-1].point
    leaky = Scripted(point(1, family="call"), plain=[Run(), Run(leaks=("fd 3",))]).swept()
    assert leaky.findings[0].what == "without a fault it does not pass any more: it leaks or hangs"


def test_a_release_that_pollutes_is_told():
    """That each of several releases is made is more than most code promises; strict, it fails."""
    for strict in (False, True):
        stage = Scripted(point(1, family="release"), plain=[Run(), Run(error="E")])
        (found,) = stage.swept(strict=strict).findings
        assert (found.fault, found.told) == ("polluted", not strict)


def test_hangs_that_are_borne_are_tried_to_the_end():
    """Two hangs are no reason to stop; after a hang the process is looked at."""
    stage = Scripted(
        *(point(number) for number in range(1, 6)),
        react=lambda point: Run(stacks=("s",)) if point.occurrence in (2, 4) else Run(error="OSError"),
    )
    result = stage.swept()
    assert (len(result.trials), result.stopped, dict(result.skipped)) == (5, "", {})
    assert stage.runs.count("plain") == 4


def test_a_budget_of_time():
    """Nothing when it is spent already, all when it is long; a budget of trials is exact."""
    for seconds, tried in ((0, 0), (1e9, 4)):
        result = Scripted(*(point(number) for number in range(1, 5))).swept(budget=Budget(seconds=seconds))
        assert len(result.trials) == tried
        assert dict(result.skipped).get("beyond the budget", 0) == 4 - tried
    both = Scripted(*(point(number) for number in range(1, 5))).swept(budget=Budget(trials=3, seconds=1e9), seed=9)
    assert (len(both.trials), both.seed) == (3, 9)
    assert Scripted(point(1)).swept().seed == 0


def test_a_budget_of_trials_is_kept_to_within_a_point():
    """Both trials of a point are made, or none."""
    stage = Stage(5, later=1)
    result = Sweep(stage, [stage], budget=Budget(trials=3)).run()
    assert (len(result.trials), dict(result.skipped)) == (4, {"beyond the budget": 3})


def test_time_is_that_of_the_whole_sweep(monkeypatch):
    """Each run takes ten seconds here; once a budget of 20 is spent no point is begun."""
    now = [7.0]
    stage = Scripted(*(point(number) for number in range(1, 6)))
    run = stage.run

    def slow(limit_seconds):
        now[0] += 10
        return run(limit_seconds)

    stage.run = slow
    monkeypatch.setattr(_real, "perf_counter", lambda: now[0])
    result = stage.swept(budget=Budget(seconds=20))
    assert (len(result.trials), result.seconds) == (1, 30.0)


STRICT_POINT = point(1, STRICT + "load", "interrupt")
RELEASE, CALL, AGAIN, OTHER = (
    point(1, family="release"), point(1, "load", "call"), point(2, "load", "call"), point(1, "save", "call"),
)  # fmt: skip


def test_what_is_only_told_comes_last():
    """It may spoil the process all the same; before that by rank, and as they come."""
    timeout = point(1, family="timeout")
    stage = Scripted(RELEASE, STRICT_POINT, timeout, AGAIN, CALL, OTHER)
    tried = [trial.point for trial in stage.swept(rank=lambda point: int(point.what == "load")).trials]
    assert tried == [timeout, OTHER, AGAIN, CALL, RELEASE, STRICT_POINT]


@pytest.mark.parametrize("budget", [Budget(trials=9), Budget(seconds=1e9)])
def test_under_a_budget_each_place_comes_before_the_second_of_any(budget):
    """Points where no code could bear a fault last; before that by rank, then by number; chance does the rest."""
    points = [STRICT_POINT, AGAIN, replace(AGAIN, occurrence=3), CALL, OTHER, RELEASE]
    for seed in range(9):
        stage = Scripted(*points)
        tried = [
            trial.point for trial in stage.swept(budget=budget, seed=seed, rank=lambda one: one.what == "save").trials
        ]
        assert set(tried[:2]) == {CALL, RELEASE}
        assert set(tried[2:4]) == {AGAIN, points[2]}
        assert tried[4:] == [OTHER, STRICT_POINT]


def test_what_was_not_asked_for_is_counted():
    """A single point may be asked for whatever its number."""
    stage = Scripted(point(1), point(130))
    result = stage.swept(only=frozenset({point(130).id}))
    assert [trial.point.occurrence for trial in result.trials] == [130]
    assert dict(result.skipped) == {"not asked for": 1}
    at_the_edge = Scripted(point(100), point(101)).swept()
    assert [trial.point.occurrence for trial in at_the_edge.trials] == [100]


def test_progress_is_told_after_each_point():
    """How many are done, and how many there are."""
    told = []
    Scripted(point(1), point(2)).swept(progress=lambda done, of: told.append((done, of)))
    assert told == [(1, 2), (2, 2)]


def test_equal_findings_are_one_and_a_failure_is_shown_rather_than_what_is_told():
    """Whichever comes first: the count is of both. Of equals the first."""
    hang = Run(stacks=("s",))
    for order in itertools.product((True, False), repeat=2):
        stage = Scripted(point(1), point(2), react=lambda point: hang)
        apart = dict(zip((1, 2), order, strict=True))

        @contextmanager
        def inject(point, mode, stage=stage, apart=apart):
            with Scripted.inject(stage, point, mode) as shot:
                shot.apart = apart[point.occurrence]
                yield shot

        stage.inject = inject
        result = stage.swept()
        assert [one.told for trial in result.trials for one in trial.findings] == list(order)
        (found,) = result.findings
        assert (found.told, found.count) == (all(order), 2)
        assert found.point.occurrence == (2 if order == (True, False) else 1)


class Looker:
    """A witness that says that it has looked."""

    def __init__(self):
        self.watched = 0

    @contextmanager
    def watching(self):
        self.watched += 1
        yield

    def moment(self, frames):
        pass

    def explain(self, finding):
        return replace(finding, unseen="looked at")


def test_a_trial_that_found_something_new_is_looked_at_once_more():
    """Also what is only told, and a hang; not one that found what is known."""
    lost = {1: ("E",), 2: ("E",), 3: ("F", "E"), 4: ()}
    stage = Scripted(
        *(point(number) for number in range(1, 5)),
        react=lambda point: Run(error="OSError", unraisable=lost[point.occurrence]),
    )
    lookers: list[Looker] = []

    def witness() -> Looker:
        lookers.append(Looker())
        return lookers[-1]

    result = stage.swept(witness=witness)
    ids = [one.id for one in stage.points]
    assert stage.runs == ["plain", ids[0], ids[0], ids[1], ids[2], ids[2], ids[3], "plain"]
    assert [looker.watched for looker in lookers] == [1, 1]
    assert [moment.__self__ if moment else None for moment in stage.moments] == [
        None, lookers[0], None, None, lookers[1], None,
    ]  # fmt: skip
    seen = [[(one.what, one.unseen) for one in trial.findings] for trial in result.trials]
    assert seen == [[("E", "looked at")], [("E", "")], [("F", "looked at"), ("E", "")], []]
    for run in (Run(), Run(stacks=("s",))):
        told = Scripted(point(1), react=lambda point, run=run: run)
        (trial,) = told.swept(witness=witness).trials
        assert told.runs.count(point(1).id) == 2
        assert [one.unseen for one in trial.findings] == ["looked at"]


@pytest.mark.parametrize("family", ["call", "acquire"])
def test_a_trial_that_pollutes_when_it_is_repeated_is_named(family):
    """After what broke off by force the process is looked at again; after an acquisition once at the end."""
    stage = Scripted(
        point(1, family=family),
        point(2, family=family),
        plain=[Run(), Run(), Run(error="E")] if family == "call" else (),
        react=lambda point: Run(error="OSError", unraisable=("E",)),
    )
    result = stage.swept(witness=Looker)
    first, second = (one.id for one in stage.points)
    if family == "call":
        assert result.stopped == f"polluted: it does not pass any more after {first}, which was tried twice"
        assert stage.runs == ["plain", first, "plain", first, "plain"]
        assert [(one.fault, one.unseen) for one in result.trials[-1].findings] == [
            ("unraisable", "looked at"), ("polluted", NOT_AGAIN),
        ]  # fmt: skip
    else:
        assert stage.runs == ["plain", first, first, second, "plain"]


def test_a_witness_that_is_refused_changes_nothing():
    """A debugger has the place: the finding stays, with what the witness could tell."""

    class Refusing(Looker):
        @contextmanager
        def watching(self):
            raise Refused("a debugger is there")
            yield

    stage = Scripted(point(1), react=lambda point: Run(error="OSError", unraisable=("E",)))
    (found,) = stage.swept(witness=Refusing).findings
    assert (found.what, found.unseen) == ("E", "looked at")
    assert stage.runs.count(point(1).id) == 1


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
