"""Any thread may add to the record while another one reads it."""

from __future__ import annotations

import sys
import threading
import time

import pytest

from pytest_leakguard.core.ledger import Ledger
from pytest_leakguard.core.model import Resource
from pytest_leakguard.origins.audit import Recorder
from pytest_leakguard.origins.match import Matcher


@pytest.fixture
def recorder():
    """Not started, or it would take the place of the one that watches this suite; a thread adds to it all the time."""
    recorder = Recorder(Ledger())
    over = threading.Event()

    def add():
        while not over.is_set():
            recorder.note("open", None, "/a").fd = 10_000

    thread = threading.Thread(target=add)
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    thread.start()
    yield recorder
    over.set()
    thread.join()
    sys.setswitchinterval(before)


def matches(recorder: Recorder) -> None:
    resource = Resource(kind="fd", key=(3, 1, 1, 0), what="", subject="", clues=(("path", "/b"), ("number", 3)))
    Matcher(recorder, tracked={}).match(resource)


READERS = {
    "forget": Recorder.forget,
    "set_before": Recorder.set_before,
    "ask_which_closed": lambda recorder: recorder.ask_which_closed("/a", id),
    "rename": lambda recorder: recorder.created.on_rename(("/b", "/c", -1, -1), None),
    "match": matches,
}


@pytest.mark.parametrize("name", READERS)
def test_the_record_is_read_while_another_thread_adds(recorder, name):
    until = time.monotonic() + 0.3
    while time.monotonic() < until:
        READERS[name](recorder)
