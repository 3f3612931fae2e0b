"""What a trial showed becomes findings by rules that need no event loop."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

import pytest

from pytest_leakguard.faults.cancel_judge import Evidence, fold, judge
from pytest_leakguard.faults.model import FaultPoint
from pytest_leakguard.faults.suspensions import Observation, Stuck

POINT = FaultPoint(family="cancel", path="app/pool.py", qualname="Pool.get", what="Future", occurrence=1, line=42)
TASK = Stuck(task="serve", at="app/pool.py:7 in serve", lines=("asyncio/queues.py:1 in Queue.get",))
ENTERS = Stuck(task="main", at="app/pool.py:9 in main", lines=(), enters=True)
JOINS = Stuck(task="main", at="app/pool.py:8 in main", lines=(), joins=True)


def findings(without=None, evidence=None, **seen):
    observation = Observation(injected=1, **seen)
    return judge(observation, without or Observation(), evidence or Evidence(), point=POINT, mode="transient")


def test_nothing_is_told_of_a_trial_that_injected_nothing():
    """Whatever was left, it was not by this fault."""
    assert judge(Observation(pending=(TASK,)), Observation(), Evidence(), point=POINT, mode="transient") == ()


@pytest.mark.parametrize("end", ["cancelled", "timed out", ""])
def test_an_end_that_is_expected_gives_nothing(end):
    """Cancelled, timed out, or in a task that goes on for others."""
    assert findings(end=end) == ()


def test_tasks_are_counted_by_name_against_the_run_without_a_fault():
    """Two were there anyhow, wherever they waited; the third is new."""
    elsewhere = Stuck(task="serve", at="app/pool.py:99 in serve", lines=())
    (finding,) = findings(without=Observation(pending=(TASK, elsewhere)), pending=(TASK, TASK, TASK), end="cancelled")
    assert finding.what == "task serve outlived the coroutine, waiting at app/pool.py:7 in serve"
    assert finding.error == "CancelledError at app/pool.py:42 in Pool.get"


def test_generators_and_errors_are_counted_the_same_way():
    """What the run without a fault shows too is not this fault's."""
    without = Observation(open_generators=Counter(a=1), unretrieved=["E"])
    seen = {"open_generators": Counter(a=1), "unretrieved": ["E"], "end": "cancelled"}
    assert findings(without=without, **seen) == ()
    assert {finding.fault for finding in findings(**seen)} == {"leak", "unraisable"}


def test_the_injected_error_in_a_task_that_nobody_asks_is_told():
    """It has nowhere else to go; any other error that is lost is a failure."""
    own = "TimeoutError: timed out by pytest-leakguard at timeout:a.py:f:g#1"
    found = findings(unretrieved=[own, "ValueError: x"], end="cancelled")
    assert [finding.told for finding in found] == [True, False]


@pytest.mark.parametrize(
    ("stuck", "spawned", "told"),
    [
        ((TASK,), True, True),  # waits for the work of the cancelled task
        ((TASK,), False, False),  # the cancelled one itself
        ((ENTERS,), True, False),  # waits for a lock that the cancelled task had
        ((ENTERS, JOINS), True, False),
        ((ENTERS, TASK), True, True),  # the holder of the lock may be the one that waits for work
        ((JOINS, TASK), True, True),
    ],
)
def test_a_hang_is_a_failure_when_the_cancelled_code_is_at_fault(stuck, spawned, told):
    """Only a lock or slot not given back speaks against a spawned task that was cancelled alone."""
    (finding,) = findings(stuck=stuck, spawned=spawned, end="cancelled")
    assert (finding.fault, finding.told) == ("hang", told)


def test_after_a_fault_that_is_only_told_everything_is():
    """With the reason in the first line of the details."""
    told = findings(told="a reason", pending=(TASK,), evidence=Evidence(leaks=("fd 3",)), end="cancelled")
    assert [finding.told for finding in told] == [True, True]
    assert {finding.details[0] for finding in told} == {"told only: a reason"}


def test_without_evidence_only_the_loop_is_judged():
    """The sweep looks itself at what came out and what is left."""
    seen = Observation(injected=1, end="returned", pending=(TASK,))
    (finding,) = judge(seen, Observation(), point=POINT, mode="transient")
    assert finding.fault == "leak"


def test_a_generator_that_only_the_collector_closed_is_told():
    """One that is open as well is told as that, once; what the plain run shows too is not told."""
    (told,) = findings(collected_generators=Counter(pages=1), end="cancelled")
    assert (told.fault, told.what, told.told) == (
        "leak", "async generator pages was closed by the collector only", True,
    )  # fmt: skip
    both = findings(collected_generators=Counter(pages=1), open_generators=Counter(pages=1), end="cancelled")
    assert [(one.what, one.told) for one in both] == [
        ("async generator pages was left inside a block with a clean-up", False)
    ]
    without = Observation(collected_generators=Counter(pages=1))
    assert findings(without=without, collected_generators=Counter(pages=1), end="cancelled") == ()
    assert len(findings(without=without, collected_generators=Counter(pages=3), end="cancelled")) == 2


def test_what_was_found_around_the_run():
    """Resources that were left are failures; a coroutine that nobody awaited is told."""
    found = findings(evidence=Evidence(leaks=("fd 3",), unawaited=("Pool.get",)), end="cancelled")
    assert [(one.fault, one.what, one.told) for one in found] == [
        ("leak", "fd 3", False),
        ("unraisable", "coroutine Pool.get was never awaited", True),
    ]


@pytest.mark.parametrize(
    ("end", "what"),
    [
        ("returned", "the task returned as if nothing had happened"),
        ("uncancelled", "the task withdrew the cancellation with uncancel() and returned"),
        ("completed", "the coroutine came to its end: no checkpoint was left, or it swallowed the cancellation"),
        ("raised", "another error took its place: KeyError: 1"),
    ],
)
def test_a_cancellation_that_does_not_come_out_is_told(end, what):
    """Unless the run hangs: then that is what is told; an error of the handler is a failure of its own."""
    (found,) = findings(end=end, ended_with="KeyError: 1")
    assert (found.fault, found.what, found.told) == ("swallowed", what, True)
    assert [one.fault for one in findings(end=end, stuck=(TASK,))] == ["hang"]
    (handler,) = findings(end=end, ended_with="KeyError: 1", in_handler=True)
    assert (handler.fault, handler.what, handler.told) == (
        "unrelated", "KeyError: 1, raised while the cancellation was handled", False,
    )  # fmt: skip


def test_a_hang_tells_who_waits_where():
    """Of several the one that waits for what was not given back, else the first; the lines of all."""
    (found,) = findings(stuck=(JOINS, ENTERS), end="cancelled")
    assert found.what == (
        "the run hangs: task main waits at app/pool.py:9 in main for what the cancelled one never gave back"
    )
    (found,) = findings(stuck=(TASK, ENTERS), end="cancelled")
    assert found.what == "the run hangs: task serve waits at app/pool.py:7 in serve"
    assert found.details == ("task serve", "  asyncio/queues.py:1 in Queue.get", "task main")
    (found,) = findings(stuck=(TASK,), spawned=True, end="")
    assert (found.told, found.what) == (False, "the run hangs: task serve waits at app/pool.py:7 in serve")


def test_the_error_is_that_of_the_family_with_its_place_where_it_is_known():
    """A timeout is a TimeoutError; a point read from an id has no line."""

    def error_of(point: FaultPoint) -> str:
        seen = Observation(injected=1, end="returned", stack=("a.py:1 in f",))
        (found,) = judge(seen, Observation(), Evidence(), point=point, mode="persistent")
        assert (found.point, found.mode, found.stack) == (point, "persistent", ("a.py:1 in f",))
        return found.error

    assert error_of(replace(POINT, family="timeout")) == "TimeoutError at app/pool.py:42 in Pool.get"
    assert error_of(replace(POINT, line=1)) == "CancelledError at app/pool.py:1 in Pool.get"
    assert error_of(replace(POINT, line=0)) == "CancelledError"
    for family in ("zone", "acquire"):
        assert error_of(replace(POINT, family=family)).startswith("CancelledError")
    assert error_of(replace(POINT, family="".join("timeout"))).startswith("TimeoutError")


def test_the_same_cause_is_one_finding_with_a_count():
    """Same function, same words; what is told stays apart from what fails."""
    leak = findings(evidence=Evidence(leaks=("fd 3",)), end="cancelled")
    told = findings(evidence=Evidence(leaks=("fd 3",)), end="cancelled", told="a reason")
    assert [(finding.count, finding.told) for finding in fold([*leak, *leak, *leak, *told])] == [(3, False), (1, True)]
