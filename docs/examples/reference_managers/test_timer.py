"""The examples of docs/reference-managers/timer.md: nothing is reported on an error."""

from __future__ import annotations

import time

import pytest

from pytest_leakguard.reference import timed_block


def leaky_timed(work, report):
    started = time.perf_counter()
    work()
    report(time.perf_counter() - started)  # the slow failure that you look for is not in the log


def fixed_timed(work, report):
    with timed_block("work", report):
        work()


def fails():
    raise TimeoutError("no answer")


@pytest.mark.parametrize(("timed", "number"), [(leaky_timed, 0), (fixed_timed, 1)])
def test_a_failing_block(timed, number):
    told = []
    with pytest.raises(TimeoutError):
        timed(fails, told.append)
    assert len(told) == number
