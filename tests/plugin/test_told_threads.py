"""What a leaked thread opens later is no later test's: it was told with the thread. A test's own leaks still are."""

from __future__ import annotations

import _thread
import sys
import threading
import time

import pytest

from pytest_leakguard.core.model import KINDS
from pytest_leakguard.plugin.told_threads import ToldThreads, may_have_opened
from pytest_leakguard.probes.threads import ThreadProbe

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="asks the kernel how often a thread has run")

HEAD = """
import os, socket, threading, time

KEPT = []
STOP = threading.Event()

def opens():
    while not STOP.wait(0.01):
        KEPT.append(os.pipe())

def is_opening():
    known = len(KEPT)
    while len(KEPT) < known + 2:
        time.sleep(0.01)
"""

RUNS = (
    HEAD
    + """
def test_leaves_it():
    threading.Thread(target=opens, daemon=True).start()

def test_quiet():
    is_opening()

def test_file():
    KEPT.append(open(__file__))
    is_opening()

def test_socket():
    KEPT.append(socket.socket())
"""
)

BLOCKED = (
    HEAD
    + """
def test_leaves_it():
    threading.Thread(target=STOP.wait, daemon=True).start()

def test_pipe():
    KEPT.append(os.pipe())
"""
)

ENDS = (
    HEAD
    + """
def opens_once():
    STOP.wait()
    KEPT.append(os.pipe())
    STOP.clear()

def test_leaves_it():
    threading.Thread(target=opens_once, daemon=True).start()

def test_quiet():
    STOP.set()
    while STOP.is_set():
        time.sleep(0.01)
    while threading.active_count() > 1:
        time.sleep(0.01)

def test_pipe():
    KEPT.append(os.pipe())
"""
)


@pytest.fixture(scope="module")
def told(tmp_path_factory, run_tree):
    """Test -> the kinds that are told of it, by the name of the suite."""

    def run(name: str, text: str) -> dict[str, set[str]]:
        ran = run_tree(tmp_path_factory.mktemp(name), {"test_a.py": text}, "-o", "leakguard_grace=0.05")
        assert ran.report["errors"] == []
        told: dict[str, set[str]] = {}
        for finding in ran.report["findings"]:
            told.setdefault(finding["test"].partition("::")[2], set()).add(finding["kind"])
        return told

    suites = {"runs": RUNS, "blocked": BLOCKED, "ends": ENDS}
    return {name: run(name, text) for name, text in suites.items()}


@pytest.mark.parametrize("suite", ["runs", "ends"])
def test_the_thread_is_told_once_and_a_quiet_test_is_not_blamed(told, suite):
    """Nothing tells which thread made a pipe."""
    assert "thread" in told[suite]["test_leaves_it"]
    assert "test_quiet" not in told[suite]


def test_what_a_test_is_known_to_have_opened_is_told(told):
    """An audit event tells of its thread."""
    assert (told["runs"]["test_file"], told["runs"]["test_socket"]) == ({"fd"}, {"socket"})


@pytest.mark.parametrize("suite", ["blocked", "ends"])
def test_a_thread_that_did_not_run_has_opened_nothing(told, suite):
    """One that waits for ever, and one that has ended and was asked about since, leave the test alone with its pipe."""
    assert told[suite]["test_pipe"] == {"fd"}


def test_of_several_each_is_asked():
    """One that has run is found before one that has not, once; those that are gone are forgotten."""
    probe, told, stops = ThreadProbe(), ToldThreads(), [threading.Event(), threading.Event()]
    threads = [threading.Thread(target=waits, args=(stop,), daemon=True) for stop in stops]
    for thread in threads:
        thread.start()
    time.sleep(0.1)  # both wait
    items = [("thread", (thread.ident, thread.native_id)) for thread in threads]
    for item in items:
        told.add(item)
    assert list(told) == items
    assert not told.have_run(probe.keys())
    stops[0].set()
    time.sleep(0.1)  # the first has run, and waits again
    assert [told.have_run(probe.keys()), told.have_run(probe.keys())] == [True, False]
    for stop, thread in zip(stops, threads, strict=True):
        while thread.is_alive():
            stop.set()
            thread.join(0.01)
    assert [told.have_run(probe.keys()), len(told), told.have_run(probe.keys())] == [True, 0, False]


def waits(stop):
    stop.wait()
    stop.clear()
    stop.wait()


def test_a_thread_may_have_opened_descriptors_only():
    """What else has no record is known to have been made by another thread, or tells itself whose it is."""
    assert [kind for kind in KINDS if may_have_opened(kind, None)] == ["fd", "socket"]


def test_where_the_kernel_does_not_tell_it_may_have_run():
    """A thread that Python did not start has no id of the kernel's here."""
    probe, told, lock = ThreadProbe(), ToldThreads(), _thread.allocate_lock()
    before = probe.keys()
    lock.acquire()
    _thread.start_new_thread(lambda: lock.acquire(), ())  # its frame tells of it
    while not (keys := probe.keys() - before):
        time.sleep(0.01)
    for key in keys:
        told.add(("thread", key))
    assert told.have_run(probe.keys())
    assert told.have_run(probe.keys())
    lock.release()
    while probe.keys() - before:
        time.sleep(0.01)
