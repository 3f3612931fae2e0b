"""What one trial shows, from made-up runs: how it ended, what is told of it, and what of that is a failure."""

from __future__ import annotations

from dataclasses import replace
from typing import get_args

import pytest

from pytest_leakguard.core.model import Finding, Origin, Owner
from pytest_leakguard.faults.model import STRICT, Family, Fault, FaultPoint
from pytest_leakguard.faults.oracles import Run, cause_of, findings_of, is_only_told, not_told_yet, outcome_of
from pytest_leakguard.faults.points import Shot

POINT = FaultPoint(family="call", path="app/pool.py", qualname="Pool.get", what="connect", occurrence=1, line=42)
SHOT = Shot(injected=1, error="OSError: injected", stack=("app/pool.py:42 in Pool.get",))
ORIGIN = Origin(file="app/pool.py", line=40, function="Pool.get", how="audit", event="open")
LEAK = Finding(
    kind="fd", verdict="leaked", test="t", phase="call", owner=Owner(kind="test", scope="function", name="t"),
    what="fd 3", subject="a", origin=ORIGIN, due="", fix="close it", allow="", fingerprint="fd:app/pool.py:Pool.get",
)  # fmt: skip
RAISED = Run(error="OSError: injected", is_from_fault=True)


def fresh(text: str) -> str:
    """An equal text that is another object."""
    return "".join(list(text))


def shown(run: Run, *, shot: Shot = SHOT, point: FaultPoint = POINT, strict: bool = False):
    """Fault and what of each finding."""
    return [(one.fault, one.what) for one in findings_of(run, shot, point, "transient", strict=strict)]


# -- how it ended


def test_a_run_passes_when_nothing_came_out_of_it():
    """An error, a leak or a hang: each by itself is something."""
    assert Run().passed
    assert not Run(error="E").passed
    assert not Run(leaks=(LEAK,)).passed
    assert not Run(stacks=("thread 'MainThread'",)).passed
    assert Run().seconds == 0
    assert not Run().is_from_fault


@pytest.mark.parametrize(
    ("run", "injected", "outcome"),
    [
        (Run(), 0, "not reached"),
        (Run(error="E"), 0, "not reached"),
        (Run(stacks=("s",)), 0, "hung"),
        (Run(stacks=("s",), error="E"), 1, "hung"),
        (Run(error="E"), 1, "raised"),
        (Run(), 1, "passed"),
    ],
)
def test_how_a_trial_ended(run, injected, outcome):
    """A hang whether or not the point was reached; without a fault nothing else can be said."""
    assert outcome_of(run, Shot(injected=injected)) == outcome


# -- what is told


def test_without_a_fault_nothing_is_told():
    """Whatever came out of the run was not by this fault."""
    assert shown(Run(leaks=(LEAK,), unraisable=("E",), stacks=("s",)), shot=Shot()) == []


def test_an_error_that_came_out_is_what_should_be():
    """Nothing to tell."""
    assert shown(RAISED) == []


def test_a_leak_is_told_with_the_fault_that_led_to_it():
    """What was left, what was injected, and where."""
    (found,) = findings_of(replace(RAISED, leaks=(LEAK,)), SHOT, POINT, "persistent", strict=False)
    assert (found.fault, found.what, found.fix, found.leak, found.told) == ("leak", "fd 3", "close it", LEAK, False)
    assert (found.point, found.mode, found.error, found.stack) == (POINT, "persistent", SHOT.error, SHOT.stack)


@pytest.mark.parametrize(
    ("file", "line", "within", "is_told"),
    [
        ("app/pool.py", 42, ("mkstemp",), False),  # by the standard library inside the call that failed
        ("app/pool.py", 42, (), True),
        ("app/pool.py", 41, ("mkstemp",), True),
        ("app/pool.py", 43, ("mkstemp",), True),
        ("app/poll.py", 42, ("mkstemp",), True),
    ],
)
def test_what_the_failing_call_acquired_inside_itself_is_not_told(file, line, within, is_told):
    """The code under test never had it, so it can't release it."""
    leak = replace(LEAK, origin=replace(ORIGIN, file=file, line=line, within=within))
    assert shown(replace(RAISED, leaks=(leak,))) == ([("leak", "fd 3")] if is_told else [])


def test_a_hang_is_all_that_is_told_of_a_run_that_was_cut_off():
    """With the stacks; what is left then may be the work of the alarm."""
    run = Run(stacks=("thread 'MainThread'", "  a.py:3 in f"), leaks=(LEAK,), seconds=5.04)
    (found,) = findings_of(run, SHOT, POINT, "transient", strict=False)
    assert (found.fault, found.what, found.details) == ("hang", "did not end within 5.0 s", run.stacks)
    assert found.fix == "give the wait or the retry an end"


def test_an_error_of_a_handler_is_told():
    """Beside what else was found."""
    run = replace(RAISED, unrelated="NameError: fd", leaks=(LEAK,))
    assert shown(run) == [("leak", "fd 3"), ("unrelated", "NameError: fd, raised while the fault was handled")]


@pytest.mark.parametrize(
    ("text", "fix"),
    [
        ("RuntimeError in Late.__del__", "let `__del__` bear an object whose constructor did not finish"),
        ("LookupError: x, which ended thread 'a'", "catch it where the thread or the callback starts"),
    ],
)
def test_an_error_that_went_nowhere_is_told_with_its_remedy(text, fix):
    """One of a destructor is repaired in another place than one of a thread."""
    (found,) = findings_of(replace(RAISED, unraisable=(text,)), SHOT, POINT, "transient", strict=False)
    assert (found.fault, found.what) == ("unraisable", text)
    assert found.fix.startswith(fix)


def test_the_destructor_of_what_was_not_constructed_is_left_out():
    """Before Python 3.12 the object is there already when the call of its class fails."""
    assert shown(replace(RAISED, unraisable=("E in connect.__del__",))) == []
    assert shown(Run(unraisable=("E in connect.__del__",)))[0][0] == "swallowed"
    assert shown(replace(RAISED, unraisable=("E in other.__del__",))) == [("unraisable", "E in other.__del__")]


def test_a_fault_that_nobody_heard_of_is_told():
    """Neither an error of the run nor one that went nowhere."""
    what = "the code went on as if nothing had failed, and the test passed"
    assert shown(Run()) == [("swallowed", what)]
    assert shown(Run(leaks=(LEAK,))) == [("leak", "fd 3"), ("swallowed", what)]
    assert shown(Run(unraisable=("E",))) == [("unraisable", "E")]


@pytest.mark.parametrize(
    ("fault", "what", "kind", "leak", "is_left_out"),
    [
        ("leak", "task serve outlived the coroutine", "task", "task 'Task-2' of serve", True),
        ("leak", "task serve outlived the coroutine", "task", "task 'Task-2' of server", False),
        ("leak", "task serve outlived the coroutine", "fd", "task 'Task-2' of serve", False),
        ("leak", "task serve outlived the coroutine", "thread", "task 'Task-2' of serve", False),
        ("leak", "task serve outlived the coroutine", "unclosed", "task 'Task-2' of serve", False),
        ("leak", "fd serve", "task", "task 'Task-2' of serve", False),
        ("hang", "task serve waits", "task", "task 'Task-2' of serve", False),
        ("swallowed", "task serve returned", "task", "task 'Task-2' of serve", False),
    ],
)
def test_a_task_that_was_left_is_told_once(fault, what, kind, leak, is_left_out):
    """By the probe where that is on; what else the event loop showed stays."""
    found = [replace(findings_of(Run(), SHOT, POINT, "transient", strict=False)[0], fault=fresh(fault), what=what)]
    run = Run(leaks=(LEAK, replace(LEAK, kind=fresh(kind), what=leak)))
    assert not_told_yet(run, found) == ([] if is_left_out else found)
    assert not_told_yet(Run(), found) == found


# -- what of it is a failure

FAILURES = {"leak", "hang", "unrelated", "unraisable", "polluted"}


def failures(point: FaultPoint = POINT, mode="transient", **more) -> set[str]:
    more = {"strict": False, **more}
    return {fault for fault in get_args(Fault) if not is_only_told(fresh(fault), point, fresh(mode), **more)}


def test_all_but_a_swallowed_fault_are_failures():
    """For each family but the releases."""
    for family in set(get_args(Family)) - {"release"}:
        assert failures(replace(POINT, family=fresh(family))) == FAILURES
    assert failures(replace(POINT, family=fresh("release"))) == set()


def test_a_hang_of_a_retry_or_of_whoever_waits_is_told():
    """It may be meant: only that, nothing else of such a trial."""
    assert failures(mode="persistent") == FAILURES - {"hang"}
    assert failures(apart=True) == FAILURES - {"hang"}


def test_strict_makes_all_of_it_a_failure():
    """Also at points where no code could bear a fault, which are told otherwise."""
    at_strict = replace(POINT, family="interrupt", what=STRICT + "open")
    assert failures(at_strict) == set()
    for point in (POINT, at_strict, replace(POINT, family="release")):
        assert failures(point, strict=True) == set(get_args(Fault))


def test_a_finding_is_told_or_a_failure_by_that_rule():
    """Strictness, mode, and whether it was apart are those of the trial."""

    def told(run: Run, mode="transient", shot: Shot = SHOT, strict: bool = False) -> list[bool]:
        return [one.told for one in findings_of(run, shot, POINT, mode, strict=strict)]

    assert (told(Run()), told(Run(), strict=True)) == ([True], [False])
    hung = Run(stacks=("s",))
    assert (told(hung), told(hung, mode="persistent"), told(hung, shot=replace(SHOT, apart=True))) == (
        [False], [True], [True],
    )  # fmt: skip


# -- equal causes


def test_findings_that_one_repair_would_end_have_one_cause():
    """A leak by its fingerprint, lost errors by their words, all else by the place of the fault."""
    elsewhere = replace(POINT, qualname="Pool.put", occurrence=2)

    def cause(run: Run, point: FaultPoint = POINT, strict: bool = False) -> tuple[object, ...]:
        (found,) = findings_of(run, SHOT, point, "transient", strict=strict)
        return cause_of(replace(found, fault=fresh(found.fault)))

    leaks, lost, hung = replace(RAISED, leaks=(LEAK,)), replace(RAISED, unraisable=("E",)), Run(stacks=("s",))
    handler = replace(RAISED, unrelated="NameError: fd")
    assert cause(leaks) == cause(leaks, elsewhere) == ("leak", "fd:app/pool.py:Pool.get")
    assert cause(lost) == cause(lost, elsewhere) == ("unraisable", "E")
    assert cause(handler) == cause(handler, elsewhere)
    assert cause(hung) == ("hang", "app/pool.py", "Pool.get", "connect")
    assert cause(hung) == cause(hung, replace(POINT, occurrence=2))
    assert cause(hung) != cause(hung, elsewhere)
    assert len({cause(run) for run in (leaks, lost, hung, handler, Run())}) == 5
