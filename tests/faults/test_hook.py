"""The switches of the process that a trial turns: each is back afterwards, and what fails leaves no trace."""

from __future__ import annotations

import os
import signal
import sys
import threading
from dataclasses import replace

import pytest

from pytest_leakguard.core.ledger import Ledger
from pytest_leakguard.faults.errors import planned
from pytest_leakguard.faults.limit import can_limit
from pytest_leakguard.faults.model import FaultPoint
from pytest_leakguard.faults.observe import observed
from pytest_leakguard.faults.points import Aiming, Shot
from pytest_leakguard.faults.targets import Targets
from pytest_leakguard.origins import hook
from pytest_leakguard.origins.audit import Recorder


@pytest.fixture
def recorder():
    """One that the hook feeds, as in every guarded run."""
    recorder = Recorder(Ledger())
    recorder.start()
    yield recorder
    recorder.stop()


def refuse(event, args, frame):
    """Every opening of the null device by this file fails."""
    return OSError("planned") if args[0] == os.devnull and frame.f_code.co_filename == __file__ else None


def acquire():
    os.close(os.open(os.devnull, os.O_RDONLY))


def opened(recorder):
    return [record.detail for record in recorder.records if record.event == "open"]


def test_what_fails_is_not_recorded(recorder):
    """It acquired nothing, so it explains nothing."""
    with hook.sabotage(refuse, ["open"]), pytest.raises(OSError, match="planned"):
        acquire()
    assert opened(recorder) == []
    acquire()
    assert opened(recorder) == [os.devnull]


def test_afterwards_nothing_fails_any_more(recorder):
    """Also when the block was left by the error, and inside of another."""
    with pytest.raises(OSError, match="planned"), hook.sabotage(refuse, ["open"]):
        acquire()
    acquire()
    with hook.sabotage(refuse, ["open"]):
        with pytest.raises(OSError, match="planned"), hook.sabotage(refuse, ["open"]):
            acquire()
        with pytest.raises(OSError, match="planned"):
            acquire()
    acquire()


def test_afterwards_no_further_event_is_listened_to(recorder):
    """What a sweep listens to costs nothing once it is over."""
    before = hook._handlers
    with hook.sabotage(refuse, ["leakguard.test"]):
        assert "leakguard.test" in hook._handlers
    assert hook._handlers is before


def test_an_error_of_ours_stays_with_us(recorder, monkeypatch):
    """A handler that is broken is told of, and the call of the user goes on."""
    monkeypatch.setattr(hook, "_failures", [])

    def broken(args, frame):
        raise LookupError("a handler is broken")

    recorder.listen({"leakguard.test": broken})
    sys.audit("leakguard.test")
    assert hook.failures() == ["audit hook: LookupError: a handler is broken"]


def test_our_own_reading_is_left_out(recorder):
    """As long as the outermost block lasts."""
    with recorder.silence():
        acquire()
        with recorder.silence():
            acquire()
        acquire()
    assert opened(recorder) == []
    acquire()
    assert opened(recorder) == [os.devnull]


def test_the_hooks_of_the_interpreter_are_given_back():
    """Those for errors that nobody can catch, and the alarm."""

    def state():
        alarm = signal.getsignal(signal.SIGALRM), signal.getitimer(signal.ITIMER_REAL)[0]
        return sys.unraisablehook, threading.excepthook, alarm

    if not can_limit():
        pytest.skip("somebody else has the alarm")
    before = state()
    with observed(lambda filename: True, 600.0) as seen:
        assert all(now != then for now, then in zip(state(), before, strict=True))
    assert state() == before
    assert not seen.stacks


def test_nothing_fails_in_a_fork():
    """An error in a child that a test forks would lead it back into pytest."""
    frame = sys._getframe()
    targets = Targets(root=os.path.dirname(__file__), given=(__file__,))
    point = FaultPoint(
        family="acquire", path=os.path.basename(__file__), qualname="test_nothing_fails_in_a_fork", what="open",
        occurrence=1,
    )  # fmt: skip
    here = Aiming(point, "transient", targets, Shot())
    child = replace(here, pid=os.getpid() + 1, shot=Shot())
    assert child.hit(frame, 1, "open", OSError) is None
    assert isinstance(here.hit(frame, 1, "open", OSError), OSError)


def test_an_injected_error_that_ends_a_thread_is_no_second_finding():
    """It had nowhere else to go; any other error that ends a thread is told."""

    def raises(error):
        def run():
            raise error

        thread = threading.Thread(target=run, name="worker")
        thread.start()
        thread.join()

    with observed(lambda filename: True, 600.0) as seen:
        raises(planned(OSError("injected"), "a point"))
        raises(ValueError("own"))
        raises(SystemExit())
    assert seen.unraisable == ["ValueError: own, which ended thread 'worker'"]
