"""What is said of a thread."""

from __future__ import annotations

import threading

import pytest

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
        assert probe.describe(key).what.startswith(f"thread 'station', {word},")
    finally:
        stop.set()
        thread.join()
