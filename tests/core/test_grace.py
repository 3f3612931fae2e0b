"""Looking again: growing waits, a clock that is passed in, and no wait at all for what is clean."""

from __future__ import annotations

import math

import pytest

from pytest_leakguard.core.grace import (
    FIRST_WAIT_SECONDS,
    LONGEST_WAIT_SECONDS,
    BadTime,
    seconds,
    settle,
    settling,
    waits,
)


class FakeClock:
    """Time that passes only when somebody sleeps."""

    def __init__(self) -> None:
        self.now = 100.0
        self.slept: list[float] = []

    def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.now += seconds

    def read(self) -> float:
        return self.now


def looks_of(*answers: list[str]):
    """A look that gives these answers in turn, the last one for ever."""
    left = list(answers)
    return lambda: left.pop(0) if len(left) > 1 else left[0]


def test_waits_double_from_one_millisecond_up_to_a_tenth_of_a_second():
    """Each wait is twice the last, never more than the longest, and only the last may be cut short."""
    found = list(waits(1.0))
    assert found[:7] == pytest.approx([0.001, 0.002, 0.004, 0.008, 0.016, 0.032, 0.064])
    assert found[7:-1] == pytest.approx([LONGEST_WAIT_SECONDS] * len(found[7:-1]))
    assert 0 < found[-1] <= LONGEST_WAIT_SECONDS


@pytest.mark.parametrize("grace", [0.0005, 0.001, 0.01, 0.25, 1.0, 3.3, 10.0])
def test_the_waits_add_up_to_the_grace(grace):
    """Together the waits take the grace, no more and no less."""
    assert sum(waits(grace)) == pytest.approx(grace)
    assert max(waits(grace)) <= min(grace, LONGEST_WAIT_SECONDS)


@pytest.mark.parametrize("grace", [0, 0.0, -1.0])
def test_no_grace_means_no_wait(grace):
    """Zero (or less) gives no waits."""
    assert list(waits(grace)) == []


def test_a_wait_shorter_than_the_first_is_taken_whole():
    """A grace below the first wait is one wait of that length."""
    assert list(waits(FIRST_WAIT_SECONDS / 2)) == [FIRST_WAIT_SECONDS / 2]


def test_nothing_left_means_one_look_and_no_sleep():
    """A clean test never waits."""
    clock = FakeClock()
    settled = settle(looks_of([]), 5.0, sleep=clock.sleep, clock=clock.read)
    assert (list(settled.left), settled.looks, settled.seconds) == ([], 1, 0.0)
    assert clock.slept == []


def test_what_goes_is_not_waited_for_any_longer():
    """The first empty look ends the waiting; looks and seconds tell how long it took."""
    clock = FakeClock()
    settled = settle(looks_of(["a", "b"], ["a"], []), 1.0, sleep=clock.sleep, clock=clock.read)
    assert (list(settled.left), settled.looks) == ([], 3)
    assert settled.seconds == pytest.approx(0.003)
    assert clock.slept == pytest.approx([0.001, 0.002])


def test_what_stays_is_looked_for_until_the_grace_is_over():
    """What never goes is what the last look saw, after one look more than there were waits."""
    clock = FakeClock()
    settled = settle(looks_of(["a", "b"], ["b"]), 0.25, sleep=clock.sleep, clock=clock.read)
    assert list(settled.left) == ["b"]
    assert settled.looks == len(clock.slept) + 1 == 1 + len(list(waits(0.25)))
    assert settled.seconds == pytest.approx(0.25)


def test_without_grace_there_is_one_look_whatever_it_sees():
    """Grace 0: one look, no sleep, what it saw is left."""
    clock = FakeClock()
    settled = settle(looks_of(["a"]), 0.0, sleep=clock.sleep, clock=clock.read)
    assert (list(settled.left), settled.looks, clock.slept) == (["a"], 1, [])


def test_a_slow_machine_costs_no_looks():
    """Sleeps that take longer than asked leave the number of looks as it is."""
    slow, quick = FakeClock(), FakeClock()

    def oversleep(seconds: float) -> None:
        slow.sleep(seconds * 50)

    late = settle(looks_of(["a"]), 0.3, sleep=oversleep, clock=slow.read)
    early = settle(looks_of(["a"]), 0.3, sleep=quick.sleep, clock=quick.read)
    assert late.looks == early.looks
    assert late.seconds > 10 > early.seconds


def test_an_error_of_the_look_comes_out():
    """Whatever the look raises is the caller's to handle."""
    clock = FakeClock()

    def look() -> list[str]:
        raise LookupError("no such table")

    with pytest.raises(LookupError, match="no such table"):
        settle(look, 1.0, sleep=clock.sleep, clock=clock.read)
    assert clock.slept == []


def test_a_full_collection_comes_before_the_last_look_only():
    """Of three looks the first two see what is there; before the third what is in cycles may die."""
    calls = []
    steps = settling(lambda: calls.append("look") or [1], 0.003, clock=lambda: 0.0, collect=lambda: calls.append("gc"))
    assert [next(steps), next(steps)] == [0.001, 0.002]
    with pytest.raises(StopIteration) as end:
        next(steps)
    assert calls == ["look", "look", "gc", "look"]
    assert end.value.value.looks == 3


def test_nothing_left_asks_for_no_wait():
    """The first look decides; no collection is made."""
    calls = []
    settled = settle(
        list, 5, sleep=calls.append, clock=iter((1.0, 1.5)).__next__, collect=lambda: calls.append("gc")
    )  # fmt: skip
    assert (settled.left, settled.looks, settled.seconds, calls) == ([], 1, 0.5, [])


@pytest.mark.parametrize(("given", "number"), [(0, 0.0), ("0", 0.0), ("1.5", 1.5), (2, 2.0), (0.25, 0.25)])
def test_a_time_is_a_number_of_seconds(given, number):
    """0 is a time; text is read."""
    assert seconds(given, "here") == number


@pytest.mark.parametrize("given", [-1, "-0.1", True, False, "soon", None, "inf", "nan", math.inf, [1]])
def test_what_is_no_time_is_refused(given):
    """The message names the source, the value and what is allowed."""
    with pytest.raises(BadTime) as error:
        seconds(given, "tox.ini")
    assert str(error.value) == f"tox.ini: bad time {given!r}. Allowed: seconds, 0 or more, e.g. 0.5."
