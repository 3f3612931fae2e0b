"""What is said of a thread."""

from __future__ import annotations

import _thread
import threading

import pytest

from pytest_leakguard.core.ledger import Ledger
from pytest_leakguard.origins.audit import Recorder
from pytest_leakguard.origins.wrap import THREAD_START_HAS_EVENT, wrap_thread_start
from pytest_leakguard.probes.threads import ThreadProbe


@pytest.mark.parametrize(("daemon", "word"), [(True, "daemon"), (False, "not daemon")])
def test_a_thread_is_told_with_its_name_and_whether_it_holds_the_exit(daemon, word):
    """A daemon thread lets the interpreter go, any other keeps it waiting."""
    probe = ThreadProbe("/")
    before, stop = probe.keys(), threading.Event()
    thread = threading.Thread(target=stop.wait, name="station", daemon=daemon)
    thread.start()
    try:
        (key,) = probe.keys() - before
        assert key == (thread.ident, thread.native_id)  # the first number may be used again
        assert probe.describe(key).what.startswith(f"thread 'station', {word},")
    finally:
        stop.set()
        thread.join()


def test_a_thread_that_threading_does_not_know_is_told():
    """One that C code or `_thread` started has no name, and is there all the same."""
    probe = ThreadProbe("/")
    before, started, stop, over = probe.keys(), threading.Event(), threading.Lock(), threading.Event()
    stop.acquire()

    def work():
        started.set()
        stop.acquire()
        over.set()

    ident = _thread.start_new_thread(work, ())
    try:
        started.wait()
        (key,) = probe.keys() - before
        assert probe.describe(key).what.startswith(f"thread {ident} not made by the threading module")
    finally:
        stop.release()
        over.wait()


@pytest.mark.skipif(THREAD_START_HAS_EVENT, reason="an audit event tells of a thread's start here")
def test_what_stands_for_the_start_of_threads_is_taken_away():
    """Before 3.12 a function of ours starts them, as long as somebody watches."""
    real = threading._start_new_thread
    undo = wrap_thread_start(Recorder(Ledger()))
    assert threading._start_new_thread is not real
    undo()
    assert threading._start_new_thread is real
