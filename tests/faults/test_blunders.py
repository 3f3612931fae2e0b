"""Which of the errors that come out of a trial is a blunder of a handler: raised while the fault was handled."""

from __future__ import annotations

import gc
import json
import warnings

import pytest

from pytest_leakguard.faults.errors import planned
from pytest_leakguard.faults.limit import Hung
from pytest_leakguard.faults.observe import Observation, listening


class Refused(Exception):
    """An error of the project's own."""


def after_the_fault(handle) -> str:
    """What is told of an error that a handler raised."""
    seen = Observation(lambda filename: filename == __file__)
    try:
        try:
            raise planned(OSError("injected"), "a point")
        except OSError as error:
            handle(error)
    except Exception as error:
        seen.note(error)
    return seen.unrelated


def uses_what_is_not_set(error):
    nothing_of_that_name.close()  # noqa: F821


def calls_a_method_of_nothing(error):
    None.close()


def translates(error):
    raise TypeError("on purpose") from error


def hides_it(error):
    raise AttributeError("on purpose") from None


def refuses(error):
    raise Refused("on purpose")


def leaves_it_to_a_library(error):
    json.dumps(object())


@pytest.mark.parametrize("handle", [uses_what_is_not_set, calls_a_method_of_nothing])
def test_a_blunder_in_a_handler_is_told_with_its_line(handle):
    """A name that is not set yet, a method of None."""
    assert after_the_fault(handle).endswith(f"(line {handle.__code__.co_firstlineno + 1})")


@pytest.mark.parametrize("handle", [translates, hides_it, refuses, leaves_it_to_a_library])
def test_what_is_raised_on_purpose_is_none(handle):
    """With a cause, in place of the fault, of a class of its own, or by code that is not under test."""
    assert after_the_fault(handle) == ""


def test_without_a_fault_the_same_error_is_none():
    """What a test raises by itself is its own failure."""
    seen = Observation(lambda filename: True)
    try:
        uses_what_is_not_set(None)
    except NameError as error:
        seen.note(error)
    assert (seen.unrelated, seen.is_from_fault) == ("", False)


def test_the_end_of_the_time_is_no_error_of_the_run():
    """It is told as a hang, with the stacks."""
    seen = Observation(lambda filename: True)
    seen.note(Hung())
    assert seen.error == ""


def test_a_warning_that_a_filter_makes_an_error_is_told_as_a_leak_only():
    """What the collector closes is the business of the probes."""
    seen = Observation(lambda filename: True)
    with warnings.catch_warnings(), listening(seen):
        warnings.simplefilter("error")
        open(__file__, "rb")
        gc.collect()
    assert seen.unraisable == []
