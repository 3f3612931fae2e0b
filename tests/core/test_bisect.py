"""The search for the test that makes another one leak."""

from __future__ import annotations

import pytest

from pytest_leakguard.core.bisect import Condition, condition_of

TESTS = tuple(f"t.py::test_{number:02}" for number in range(40))


def search(*needed: str, before=TESTS, runs_at_most=20) -> Condition:
    """For a leak that needs all of these, in order."""
    return condition_of(lambda tests: set(needed) <= set(tests), before, runs_at_most=runs_at_most)


def test_one_that_needs_nothing_leaks_alone():
    """One run tells."""
    assert search() == Condition(answer="alone", runs=1)


@pytest.mark.parametrize("culprit", TESTS)
def test_the_one_that_is_needed_is_found(culprit):
    """Wherever it stands, in some two runs for each halving."""
    found = search(culprit)
    assert (found.answer, found.after) == ("after one", (culprit,))
    assert found.runs <= 2 + 2 * 6


def test_two_that_are_needed_are_several():
    """The shortest part that was found to do is named: both are in it."""
    found = search(TESTS[3], TESTS[5])
    assert found.answer == "after several"
    assert {TESTS[3], TESTS[5]} <= set(found.after)
    assert len(found.after) < len(TESTS)


def test_one_that_does_not_leak_again_is_told_so():
    """Neither alone nor after all the others; with no others at all as well."""
    assert search("another thing") == Condition(answer="never", runs=2)
    assert search("another thing", before=()) == Condition(answer="never", runs=1)


def test_the_number_of_runs_is_bounded():
    """What is left when they are used up is told; with two it is nearly nothing."""
    found = search(TESTS[7], runs_at_most=5)
    assert (found.answer, found.runs) == ("unknown", 5)
    assert TESTS[7] in found.after
    assert search(TESTS[7], runs_at_most=1) == Condition(answer="unknown", runs=1)
    assert search(TESTS[7], runs_at_most=2) == Condition(answer="unknown", after=TESTS, runs=2)
    assert search(TESTS[7], runs_at_most=0) == Condition(answer="unknown")
    assert Condition(answer="unknown").runs == 0
