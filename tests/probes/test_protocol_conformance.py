"""Every built-in probe and the one of the docs keep to the Probe protocol."""

from __future__ import annotations

import asyncio
import importlib
import mmap
import os
import socket
import sqlite3
import subprocess
import sys
import threading
import warnings
from collections.abc import Hashable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from pytest_leakguard.core.ledger import OUTSIDE
from pytest_leakguard.core.model import KINDS, Resource
from pytest_leakguard.origins.record import Record
from pytest_leakguard.probes.protocol import Probe
from pytest_leakguard.watch import Watch

EXAMPLE = Path(__file__).parents[2] / "docs" / "examples" / "probe_plugin"
ALL = (*KINDS, "handle")


@pytest.fixture
def watch(monkeypatch) -> Watch:
    """All probes as a session has them, with the example of the docs among them; nothing is recorded."""
    monkeypatch.syspath_prepend(str(EXAMPLE))
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    # started, it would take the place of the recorder that watches this very suite
    plugin = importlib.import_module("leakguard_handles")
    watch = Watch(root=os.getcwd(), others=plugin.pytest_leakguard_probes(None))
    watch.recorder.active = True
    return watch


def acquire(kind: str, watch: Watch, stack: ExitStack, folder: Path) -> None:
    """One resource of the kind, until the stack is closed."""
    if kind == "fd":
        stack.enter_context(open(folder / "a", "w"))
    elif kind == "socket":
        stack.enter_context(socket.socket())
    elif kind == "mmap":
        # for this one call the recorder has to be told
        watch.recorder.start()
        mapping = mmap.mmap(-1, 10)
        watch.recorder.stop()
        stack.callback(mapping.close)
    elif kind == "sqlite":
        # Python 3.10 looks only for connections that may be told
        watch.ledger.begin_test("test_it.py::test_it")
        watch.recorder.start()
        connection = sqlite3.connect(":memory:")
        watch.recorder.stop()
        stack.callback(connection.close)
    elif kind == "thread":
        stop, up = threading.Event(), threading.Event()
        thread = threading.Thread(target=lambda: (up.set(), stop.wait()), daemon=True)
        thread.start()
        up.wait()
        stack.callback(thread.join)
        stack.callback(stop.set)
    elif kind == "process":
        child = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
        stack.callback(child.wait)
        assert child.stdin is not None
        stack.callback(child.stdin.close)
    elif kind == "lock":
        lock = watch.locks.track(threading.Lock(), sys._getframe(), False)
        lock.acquire()
        stack.callback(lock.release)
    elif kind == "task":
        watch.tasks.witness.arm()
        stack.callback(watch.tasks.witness.disarm)
        loop = asyncio.new_event_loop()
        stack.callback(loop.close)
        task = loop.create_task(asyncio.sleep(0))
        stack.callback(lambda: loop.run_until_complete(task))
    elif kind == "temp":
        (folder / "left").write_text("x")
        watch.recorder.created[str(folder / "left")] = Record("open", None, (), OUTSIDE)
        stack.callback(watch.recorder.created.clear)
    elif kind == "unclosed":
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            watch.unclosed.watch()
            open(os.devnull)
        (key,) = watch.unclosed.keys()
        stack.callback(watch.unclosed.forget, key)
    elif kind == "object":
        kept = [type("Tracked", (), {})()]
        watch.objects.track(kept[0], Record("track", None, (), OUTSIDE))
        stack.callback(kept.clear)
    elif kind == "state":
        before = sys.getrecursionlimit()
        sys.setrecursionlimit(before + 1)
        stack.callback(sys.setrecursionlimit, before)
    else:
        handles: Any = sys.modules["handles"]
        slot = handles.open_handle("lantern")
        stack.callback(handles.close_handle, slot)


@pytest.fixture
def held(request, watch, tmp_path) -> Iterator[tuple[Probe, Hashable, ExitStack]]:
    """The probe of a kind, the key of one resource of it, and the stack that releases that."""
    probe = watch.roster.get(request.param)
    assert probe is not None
    with ExitStack() as stack:
        if request.param == "state":
            stack.enter_context(watch.state.watching())
        watch.look()
        before = probe.keys()
        acquire(request.param, watch, stack, tmp_path)
        watch.table.forget()
        keys = probe.keys() - before
        # a pipe to the child, or the warning's own descriptor, is another kind's affair
        assert len(keys) == 1, keys
        yield probe, next(iter(keys)), stack


def test_there_is_a_probe_of_each_kind(watch):
    """Every documented kind, and the example's, has an active probe here."""
    assert watch.roster.kinds == set(ALL)
    assert watch.roster.errors == []


@pytest.mark.parametrize("kind", ALL)
def test_names_and_marks_are_as_promised(watch, kind):
    """Kind, mechanism, availability, mark and census have the types that the protocol gives them."""
    probe = watch.roster.get(kind)
    assert isinstance(probe, Probe)
    assert probe.kind == kind
    assert isinstance(probe.mechanism, str)
    assert probe.mechanism.strip()
    assert "\n" not in probe.mechanism
    assert probe.unavailable() is None
    hash(probe.mark())
    keys = probe.keys()
    assert isinstance(keys, frozenset)


@pytest.mark.parametrize("kind", ALL)
def test_what_did_not_move_looks_the_same(watch, kind):
    """Two marks and two censuses with nothing in between are equal."""
    probe = watch.roster.get(kind)
    watch.look()
    first = probe.mark(), probe.keys()
    watch.table.forget()
    assert (probe.mark(), probe.keys()) == first


@pytest.mark.parametrize("held", ALL, indirect=True, ids=ALL)
def test_a_resource_is_in_the_census_until_it_is_released(watch, held):
    """What was acquired has one key of its own; released, the key is gone."""
    probe, key, stack = held
    again = probe.keys()
    assert key in again
    stack.close()
    watch.table.forget()
    after = probe.keys()
    assert key not in after


@pytest.mark.parametrize("held", ALL, indirect=True, ids=ALL)
def test_a_description_holds_strings_and_numbers_only(held):
    """Words in one line, the kind and key that were asked for, and nothing of the object itself."""
    probe, key, _ = held
    check_description(probe, key)


@pytest.mark.parametrize("held", [kind for kind in ALL if kind not in ("unclosed", "object")], indirect=True)
def test_a_description_of_what_is_gone_does_not_raise(held):
    """The resource may go between census and description: then what is known is told."""
    probe, key, stack = held
    stack.close()
    check_description(probe, key)


def check_description(probe: Probe, key: Hashable) -> None:
    told = probe.describe(key)
    assert isinstance(told, Resource)
    assert (told.kind, told.key) == (probe.kind, key)
    for text in (told.what, told.subject, told.fix):
        assert isinstance(text, str)
        assert text.strip()
        assert "\n" not in text
    assert isinstance(told.reason, str)
    for clue, value in told.clues:
        assert isinstance(clue, str)
        assert all(isinstance(part, (str, int, float)) for part in (value if isinstance(value, tuple) else (value,)))


def test_a_description_never_runs_code_of_the_resource(watch, tmp_path):
    """Classes of a user with methods that raise are described all the same."""

    class Rude(threading.Thread):
        def __repr__(self) -> str:
            raise AssertionError("repr was asked for")

        __str__ = __repr__

        def run(self) -> None:
            up.set()
            stop.wait()

    stop, up = threading.Event(), threading.Event()
    thread = Rude(name="rude", daemon=True)
    before = watch.look()["thread"]
    thread.start()
    up.wait()
    try:
        (key,) = watch.look()["thread"] - before
        assert watch.roster.describe("thread", key).subject == "rude"
        assert watch.roster.errors == []
    finally:
        stop.set()
        thread.join()
