"""Each classic bug is found, once and at its line; the same code without it is clean."""

from __future__ import annotations

import asyncio
import inspect
import os
import sys

import pytest
from cancel_twins import TWINS, acquire, check_descriptors, clean_child, group, leaky_child

from pytest_leakguard.faults.cancel_each import cancel_each

twins = pytest.mark.parametrize("name", TWINS)


def failures(result):
    return [finding for finding in result.findings if not finding.told]


def marked_line(holder) -> int:
    source, start = inspect.getsourcelines(holder)
    return start + next(index for index, line in enumerate(source) if "HERE" in line)


@pytest.mark.allow_leaks("task:lines", reason="the leaky generator is left half-way on purpose")
@twins
def test_the_leaky_twin_is_found_at_its_line(name):
    """One cause, of the right kind, at the await where the cancellation does the harm."""
    leaky, _, holder, fault, text = TWINS[name]
    result = cancel_each(leaky, check=check_descriptors, hang_seconds=0.3)
    (finding,) = failures(result)
    assert finding.fault == fault
    assert text in finding.what
    assert finding.point.line == marked_line(holder)
    assert finding.point.path.endswith("tests/faults/cancel_twins.py")
    assert finding.fix
    assert finding.stack[0]


@twins
def test_the_clean_twin_is_clean(name):
    """At every point, cancelled once; and a second time without a failure."""
    _, clean, _, _, _ = TWINS[name]
    result = cancel_each(clean, check=check_descriptors, hang_seconds=2.0)
    assert failures(result) == []
    assert result.points
    assert {trial.outcome for trial in result.trials} <= {"raised", "passed"}


@pytest.mark.skipif(sys.version_info < (3, 11), reason="TaskGroup came with 3.11")
def test_the_children_of_a_task_group_are_cancelled_by_themselves_and_with_it():
    """A child that leaks does so at its own await, and where the group is cancelled; one that does not is clean."""
    result = cancel_each(lambda: group(leaky_child), check=check_descriptors)
    assert [finding.point.line for finding in failures(result)] == [marked_line(group), marked_line(leaky_child)]
    assert [finding.count for finding in failures(result)] == [2, 2]  # two children each time
    assert failures(cancel_each(lambda: group(clean_child), check=check_descriptors)) == []


def test_a_timeout_finds_what_only_an_exception_can_leave_open():
    """TimeoutError is an Exception, CancelledError is none: a handler may be right for one of them only."""

    async def swallows_errors_of_the_await():
        fd = acquire()
        try:
            await asyncio.sleep(0)
        except Exception:
            return  # as if there were nothing to close
        except BaseException:
            os.close(fd)
            raise
        os.close(fd)

    result = cancel_each(swallows_errors_of_the_await, families=("cancel", "timeout"), check=check_descriptors)
    (finding,) = failures(result)
    assert finding.point.family == "timeout"
    assert finding.error.startswith("TimeoutError at ")
