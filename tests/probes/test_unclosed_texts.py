"""The ResourceWarnings of this Python, as it words them, and the clues that are read from them."""

from __future__ import annotations

import asyncio
import gc
import os
import socket
import sqlite3
import subprocess
import sys
import tempfile
import threading
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from pytest_leakguard.collecting import Collecting
from pytest_leakguard.core.ledger import Context, Ledger
from pytest_leakguard.core.model import Owner, Resource
from pytest_leakguard.origins.audit import Recorder
from pytest_leakguard.probes.unclosed import UnclosedProbe


class Left:
    """Warns when it is collected, as a library's object does that nobody closed."""

    def __init__(self, text: str, category: type[Warning] = ResourceWarning) -> None:
        self.text, self.category = text, category

    def __del__(self) -> None:
        warnings.warn(self.text, self.category, stacklevel=1)


def leave(text: str, category: type[Warning] = ResourceWarning) -> None:
    """Let go of an object that warns."""
    Left(text, category)


@contextmanager
def watching(probe: UnclosedProbe, *filters: str) -> Iterator[None]:
    """The probe's entry stands first; the filters behind it come in the order given, the last one nearest."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for action in filters:
            warnings.simplefilter(action)  # type: ignore[arg-type]
        probe.watch()
        yield


def texts(probe: UnclosedProbe) -> list[str]:
    """The warnings that wait to be judged, as they were worded."""
    keys = probe.keys()
    return [probe.caught(key).text for key in sorted(keys)]  # type: ignore[type-var]


def descriptions(probe: UnclosedProbe) -> list[Resource]:
    keys = probe.keys()
    return [probe.describe(key) for key in sorted(keys)]  # type: ignore[type-var]


@pytest.fixture
def probe() -> UnclosedProbe:
    # started, it would take the place of the recorder that watches this very suite
    recorder = Recorder(Ledger())
    recorder.active = True
    return UnclosedProbe(recorder, lambda path: path.replace(os.getcwd() + os.sep, ""))


def told(probe: UnclosedProbe, make: Callable[[], object]) -> Resource:
    """What the probe tells of the one thing that `make` makes and drops."""
    with watching(probe):
        make()
        gc.collect()
    (key,) = probe.keys()
    return probe.describe(key)


def test_a_file_by_name(probe, tmp_path, monkeypatch):
    """The name as it was given, and the path it leads to."""
    monkeypatch.chdir(tmp_path)
    found = told(probe, lambda: open("a.csv", "w"))
    assert found.clues == (("name", "a.csv"), ("path", str(tmp_path / "a.csv")))
    assert found.what.startswith("closed only by the garbage collector: unclosed file <_io.TextIOWrapper name='a.csv'")
    assert found.subject == "a.csv"
    assert found.fix == "open it in a `with` block, or close it where it is last used"


@pytest.mark.parametrize("mode", ["w", "wb", "r+b"])
@pytest.mark.parametrize("buffering", [-1, 0])
def test_every_class_of_file(probe, tmp_path, mode, buffering):
    """Text, buffered and raw files have warnings of one form."""
    if "b" not in mode and buffering == 0:
        pytest.skip("text can't be unbuffered")
    (tmp_path / "a").write_text("")
    found = told(probe, lambda: open(tmp_path / "a", mode, buffering=buffering))
    assert ("name", str(tmp_path / "a")) in found.clues
    assert ("path", str(tmp_path / "a")) in found.clues


@pytest.mark.parametrize(
    "name",
    [
        "plain",
        "it's",
        'say "x"',
        'it\'s "both"',
        "back\\slash",
        "new\nline",
        "\x1b[31mred",
        "\udce9",
        "é漢",
        "a' mode='r' encoding='UTF-8'> b",
        "name='x' fd=3 at 0x10",
        "subprocess 1 is still running",
        "x" * 200,
    ],
)
def test_a_hostile_name_is_read_back_as_it_is(probe, tmp_path, name):
    """The text quotes the name; the clue is the name itself, whatever is in it, and leads nowhere else."""
    path = os.path.join(tmp_path, name)
    found = told(probe, lambda: open(path, "w"))
    assert [clue for clue in found.clues if clue[0] in ("name", "path")] == [("name", path), ("path", path)]
    assert {clue for clue, _ in found.clues} <= {"name", "path"}
    assert found.subject == path
    assert "\n" not in found.what


def test_a_file_given_as_bytes(probe, tmp_path):
    """A name in bytes is a path all the same."""
    path = tmp_path / "a.bin"
    found = told(probe, lambda: open(os.fsencode(path), "w"))
    assert ("path", str(path)) in found.clues
    assert found.subject == str(path)


def test_a_file_by_number(probe):
    """A file over a bare descriptor is told by its number."""
    number = os.open(os.devnull, os.O_RDONLY)
    found = told(probe, lambda: os.fdopen(number))
    assert found.clues == (("closed fd", number),)
    assert "name=N" in found.subject


def test_a_socket(probe):
    """A socket is told by its descriptor."""
    numbers = []

    def make() -> None:
        sock = socket.socket()
        numbers.append(sock.fileno())

    found = told(probe, make)
    assert found.clues[0] == ("closed fd", numbers[0])
    assert "unclosed <socket.socket fd=" in found.what
    assert found.fix == "close it on every path: a `with` block, or close() in a `finally`"


@pytest.mark.skipif(sys.platform == "win32", reason="the selector loop of Unix")
def test_an_event_loop(probe):
    """A loop that nobody closed: its own warning, and those of the sockets it made for itself."""

    def make() -> None:
        asyncio.new_event_loop()

    with watching(probe):
        make()
        gc.collect()
    found = descriptions(probe)
    loops = [one for one in found if "unclosed event loop" in one.what]
    assert [one.clues for one in loops] == [(("event loop", 0),)]
    assert loops[0].fix == "close the loop, or use asyncio.run or asyncio.Runner"
    for other in found:
        if other not in loops:
            assert [clue for clue, _ in other.clues] == ["closed fd"]


def test_a_transport(probe):
    """A transport that was dropped while open is told by its descriptor."""
    numbers = []

    async def make() -> None:
        left, right = socket.socketpair()
        left.setblocking(False)
        with right:
            transport, _ = await asyncio.get_running_loop().create_connection(asyncio.Protocol, sock=left)
            numbers.append(left.fileno())
            transport.pause_reading()  # or the loop keeps it

    with watching(probe):
        loop = asyncio.new_event_loop()
        loop.run_until_complete(make())
        gc.collect()
        loop.close()
    found = descriptions(probe)
    transports = [one for one in found if "unclosed transport" in one.what]
    assert [one.clues for one in transports] == [(("closed fd", numbers[0]),)]


def test_a_subprocess(probe):
    """A child that nobody waited for is told by its pid, its pipes by their numbers."""
    pids = []
    reader, writer = os.pipe()

    def make() -> None:
        child = subprocess.Popen([sys.executable, "-c", "input()"], stdin=reader, stdout=subprocess.PIPE)
        pids.append(child.pid)
        assert child.stdout is not None
        child.stdout.close()

    try:
        with watching(probe):
            make()
            gc.collect()
    finally:
        os.write(writer, b"end\n")
        os.close(writer)
        os.close(reader)
    os.waitpid(pids[0], 0)
    subprocess._cleanup()  # type: ignore[attr-defined]  # it keeps what it means to wait for later
    (key,) = probe.keys()
    found = probe.describe(key)
    assert found.clues == (("pid", pids[0]),)
    assert found.fix == "wait for the process: `with Popen(...)`, wait() or communicate()"
    assert found.subject == "subprocess N is still running"


@pytest.mark.parametrize("name", ["plain", "it's", 'it\'s "both"', "back\\slash", "new\nline"])
def test_a_temporary_directory(probe, tmp_path, name):
    """A folder cleaned up by its finalizer is told by its path."""
    paths = []

    def make() -> None:
        folder = tempfile.TemporaryDirectory(prefix=f"{name}-", dir=tmp_path)
        paths.append(folder.name)

    found = told(probe, make)
    assert ("created", paths[0]) in found.clues
    assert found.fix == "use it in a `with` block, or call cleanup()"
    assert not Path(paths[0]).exists()


def test_a_scandir_iterator(probe, tmp_path):
    """An iterator that was not exhausted nor closed is told by its address only."""
    (tmp_path / "a").touch()
    (tmp_path / "b").touch()
    numbers = []

    def make() -> None:
        entries = os.scandir(tmp_path)
        next(entries)
        numbers.append(id(entries))

    found = told(probe, make)
    assert ("id", numbers[0]) in found.clues
    assert "0x" not in found.what
    assert found.what.startswith("closed only by the garbage collector: unclosed scandir iterator")


@pytest.mark.skipif(sys.version_info < (3, 13), reason="sqlite3 warns since 3.13")
def test_a_database(probe, tmp_path):
    """A connection is told by its address."""
    numbers = []

    def make() -> None:
        numbers.append(id(sqlite3.connect(tmp_path / "a.db")))

    found = told(probe, make)
    assert found.clues == (("id", numbers[0]),)
    assert found.fix == "close the connection: contextlib.closing, or close() in a `finally`"


def test_a_text_of_another_library(probe):
    """A ResourceWarning that nobody knows has no clue, and a fix that always holds."""
    with watching(probe):
        leave("Unclosed connection\nto 10.0.0.1:5432")
    (key,) = probe.keys()
    found = probe.describe(key)
    assert found.clues == ()
    assert found.what == "closed only by the garbage collector: Unclosed connection to 10.0.0.1:5432"
    assert found.subject == "Unclosed connection to N.N.N.N:N"
    assert found.fix == "close it explicitly; do not leave that to the garbage collector"
    assert found.reason == "no event tells where it was made"


def test_only_a_finalizer_tells_of_an_end(probe):
    """Words that no known finalizer uses: from a finalizer they are kept, from code that lives they are its own."""
    with watching(probe):
        leave("pool 7 was never closed")
        warnings.warn("pool 8 is nearly full", ResourceWarning, stacklevel=1)
    assert texts(probe) == ["pool 7 was never closed"]


class Teapot(ResourceWarning):
    """A subclass, as libraries make them."""


@pytest.mark.parametrize("category", [ResourceWarning, Teapot])
@pytest.mark.parametrize("action", ["ignore", "error", "default", "always", "once"])
def test_every_resource_warning_is_seen_under_any_filter(probe, category, action, monkeypatch):
    """Noted once, whatever the user's filters do with it; and they do what they would do without the probe."""
    shown, raised = [], []
    monkeypatch.setattr(sys, "unraisablehook", lambda unraisable: raised.append(unraisable.exc_type))
    with watching(probe, action):
        warnings.showwarning = lambda *args, **more: shown.append(args[1])  # type: ignore[assignment]
        leave("left open", category)
    assert texts(probe) == ["left open"]
    assert shown == ([] if action in ("ignore", "error") else [category])
    assert raised == ([category] if action == "error" else [])


@pytest.mark.parametrize("category", [UserWarning, DeprecationWarning, BytesWarning, Warning])
def test_other_warnings_are_not_noted_and_not_swallowed(probe, category):
    """Only ResourceWarnings count; the others reach the user's filters."""
    with watching(probe, "error"):
        with pytest.raises(category):
            warnings.warn("something else", category, stacklevel=1)
    assert probe.keys() == frozenset()


def test_a_filter_put_before_it_hides_warnings_as_documented(probe):
    """A new filter of the test stands first until its block is left."""
    with watching(probe):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            leave("hidden")
        leave("seen")
    assert texts(probe) == ["seen"]


def test_what_our_own_collection_brings_up_is_swallowed_and_belongs_to_the_judged_test(probe):
    """While we collect, the warning points at a line of ours: the user's filters don't get it."""
    context = Context(Owner(kind="test", scope="function", name="t::a"), "t::a", None)
    probe.whose = lambda: context
    with watching(probe, "error"):
        leave("left open")
    (key,) = probe.keys()
    assert probe.caught(key).context is context


def test_a_warning_that_a_filter_turned_into_an_error_goes_nowhere_else(probe, monkeypatch):
    """It was noted; any other error of a finalizer goes on to the hook that was there."""
    seen, told = [], []
    monkeypatch.setattr(sys, "unraisablehook", lambda unraisable: seen.append(unraisable.exc_type))

    class Raises:
        def __init__(self, error: Exception) -> None:
            self.error = error

        def __del__(self) -> None:
            raise self.error

    with Collecting(probe, None, lambda: told.append("brought up")):
        Raises(ResourceWarning("unclosed file"))
        Raises(ValueError("of a finalizer"))
    assert seen == [ValueError]
    assert told == ["brought up"]


def test_warnings_of_two_threads_are_kept_apart(probe):
    """Each thread's text goes with its own category, however they alternate."""
    started, go_on = threading.Event(), threading.Event()

    def other_thread() -> None:
        leave("of the other")
        started.set()
        go_on.wait()
        warnings.warn("not a resource", UserWarning, stacklevel=1)

    with watching(probe):
        thread = threading.Thread(target=other_thread)
        thread.start()
        started.wait()
        leave("of the first")
        go_on.set()
        thread.join()
    assert sorted(texts(probe)) == ["of the first", "of the other"]


def test_a_text_belongs_to_the_thread_that_warned(probe):
    """Python asks for the pattern, then for the category: another thread may warn in between."""
    probe._witness.match("unclosed one")
    other = threading.Thread(target=probe._witness.match, args=("unclosed other",))
    other.start()
    other.join()
    assert not issubclass(ResourceWarning, probe._category)  # noted, and left to the user's filters
    assert texts(probe) == ["unclosed one"]


def test_what_was_judged_is_forgotten(probe):
    """A warning is told once; the mark goes on counting."""
    with watching(probe):
        before = probe.mark()
        leave("a")
        leave("b")
    assert probe.mark() == before + 2
    first = min(probe.keys())
    probe.forget(first)
    probe.forget(first)
    assert texts(probe) == ["b"]
    assert probe.mark() == before + 2


def test_what_an_import_leaves_open_belongs_to_nobody(probe, tmp_path, monkeypatch):
    """A file that a module opens and drops while it is imported is not noted."""
    (tmp_path / "careless_module.py").write_text("open(__file__)\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    with watching(probe):
        __import__("careless_module")
        open(os.devnull)
    sys.modules.pop("careless_module")
    assert [one.subject for one in descriptions(probe)] == [os.devnull]


def test_the_filters_are_given_back(probe):
    """Those that were there are there again, in their order, and nothing else."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        before = list(warnings.filters)
        probe.watch()
        assert warnings.filters[1:] == before
        probe.unwatch()
        assert list(warnings.filters) == before


def test_filters_that_are_no_list_are_told(probe, monkeypatch):
    """Where the entry could not be put, the probe says so."""
    assert probe.unavailable() is None
    monkeypatch.setattr(warnings, "filters", tuple(warnings.filters))
    assert probe.unavailable() == "the warning filters are not a list here"
