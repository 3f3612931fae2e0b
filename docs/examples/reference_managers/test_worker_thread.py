"""The examples of docs/reference-managers/worker-thread.md: the join is skipped when the body raised."""

from __future__ import annotations

import threading

import pytest

from pytest_leakguard import LeakError
from pytest_leakguard.reference import WorkerThread


def leaky_poll(poll, work, started):
    stop = threading.Event()
    thread = threading.Thread(target=poll, args=(stop,))
    started.append((thread, stop))
    thread.start()
    work()  # fails: the thread runs on
    stop.set()
    thread.join()


def fixed_poll(poll, work):
    with WorkerThread(poll, name="poller"):
        work()


def poll(stop):
    stop.wait(30)


def fails():
    raise ValueError


def test_leaky(leak_check):
    started = []
    with pytest.raises(LeakError), leak_check("thread", grace=0.1):
        try:
            leaky_poll(poll, fails, started)
        except ValueError:
            pass
    thread, stop = started[0]
    stop.set()
    thread.join()


def test_fixed(leak_check):
    with leak_check(), pytest.raises(ValueError):
        fixed_poll(poll, fails)
