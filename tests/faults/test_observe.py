"""What comes out of a run is put in words: its error, what was raised in handling it, what nobody could catch."""

from __future__ import annotations

import sys
import threading
import time
from types import SimpleNamespace

import pytest

from pytest_leakguard.faults.errors import InjectedInterrupt, planned
from pytest_leakguard.faults.limit import Hung, can_limit
from pytest_leakguard.faults.observe import Observation, in_words, listening, observed


def injected(kind=OSError) -> BaseException:
    return planned(kind("planned"), "call:a.py:f:x#1")


def came_out_of(function) -> BaseException:
    """The error that it raises."""
    with pytest.raises(BaseException) as caught:
        function()
    return caught.value


def observing() -> Observation:
    return Observation(__file__.__eq__)


# -- the error of a run


def test_the_first_error_counts():
    """Whether it comes from the fault is told with it."""
    seen = observing()
    seen.note(ValueError("own"))
    seen.note(injected())
    run = seen.run(())
    assert (run.error, run.is_from_fault, run.unrelated, run.leaks) == ("ValueError: own", False, "", ())
    seen = observing()
    seen.note(injected())
    seen.note(ValueError("own"))
    assert (seen.error, seen.is_from_fault) == ("OSError: planned", True)


def test_an_interrupt_of_the_keyboard_goes_on():
    """One that was injected does not, nor one that was raised because of it."""
    seen = observing()
    with pytest.raises(KeyboardInterrupt):
        seen.note(KeyboardInterrupt())
    assert seen.error == ""
    seen.note(injected(InjectedInterrupt))
    assert seen.error == "InjectedInterrupt: planned"
    later = KeyboardInterrupt()
    later.__context__ = injected(InjectedInterrupt)
    observing().note(later)


def test_the_end_by_force_is_no_error_of_the_run():
    """It is told by the stacks."""
    seen = observing()
    seen.note(Hung())
    assert (seen.error, seen.is_from_fault, seen.unrelated) == ("", False, "")


def test_all_of_it_together():
    """As the oracles take it."""
    seen = Observation(bool, "E: x", True, "U: y (line 1)", ["nobody"], ["thread"], 0.5)
    run = seen.run(("a leak",))
    assert (run.error, run.is_from_fault, run.unrelated, run.leaks) == ("E: x", True, "U: y (line 1)", ("a leak",))
    assert (run.unraisable, run.stacks, run.seconds) == (("nobody",), ("thread",), 0.5)
    fresh = observing()
    assert (fresh.unraisable, fresh.stacks, fresh.seconds, fresh.is_from_fault) == ([], [], 0.0, False)


# -- errors in handlers


def in_handler(second, first=None):
    """What comes out when `second` is raised while an injected error is handled."""

    def run():
        try:
            raise first or injected()
        except BaseException:
            second()

    return came_out_of(run)


NOTHING = None


def name_that_is_not_set():
    return undefined  # noqa: F821


def attribute_of_none():
    return None.close


def type_of_none():
    return NOTHING()


def value():
    raise ValueError("own")


def hidden():
    raise NameError("hidden") from None


def explained():
    try:
        return undefined
    except NameError as error:
        raise TypeError("explained") from error


def injected_too():
    raise injected(TypeError)


@pytest.mark.parametrize(
    ("second", "kind"),
    [
        (name_that_is_not_set, "NameError"), (attribute_of_none, "AttributeError"), (type_of_none, "TypeError"),
        (value, ""), (hidden, ""), (injected_too, ""),
    ],
)  # fmt: skip
def test_a_blunder_of_a_handler_is_unrelated(second, kind):
    """With its line. What somebody raised on purpose is not: of another type, with a cause, in place of the other."""
    seen = observing()
    error = in_handler(second)
    seen.note(error)
    if not kind:
        assert seen.unrelated == ""
        return
    line = second.__code__.co_firstlineno + 1
    assert seen.unrelated == f"{kind}: {error} (line {line})"


def test_an_error_with_a_cause_was_raised_on_purpose():
    """The blunder that is its cause is told all the same, since the fault came before it."""
    seen = observing()
    seen.note(in_handler(explained))
    assert seen.unrelated.startswith("NameError")


def test_a_blunder_without_a_fault_is_none():
    """It comes up in each run."""
    seen = observing()
    seen.note(in_handler(name_that_is_not_set, first=OSError("own")))
    seen.note(came_out_of(attribute_of_none))
    assert seen.unrelated == ""


def test_a_blunder_of_other_code_is_not_told():
    """Only of code under test, by the frame that raised it; one that was never raised has none."""
    seen = Observation(lambda filename: False)
    seen.note(in_handler(name_that_is_not_set))
    made = TypeError("made")
    made.__context__ = injected()
    observed_made = observing()
    observed_made.note(made)
    assert (seen.unrelated, observed_made.unrelated) == ("", "")


def test_the_first_blunder_counts():
    """Also when the error of the run was noted before."""
    seen = observing()
    seen.note(ValueError("own"))
    seen.note(in_handler(attribute_of_none))
    seen.note(in_handler(name_that_is_not_set))
    assert seen.unrelated.startswith("AttributeError")


def test_the_place_of_a_blunder_is_the_innermost():
    """The code under test has to have raised it itself, not called what did."""
    seen = observing()
    seen.note(in_handler(lambda: [3].index(None.x)))
    assert seen.unrelated.startswith("AttributeError")
    seen = observing()
    seen.note(in_handler(lambda: exec(compile("def f(): undefined()\nf()", "/env/other.py", "exec"), {})))
    assert seen.unrelated == ""


# -- in words


class Mute(Exception):
    def __str__(self):
        raise LookupError("no words")


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (None, "an error"),
        (ValueError(), "ValueError"),
        (ValueError("one\n  two"), "ValueError: one two"),
        (Mute(), "Mute"),
        (ValueError("x" * 201), f"ValueError: {'x' * 200}"),
    ],
    ids=["none", "empty", "lines", "mute", "long"],
)
def test_an_error_in_words(error, words):
    """Its type and its message, on one line of a bounded width."""
    assert in_words(error) == words


# -- what nobody could catch


def unraisable(error, where=None):
    sys.unraisablehook(SimpleNamespace(exc_value=error, object=where, exc_type=type(error), exc_traceback=None))


def in_thread(error, name="worker"):
    thread = name and SimpleNamespace(name=name)
    threading.excepthook(SimpleNamespace(exc_value=error, exc_type=type(error), thread=thread, exc_traceback=None))


def test_errors_that_nobody_could_catch_are_collected():
    """Not those of the fault itself, of the end by force, nor what is no error."""
    seen, before = observing(), (sys.unraisablehook, threading.excepthook)
    caused = ValueError("caused")
    caused.__context__ = injected()
    with listening(seen):
        unraisable(ValueError("own"), Observation.note)
        unraisable(ValueError("bare"))
        in_thread(ValueError("own"))
        in_thread(ValueError("late"), None)
        for error in (injected(), caused, ResourceWarning("unclosed"), Hung()):
            unraisable(error)
        for error in (injected(), caused, SystemExit(1)):
            in_thread(error)
    assert seen.unraisable == [
        "ValueError: own, with nobody to raise it to, in Observation.note",
        "ValueError: bare, with nobody to raise it to",
        "ValueError: own, which ended thread 'worker'",
        "ValueError: late, which ended thread '?'",
    ]
    assert (sys.unraisablehook, threading.excepthook) == before


def test_the_hooks_are_put_back():
    """Unless somebody else has set one meanwhile: that stays."""
    before = sys.unraisablehook, threading.excepthook
    with listening(observing()):
        assert sys.unraisablehook is not before[0]
        assert threading.excepthook is not before[1]
    assert (sys.unraisablehook, threading.excepthook) == before
    try:
        with listening(observing()):
            sys.unraisablehook = others = lambda args: None
        assert (sys.unraisablehook, threading.excepthook) == (others, before[1])
        sys.unraisablehook = before[0]
        with listening(observing()):
            threading.excepthook = others
        assert (sys.unraisablehook, threading.excepthook) == (before[0], others)
    finally:
        sys.unraisablehook, threading.excepthook = before


def test_a_run_has_its_time():
    """In seconds; an error of it goes on, and what is seen is whole all the same."""
    with pytest.raises(LookupError), observed(bool, 600.0) as seen:
        raise LookupError
    assert 0.0 < seen.seconds < 0.5
    assert seen.stacks == []


@pytest.mark.skipif(not can_limit(), reason="somebody else has the alarm")
def test_a_run_that_hangs_is_ended():
    """Its stacks tell where it hung, and nothing is raised."""
    with observed(bool, 0.02) as seen:
        time.sleep(20)
    assert 0.02 <= seen.seconds < 10
    assert any("test_a_run_that_hangs_is_ended" in stack for stack in seen.stacks)
