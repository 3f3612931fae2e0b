"""What a trial showed becomes findings by rules that need no event loop."""

from __future__ import annotations

from collections import Counter

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


def test_the_same_cause_is_one_finding_with_a_count():
    """Same function, same words; what is told stays apart from what fails."""
    leak = findings(evidence=Evidence(leaks=("fd 3",)), end="cancelled")
    told = findings(evidence=Evidence(leaks=("fd 3",)), end="cancelled", told="a reason")
    assert [(finding.count, finding.told) for finding in fold([*leak, *leak, *told])] == [(2, False), (1, True)]
