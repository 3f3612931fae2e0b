"""The line `held` in a whole run: each kind of leak, blocks, failed tests, workers, pictures."""

from __future__ import annotations

import os
import re
import stat
import xml.etree.ElementTree
from pathlib import Path

import pytest

HEAD = """
import gc
import logging
import os
import socket
import sqlite3
import subprocess
import sys
import threading
import weakref
import functools

import pytest
from pytest_leakguard import LeakError

KEPT = []
"""

APP = """
import functools
import threading

_SOURCES = {}
log = []

class Pool:
    shared = {}

    def __init__(self):
        self._idle = []

pool = Pool()

class Poller:
    def __init__(self):
        self.stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="poller", daemon=True)
        self._thread.start()

    def _run(self):
        self.stop.wait()

class Session:
    def on_event(self):
        pass

@functools.cache
def source(path):
    return open(path)

def work(path, ready, stop):
    stream = open(path)
    ready.set()
    stop.wait()
    stream.close()
"""

TESTS = (
    HEAD
    + """
import app

def test_global(tmp_path):
    app._SOURCES["header"] = open(tmp_path / "a", "w")

def test_attribute():
    app.pool._idle.append(socket.socket())

def test_class():
    app.Pool.shared["x"] = socket.socket()

def test_cache(tmp_path):
    (tmp_path / "a").write_text("")
    app.source(tmp_path / "a")

def test_own_module(tmp_path):
    KEPT.append(open(tmp_path / "a", "w"))

def test_process():
    KEPT.append(subprocess.Popen([sys.executable, "-S", "-c", "input()"], stdin=subprocess.PIPE))

class Child(subprocess.Popen):
    pass

def test_child_of_another_class():
    app._SOURCES["child"] = Child([sys.executable, "-S", "-c", "input()"], stdin=subprocess.PIPE)

def test_thread():
    app.Poller()

def test_thread_with_a_handle():
    app.log.append(app.Poller())

def test_object(leak_check):
    session = leak_check.track(app.Session())
    app.log.append(session.on_event)

def test_sqlite(tmp_path):
    app.pool.db = sqlite3.connect(tmp_path / "a.db")
    app.pool.db.execute("create table t (a)")

def test_handler(tmp_path):
    logging.getLogger("station").addHandler(logging.FileHandler(tmp_path / "a.log"))

def test_bare(tmp_path):
    KEPT.append(os.open(tmp_path / "a", os.O_CREAT | os.O_RDWR))

def test_pipe():
    KEPT.extend(os.pipe())

def test_thread_local_variable(tmp_path):
    (tmp_path / "a").write_text("")
    ready = threading.Event()
    args = (tmp_path / "a", ready, threading.Event())
    threading.Thread(target=app.work, args=args, name="reader", daemon=True).start()
    ready.wait()

def test_that_fails(tmp_path):
    stream = open(tmp_path / "a", "w")
    app._SOURCES["failed"] = stream
    assert 0

@pytest.mark.allow_leaks("fd:*", reason="kept on purpose")
def test_allowed(tmp_path):
    KEPT.append(open(tmp_path / "a", "w"))

def test_temp():
    import tempfile
    tempfile.mkdtemp()

def test_unclosed(tmp_path):
    open(tmp_path / "a", "w")

@pytest.fixture(scope="module")
def wide(tmp_path_factory):
    app._SOURCES["wide"] = open(tmp_path_factory.mktemp("wide") / "a", "w")
    yield

def test_of_a_fixture(wide):
    pass

@pytest.fixture(scope="module")
def bag():
    return []

def test_block(leak_check, tmp_path):
    with leak_check():
        f = open(tmp_path / "a", "w")

def test_block_and_a_fixture(leak_check, tmp_path, bag):
    with leak_check():
        bag.append(open(tmp_path / "a", "w"))

def test_block_in_a_class_of_data(leak_check, tmp_path):
    with leak_check():
        app._SOURCES["block"] = open(tmp_path / "a", "w")

class TestIn:
    def test_method(self, leak_check, tmp_path):
        with leak_check():
            self.f = open(tmp_path / "a", "w")

def test_many(tmp_path):
    for number in range(3):
        app._SOURCES[number] = open(tmp_path / "a", "w")
"""
)

LOG = "module app, global `log`"
HELD = {
    "test_global": ["module app, global `_SOURCES`", "dict['header']", "TextIOWrapper"],
    "test_attribute": ["module app, global `pool`", "Pool._idle", "list[0]", "socket"],
    "test_class": ["class app.Pool, attribute `shared`", "dict['x']", "socket"],
    "test_cache": ["module app, global `source`", "cache of function source", "TextIOWrapper"],
    "test_own_module": ["module test_it, global `KEPT`", "list[N]", "TextIOWrapper"],
    "test_process": ["module test_it, global `KEPT`", "list[N]", "Popen"],
    "test_child_of_another_class": ["module app, global `_SOURCES`", "dict['child']", "Child"],
    "test_thread_with_a_handle": [LOG, "list[N]", "Poller._thread", "Thread"],
    "test_object": [LOG, "list[N]", "bound method Session.on_event", "Session"],
    "test_sqlite": ["module app, global `pool`", "Pool.db", "Connection"],
    "test_thread_local_variable": ["local 'stream' in work (app.py:LINE), thread 'reader'", "TextIOWrapper"],
    "test_that_fails": ["module app, global `_SOURCES`", "dict['failed']", "TextIOWrapper"],
    "test_of_a_fixture": ["module app, global `_SOURCES`", "dict['wide']", "TextIOWrapper"],
    "test_many": ["module app, global `_SOURCES`", "dict[0]", "TextIOWrapper"],
}
BLOCKS = {
    "test_block": "local 'f' of the test -> TextIOWrapper",
    "test_block_and_a_fixture": "value of fixture 'bag' -> list[0] -> TextIOWrapper",
    "test_block_in_a_class_of_data": "module app, global `_SOURCES` -> dict['block'] -> TextIOWrapper",
    "test_method": "local 'self' of the test -> TestIn.f -> TextIOWrapper",
}
REASONS = {
    "test_thread": "by nothing but the running thread itself",
    "test_bare": "no Python object holds it: a bare descriptor number",
    "test_pipe": "",
    "test_temp": "",
    "test_unclosed": "",
    "test_allowed": "",
}


@pytest.fixture(scope="module")
def told(tmp_path_factory, run_tree):
    """One run over all of it, with pictures."""
    root = tmp_path_factory.mktemp("held")
    files = {"app.py": APP, "test_it.py": TESTS, "pytest.ini": "[pytest]\npythonpath = .\n"}
    return run_tree(root, files, "--leakguard-grace=0.1", "--leakguard-graph=pictures", "--junit-xml=junit.xml")


def finding(told, test):
    found = [one for one in told.report["findings"] if one["test"].endswith(f"::{test}")]
    assert found, told.text
    return found[0]


@pytest.mark.parametrize("test", HELD)
def test_each_kind_of_leak_tells_who_holds_it(told, test):
    """Words for the root, each reference and the object, in the report as data."""
    chain = [re.sub(r"list\[\d+\]", "list[N]", word) for word in finding(told, test)["held"]["chain"]]
    chain = [re.sub(r"\.py:\d+", ".py:LINE", word) for word in chain]
    assert [re.sub(r"list\[N\]", "list[0]", word) for word in chain] == [
        re.sub(r"list\[N\]", "list[0]", word) for word in HELD[test]
    ]
    assert finding(told, test)["held"]["reason"] == ""


@pytest.mark.parametrize("test", REASONS)
def test_where_there_is_no_chain_the_reason_is_told_or_nothing(told, test):
    """A thread that only runs, a bare number, what has no object, and what is allowed and not searched for."""
    held = finding(told, test)["held"]
    assert (held["chain"], held["reason"], held["graph"]) == ([], REASONS[test], "")


def test_a_handler_is_held_by_its_logger(told):
    """Through the standard library's own tree of loggers, whichever way is the shortest."""
    chain = finding(told, "test_handler")["held"]["chain"]
    assert chain[-3:] == ["list[0]", "FileHandler.stream", "TextIOWrapper"]
    assert chain[-4] == "Logger.handlers"


@pytest.mark.parametrize("test", BLOCKS)
def test_a_block_tells_it_too(told, test):
    """There the test still runs, and its own variables hold."""
    (message,) = re.findall(rf"_+ (?:TestIn\.)?{test} _+\n(.*?)(?=\n_{{5,}} )", told.text + "\n______ ", re.DOTALL)
    assert f"held      {BLOCKS[test]}" in message


def test_the_line_stands_between_acquired_and_due(told):
    """The order of the lines is always the same."""
    (entry,) = re.findall(r"LEAK fd  test_it.py::test_global\n(.*?)\n\n", told.text, re.DOTALL)
    labels = [line.split()[0] for line in entry.splitlines()]
    assert labels == ["what", "acquired", "held", "due", "fix", "allow"]


def test_junit_has_the_line(told):
    """As it has the others."""
    root = re.findall(r"rootdir: (.*)", told.text)[0].strip()
    tree = xml.etree.ElementTree.parse(os.path.join(root, "junit.xml"))
    case = next(case for case in tree.iter("testcase") if case.get("name") == "test_global")
    text = "".join(case.itertext()) + "".join(str(child.attrib) for child in case)
    assert "module app, global `_SOURCES`" in text


def test_each_chain_has_its_picture(told):
    """A DOT file, named after the fingerprint, told in the report and in the text."""
    root = re.findall(r"rootdir: (.*)", told.text)[0].strip()
    one = finding(told, "test_attribute")
    graph = one["held"]["graph"]
    assert re.fullmatch(r"pictures/socket-test_it.py-test_attribute-[0-9a-f]{8}\.dot", graph)
    assert f"-> socket  [graph: {graph}]" in told.text
    dot = Path(root, graph).read_text("utf-8")
    assert dot.startswith("digraph held {")
    assert 'n0 [label="module app", style=bold];' in dot
    assert 'n0 -> n1 [label="global pool"];' in dot
    assert 'n3 [label="socket", style=filled, fillcolor="#ffd9d9"];' in dot
    assert dot.count("->") == 3
    with_chain = [one for one in told.report["findings"] if one["held"]["chain"]]
    assert all(os.path.exists(os.path.join(root, one["held"]["graph"])) for one in with_chain)
    assert not [name for name in os.listdir(os.path.join(root, "pictures")) if name.endswith(".part")]


LEAKY = (
    HEAD
    + """
def test_it(tmp_path):
    KEPT.append(open(tmp_path / "a", "w"))
"""
)


def test_no_picture_and_no_folder_without_the_option(alone, pytester):
    """Off is off."""
    pytester.makepyfile(LEAKY)
    (one,) = alone().findings
    assert one["held"]["chain"][0].endswith("global `KEPT`")
    assert one["held"]["graph"] == ""
    assert list(pytester.path.rglob("*.dot")) == []


def test_graphviz_draws_after_the_last_test(alone, pytester, monkeypatch):
    """Where its `dot` is found, it is called once, for SVG and PNG; a program of the same name stands in here."""
    program = pytester.path / "bin" / "dot"
    program.parent.mkdir()
    program.write_text('#!/bin/sh\necho "$@" > called\nfor last; do :; done\n: > "$last.svg"\n: > "$last.png"\n')
    program.chmod(program.stat().st_mode | stat.S_IXUSR)
    monkeypatch.setenv("PATH", str(program.parent), prepend=os.pathsep)
    pytester.makepyfile(LEAKY)
    (one,) = alone("--leakguard-graph=a/b").findings
    graph = pytester.path / one["held"]["graph"]
    assert (pytester.path / "called").read_text().split() == ["-Tsvg", "-Tpng", "-O", str(graph)]
    assert graph.with_name(f"{graph.name}.svg").exists()
    assert graph.with_name(f"{graph.name}.png").exists()


def test_graphviz_that_fails_is_told_and_changes_nothing(alone, pytester, monkeypatch):
    """One line under the report."""
    program = pytester.path / "bin" / "dot"
    program.parent.mkdir()
    program.write_text("#!/bin/sh\necho no fonts >&2\nexit 3\n")
    program.chmod(program.stat().st_mode | stat.S_IXUSR)
    monkeypatch.setenv("PATH", str(program.parent), prepend=os.pathsep)
    pytester.makepyfile(LEAKY)
    ran = alone("--leakguard-graph=a", errors=True)
    assert ran.report["errors"] == ["graphviz: no fonts"]
    assert len(ran.findings) == 1


def test_a_folder_that_goes_bad_costs_the_picture_only(alone, pytester):
    """A test may put a file in its place; the finding and its chain are told."""
    pytester.makepyfile(LEAKY.replace("    KEPT", "    open('a', 'w').close()\n    KEPT"))
    ran = alone("--leakguard-graph=a", errors=True)
    (one,) = [one for one in ran.findings if one["kind"] == "fd"]
    assert one["held"]["chain"] != []
    assert one["held"]["graph"] == ""
    assert len(ran.report["errors"]) == 1
    assert "not written: " in ran.report["errors"][0]


def test_a_worker_tells_it_too(run, pytester):
    """Under pytest-xdist the chain and the picture come from the worker that searched."""
    pytest.importorskip("xdist")
    pytester.makepyfile(LEAKY)
    (one,) = run("-n1", "--leakguard-graph=a").findings
    assert one["held"]["chain"][1:] == ["list[0]", "TextIOWrapper"]
    assert (pytester.path / one["held"]["graph"]).exists()


NOTHING_KEPT = (
    HEAD
    + """
import app

WEAK = []

@pytest.fixture(autouse=True)
def collector_off():
    gc.disable()
    yield
    gc.enable()

def test_leak(tmp_path, leak_check):
    stream, sock, session = open(tmp_path / "a", "w"), socket.socket(), leak_check.track(app.Session())
    app._SOURCES.update(stream=stream, sock=sock, session=session)
    WEAK.extend(map(weakref.ref, (stream, sock, session)))
    del stream, sock, session
    with pytest.raises(LeakError):
        with leak_check("fd"):
            KEPT.append(open(tmp_path / "b", "w"))
    WEAK.append(weakref.ref(KEPT[0]))
    KEPT.pop().close()

def test_after():
    assert WEAK[3]() is None
    app._SOURCES["stream"].close()
    app._SOURCES["sock"].close()
    assert None not in [weak() for weak in WEAK[:3]]
    app._SOURCES.clear()
    assert [weak() for weak in WEAK[:3]] == [None] * 3
"""
)


def test_nothing_is_kept_alive(alone, pytester):
    """Told, then let go by the program: gone at once, the collector switched off."""
    pytester.makepyfile(NOTHING_KEPT, app=APP)
    ran = alone()
    assert {one["kind"] for one in ran.findings} == {"fd", "socket", "object"}
    assert "2 passed, 1 leaked" in ran.text


SUITE = (
    HEAD
    + """
@pytest.mark.parametrize("number", range(40))
def test_it(number, tmp_path):
    KEPT.append([[open(tmp_path / "a", "w")]])
"""
)


def test_a_suite_that_always_leaks_the_same_does_not_search_for_ever(alone, pytester):
    """After a second (here 0.05) the same origin is not searched again, and the finding says so."""
    pytester.makepyfile(SUITE)
    pytester.makeconftest("from pytest_leakguard.plugin import holding\nholding.SECONDS_PER_ORIGIN = 0.05")
    held = [one["held"] for one in alone().findings]
    assert len(held) == 40
    assert held[0]["chain"] != []
    assert held[-1]["chain"] == []
    assert held[-1]["reason"] == "not searched again: 0.05 s were spent on leaks with this origin"


PATCHED = (
    HEAD
    + """
import time

def refuse(*args, **kwargs):
    raise RuntimeError("not this way")

def test_it(tmp_path):
    KEPT.append(open(tmp_path / "a", "w"))
    for module, name in ((gc, "get_referrers"), (gc, "get_referents"), (sys, "_getframe"), (sys, "_current_frames"),
                         (time, "perf_counter"), (threading, "enumerate")):
        setattr(module, name, refuse)
"""
)


def test_a_test_that_patches_what_the_search_needs_is_told_all_the_same(alone, pytester):
    """The functions were taken before."""
    pytester.makepyfile(PATCHED)
    (one,) = [one for one in alone().findings if one["kind"] == "fd"]
    assert one["held"]["chain"][1:] == ["list[0]", "TextIOWrapper"]
