"""Every rule that forgives has two tests: what it forgives, and the leak beside it that is still caught."""

from __future__ import annotations

import os
import textwrap
from dataclasses import dataclass

import pytest


@dataclass(frozen=True, kw_only=True)
class Rule:
    """Two bodies of tests: the first leaves what is forgiven, the second a leak of that kind."""

    forgives: str
    catches: str
    kind: str
    needs: str = ""


FILES = {
    "byte code folder": Rule(
        forgives="os.mkdir(STRAY / '__pycache__'); touch(STRAY / '__pycache__' / 'a.txt')",
        catches="os.mkdir(STRAY / 'pycache')",
        kind="temp",
    ),
    "byte code": Rule(
        forgives="touch(STRAY / 'a.pyc'); touch(STRAY / 'a.pyo')", catches="touch(STRAY / 'a.pyc.txt')", kind="temp"
    ),
    "coverage data": Rule(
        forgives="touch(STRAY / '.coverage'); touch(STRAY / '.coverage.host.12.Xab')",
        catches="touch(STRAY / 'a.coverage')",
        kind="temp",
    ),
    "hypothesis": Rule(
        forgives="os.makedirs(STRAY / '.hypothesis' / 'examples'); touch(STRAY / '.hypothesis' / 'examples' / '1')",
        catches="os.mkdir(STRAY / 'hypothesis')",
        kind="temp",
    ),
    "pytest's cache": Rule(
        forgives="os.makedirs(STRAY / '.pytest_cache' / 'v'); touch(STRAY / '.pytest_cache' / 'v' / 'x')",
        catches="os.mkdir(STRAY / 'pytest_cache')",
        kind="temp",
    ),
    "caches of other tools": Rule(
        forgives="[os.mkdir(STRAY / name) for name in ('.mypy_cache', '.ruff_cache', '.benchmarks', '.tox', '.nox')]",
        catches="os.mkdir(STRAY / '.cache_of_mine')",
        kind="temp",
    ),
    "the user's cache folder": Rule(
        forgives="os.makedirs(HOME / '.cache' / 'app'); touch(HOME / '.cache' / 'app' / 'x')",
        catches="os.mkdir(HOME / '.config')",
        kind="temp",
    ),
    "the user's cache folder by variable": Rule(
        forgives="os.makedirs(XDG / 'app'); touch(XDG / 'app' / 'x')",
        catches="touch(str(XDG) + '-beside')",
        kind="temp",
    ),
    "pytest's own tmp tree": Rule(
        forgives="touch(tmp_path / 'x'); os.mkdir(tmp_path_factory.mktemp('more') / 'y')",
        catches="tempfile.mkdtemp()",
        kind="temp",
    ),
    "beside pytest's own tmp tree": Rule(
        forgives="touch(tmp_path_factory.getbasetemp() / 'x')",
        catches="touch(str(tmp_path_factory.getbasetemp()) + '-beside')",
        kind="temp",
    ),
    "what is deleted again": Rule(
        forgives="touch(STRAY / 'gone'); os.unlink(STRAY / 'gone'); tempfile.gettempdir()",
        catches="touch(STRAY / 'gone'); os.unlink(STRAY / 'gone'); touch(STRAY / 'gone')",
        kind="temp",
    ),
    "what was there before": Rule(
        forgives="touch(STRAY / 'old.txt'); os.makedirs(STRAY, exist_ok=True)",
        catches="os.unlink(STRAY / 'old.txt'); touch(STRAY / 'new.txt')",
        kind="temp",
    ),
    "what is replaced by a rename": Rule(
        forgives="touch(STRAY / 'part'); os.rename(STRAY / 'part', STRAY / 'older.txt')",
        catches="touch(STRAY / 'part'); os.rename(STRAY / 'part', STRAY / 'young.txt')",
        kind="temp",
    ),
    "what a rename failed to replace": Rule(
        forgives="touch(STRAY / 'part'); pytest.raises(OSError, os.rename, STRAY / 'part', STRAY); "
        "os.unlink(STRAY / 'part')",
        catches="touch(STRAY / 'apart'); pytest.raises(OSError, os.rename, STRAY / 'apart', STRAY)",
        kind="temp",
    ),
    "what is moved into the tmp tree": Rule(
        forgives="touch(STRAY / 'part'); os.rename(STRAY / 'part', tmp_path / 'whole')",
        catches="touch(STRAY / 'part'); os.rename(STRAY / 'part', STRAY / 'whole')",
        kind="temp",
    ),
    "devices": Rule(
        forgives="touch('/dev/null')",
        catches="path = f'/dev/shm/leakguard-{os.getpid()}'; atexit.register(os.unlink, path); touch(path)",
        kind="temp",
        needs="/dev/shm",
    ),
}

OWNERS = {
    "imports": Rule(forgives="import opens_when_imported", catches="opens_when_called.now()", kind="fd"),
    "hooks of plugins": Rule(forgives="pass", catches="request.getfixturevalue('leaky_of_the_conftest')", kind="fd"),
    "before the first test": Rule(
        forgives="assert not BEFORE.closed", catches="KEPT.append(open(BEFORE.name))", kind="fd"
    ),
    "what a wider fixture closes": Rule(
        forgives="pool.append(open(__file__))", catches="pool_that_forgets.append(open(__file__))", kind="fd"
    ),
    "threads that die within the grace": Rule(
        forgives="threading.Timer(0.05, int).start()",
        catches="threading.Thread(target=threading.Event().wait, daemon=True).start()",
        kind="thread",
    ),
    "garbage that is closed": Rule(
        forgives="ring = [open(__file__)]; ring.append(ring); ring[0].close(); del ring",
        catches="ring = [open(__file__)]; ring.append(ring); del ring",
        kind="unclosed",
    ),
    "children that are waited for": Rule(
        forgives="subprocess.run([sys.executable, '-S', '-c', ''], check=True)",
        catches="KEPT.append(subprocess.Popen([sys.executable, '-S', '-c', ''])); os.waitid(os.P_ALL, 0, "
        "os.WEXITED | os.WNOWAIT)",
        kind="process",
    ),
}

LIBRARIES = {
    "trio's worker threads": Rule(
        forgives="import trio; trio.run(trio.to_thread.run_sync, int)",
        catches="import trio; trio.run(trio.to_thread.run_sync, leak_thread)",
        kind="thread",
        needs="trio",
    ),
    "multiprocessing's heap": Rule(
        forgives="KEPT.append(multiprocessing.Value('i')); multiprocessing.Array('i', 5000)",
        catches="KEPT.append(open(__file__))",
        kind="fd",
    ),
    "multiprocessing's resource tracker": Rule(
        forgives="from multiprocessing import resource_tracker; resource_tracker.ensure_running()",
        catches="KEPT.append(subprocess.Popen([sys.executable, '-S', '-c', 'input()'], stdin=-1))",
        kind="process",
    ),
    "multiprocessing's shared memory": Rule(
        forgives="from multiprocessing.shared_memory import SharedMemory; it = SharedMemory(create=True, size=9); "
        "it.close(); it.unlink()",
        catches="from multiprocessing.shared_memory import SharedMemory; it = SharedMemory(create=True, size=9); "
        "KEPT.append(it); atexit.register(it.unlink); atexit.register(it.close)",
        kind="mmap",
    ),
    "multiprocessing's fork server": Rule(
        forgives="it = FORKSERVER.Process(target=int); it.start(); it.join(); it.close()",
        catches="it = FORKSERVER.Process(target=int); it.start(); KEPT.append(it); "
        "multiprocessing.connection.wait([it.sentinel])",
        kind="process",
    ),
    "joblib's pool of processes": Rule(
        forgives="import joblib; joblib.Parallel(2, backend='loky')([joblib.delayed(int)()])",
        catches="KEPT.append(open(__file__))",
        kind="fd",
        needs="joblib",
    ),
    "joblib's folder": Rule(
        forgives="from joblib import _memmapping_reducer as joblib; "
        "atexit.register(os.rmdir, joblib._get_temp_dir(f'leakguard-{os.getpid()}')[0])",
        catches="os.mkdir(STRAY / 'joblib_memmapping_folder')",
        kind="temp",
        needs="joblib",
    ),
    "tqdm's monitor": Rule(
        forgives="import tqdm; it = tqdm.tqdm([1], file=sys.__stderr__); list(it)",
        catches="import tqdm; it = tqdm.tqdm([1], file=sys.__stderr__); list(map(lambda _: leak_thread(), it))",
        kind="thread",
        needs="tqdm",
    ),
    "jedi's process": Rule(
        forgives="import jedi; jedi.Script('import os').get_names()",
        catches="KEPT.append(subprocess.Popen([sys.executable, '-S', '-c', 'input()'], stdin=-1))",
        kind="process",
        needs="jedi",
    ),
    "uvloop's pipe": Rule(
        forgives="import uvloop; uvloop.new_event_loop().close()",
        catches="import uvloop; ends = os.pipe(); os.write(ends[1], b'!'); KEPT.append(ends)",
        kind="fd",
        needs="uvloop",
    ),
    "anyio's worker processes": Rule(
        forgives="import anyio.to_process, asyncio; asyncio.run(anyio.to_process.run_sync(int))",
        catches="import asyncio; loop = asyncio.new_event_loop(); "
        "KEPT.append(loop.create_task(asyncio.Event().wait())); "
        "loop.run_until_complete(asyncio.sleep(0)); loop.close()",
        kind="task",
        needs="anyio",
    ),
    "fsspec's loop": Rule(
        forgives="import fsspec.asyn; fsspec.asyn.get_loop()",
        catches="import fsspec.asyn; fsspec.asyn.get_loop(); leak_thread()",
        kind="thread",
        needs="fsspec",
    ),
}

HEAD = """
import atexit
import multiprocessing
import multiprocessing.connection
import os
import pathlib
import subprocess
import sys
import tempfile
import threading

import opens_when_called
import pytest

KEPT = []
NEVER_CLOSED = []
BEFORE = open(__file__)
FORKSERVER = multiprocessing.get_context("forkserver")
STRAY, HOME, XDG = (pathlib.Path(os.environ[name]) for name in ("STRAY", "HOME", "XDG_CACHE_HOME"))
(STRAY / "old.txt").touch()
(STRAY / "older.txt").touch()


def touch(path):
    with open(path, "w"):
        pass


def leak_thread():
    threading.Thread(target=threading.Event().wait, daemon=True).start()


@pytest.fixture(scope="session")
def pool():
    kept = []
    yield kept
    for stream in kept:
        stream.close()


@pytest.fixture(scope="session")
def pool_that_forgets():
    kept = []
    yield kept
    NEVER_CLOSED.extend(kept)

"""

CONFTEST = """
import pytest

KEPT = []


def pytest_runtest_setup(item):
    KEPT.append(open(__file__))


@pytest.hookimpl(wrapper=True)
def pytest_pyfunc_call(pyfuncitem):
    KEPT.append(open(__file__))
    return (yield)


@pytest.fixture
def leaky_of_the_conftest():
    KEPT.append(open(__file__))
"""


def available(needs: str) -> bool:
    if needs.startswith("/"):
        return os.path.isdir(needs)
    if not needs:
        return True
    import importlib.util

    return importlib.util.find_spec(needs) is not None


def test_module(rules: dict[str, Rule]) -> str:
    """Two tests for each rule; each asks for the fixtures that its body names."""
    text = HEAD
    for number, rule in enumerate(rules.values()):
        if not available(rule.needs):
            continue
        for word, body in (("forgives", rule.forgives), ("catches", rule.catches)):
            fixtures = ("tmp_path_factory", "tmp_path", "pool_that_forgets", "pool", "request")
            named = [name for name in fixtures if f"{name}." in body or f"{name} " in body]
            text += f"def test_{word}_{number}({', '.join(named)}):\n"
            text += textwrap.indent("\n".join(body.split("; ")), "    ") + "\n\n"
    return text


test_module.__test__ = False  # type: ignore[attr-defined]


@pytest.fixture
def judged(alone, pytester, monkeypatch, tmp_path_factory):
    """Rule -> the kinds told of its forgiving and of its catching test."""

    def judged(rules: dict[str, Rule], conftest: str = "") -> dict[str, tuple[list[str], list[str]]]:
        for name in ("STRAY", "HOME", "XDG_CACHE_HOME"):
            monkeypatch.setenv(name, str(pytester.mkdir(name.lower())))
        # the fork server's socket lies there, and such a path has to be short
        monkeypatch.setenv("TMPDIR", str(tmp_path_factory.mktemp("t")))
        pytester.syspathinsert()
        pytester.makeconftest(conftest)
        pytester.makepyfile(
            opens_when_imported="KEPT = [open(__file__)]\n",
            opens_when_called="KEPT = []\n\ndef now():\n    KEPT.append(open(__file__))\n",
            test_it=test_module(rules),
        )
        ran = alone("--leakguard-grace=0.3", "-p", "no:logging")
        counts = ran.result.parseoutcomes()
        assert set(counts) <= {"passed", "leaked", "warnings"}, ran.text
        told: dict[str, tuple[list[str], list[str]]] = {}
        for number, (name, rule) in enumerate(rules.items()):
            if available(rule.needs):
                told[name] = tuple(  # type: ignore[assignment]
                    [f["kind"] for f in ran.of(f"::test_{word}_{number}")] for word in ("forgives", "catches")
                )
        assert sum(len(kinds) for pair in told.values() for kinds in pair) == len(ran.report["findings"]), ran.text
        return told

    return judged


def expected(rules: dict[str, Rule]) -> dict[str, tuple[list[str], list[str]]]:
    return {name: ([], [rule.kind]) for name, rule in rules.items() if available(rule.needs)}


def test_files_that_are_kept_on_purpose(judged):
    """Caches, byte code, pytest's own tree, what was there before or is gone: forgiven; the path beside it: caught."""
    assert judged(FILES) == expected(FILES)


def test_what_belongs_to_nobody_or_goes_by_itself(judged):
    """Imports, hooks, what was there before, what a fixture or the grace takes care of; the same left by a test."""
    assert judged(OWNERS, CONFTEST) == expected(OWNERS)


def test_what_libraries_keep_for_the_life_of_the_process(judged):
    """Worker caches, trackers and heaps of libraries are forgiven; leaks made by way of the same library are caught."""
    assert judged(LIBRARIES) == expected(LIBRARIES)


@pytest.mark.parametrize("needs", sorted({rule.needs for rule in LIBRARIES.values() if rule.needs}))
def test_no_rule_is_skipped_unseen(needs):
    """Says which library's rules could not be tried in this environment."""
    pytest.importorskip(needs)


def test_a_leak_is_told_once_and_the_next_one_again(alone, pytester):
    """Blamed once: later tests hear nothing of it, but of a new leak in the same line they do."""
    pytester.makepyfile(
        """
        KEPT = []

        def leak(tmp_path):
            KEPT.append(open(tmp_path / "a", "w"))

        def test_first(tmp_path): leak(tmp_path)
        def test_forgives(tmp_path):
            with open(tmp_path / "b", "w"): pass
        def test_catches(tmp_path): leak(tmp_path)
        def test_forgives_closing(): KEPT.pop().close()
        def test_forgives_dropping(): KEPT.clear()
        def test_forgives_at_last(): pass
        """
    )
    ran = alone()
    assert [f["test"].partition("::")[2] for f in ran.report["findings"]] == ["test_first", "test_catches"]


def test_a_failed_test_has_a_note_and_the_next_one_a_leak(alone, pytester):
    """Failed, errored in setup, errored in teardown, xfailed: a note; passed and xpassed: a leak."""
    pytester.makepyfile(
        """
        import pytest

        KEPT = []

        def leak(tmp_path):
            KEPT.append(open(tmp_path / "a", "w"))

        def test_forgives_a_failure(tmp_path):
            leak(tmp_path)
            assert 0

        @pytest.fixture
        def broken(tmp_path):
            leak(tmp_path)
            assert 0

        def test_forgives_an_error(broken): pass

        @pytest.fixture
        def breaks(tmp_path):
            yield
            leak(tmp_path)
            assert 0

        def test_forgives_an_error_in_teardown(breaks): pass

        @pytest.mark.xfail
        def test_forgives_what_is_expected_to_fail(tmp_path):
            leak(tmp_path)
            assert 0

        def test_catches(tmp_path): leak(tmp_path)

        @pytest.mark.skipif(False, reason="never")
        def test_catches_again(tmp_path): leak(tmp_path)
        """
    )
    ran = alone()
    told = {f["test"].partition("::")[2]: f["disposition"] for f in ran.report["findings"]}
    assert told == {
        "test_forgives_a_failure": "note",
        "test_forgives_an_error": "note",
        "test_forgives_an_error_in_teardown": "note",
        "test_forgives_what_is_expected_to_fail": "note",
        "test_catches": "fails",
        "test_catches_again": "fails",
    }
    ran.result.assert_outcomes(passed=3, failed=1, errors=2, xfailed=1)


def test_every_rule_of_the_tables_in_the_package_has_its_pair_here():
    """A rule added to the package needs its two tests."""
    from pytest_leakguard.core.litter import CACHE_PARTS
    from pytest_leakguard.known import ONCE, SINGLETONS

    litter = " ".join(rule.forgives for rule in FILES.values())
    assert [part for part in CACHE_PARTS - {".git"} if f"'{part}'" not in litter] == []
    bodies = " ".join(rule.forgives for rule in LIBRARIES.values())
    modules = {rule.module.partition("/")[0] for rule in ONCE} | {one.module.partition(".")[0] for one in SINGLETONS}
    # anyio's are in test_task_rules.py
    assert modules == {"trio", "multiprocessing", "loky", "joblib", "anyio", "tqdm", "fsspec", "jedi"}
    assert all(module in bodies for module in modules - {"anyio"})
    assert all(rule.reason for rule in (*ONCE, *SINGLETONS))


ATTACHED = """
import os
import sqlite3
import pytest

KEPT = []

def connect(folder, name):
    connection = sqlite3.connect(folder / name)
    connection.execute("create table if not exists t (a)")
    connection.execute("attach database ? as other", (str(folder / f"other-{name}"),))
    connection.execute("create table if not exists other.t (a)")
    KEPT.append(connection)

@pytest.fixture(scope="module")
def connected(tmp_path_factory):
    folder = tmp_path_factory.mktemp("databases")
    connect(folder, "fixture.db")
    yield folder
    KEPT.pop(0).close()

def test_uses(connected):
    pass

def test_leaks_what_is_no_database(connected):
    # no event tells where a copy was made, as with an attached database
    with open(__file__) as file:
        os.dup(file.fileno())

def test_leaks(tmp_path):
    connect(tmp_path, "leaked.db")
"""


def test_an_attached_database_goes_with_its_connection(pytester, alone):
    """ATTACH raises no event: the file is part of the connection, and one that a test leaks is still told."""
    pytester.makepyfile(test_attached=ATTACHED)
    ran = alone()
    told = [(f["test"].partition("::")[2], f["kind"], f["subject"].rpartition("/")[2]) for f in ran.findings]
    assert sorted(told) == [
        ("test_leaks", "sqlite", "leaked.db"), ("test_leaks_what_is_no_database", "fd", "test_attached.py")
    ]  # fmt: skip


def test_a_pool_that_opens_its_file_anew_keeps_its_owner(pytester, alone):
    """A descriptor in the place of a known one on the same file is no leak; a second one on that file is."""
    pytester.makepyfile(
        test_pool="""
        import os
        POOL = [os.open(__file__, os.O_RDONLY)]
        KEPT = []

        def test_reopens():
            os.close(POOL.pop())
            POOL.append(os.open(__file__, os.O_RDONLY))

        def test_reopens_and_leaks():
            os.close(POOL.pop())
            POOL.append(os.open(__file__, os.O_RDONLY))
            KEPT.append(os.open(__file__, os.O_RDONLY))

        def test_reopens_under_another_number_and_leaks():
            POOL.append(os.open(__file__, os.O_RDONLY))
            KEPT.append(os.open(__file__, os.O_RDONLY))
            os.close(POOL.pop(0))
        """
    )
    ran = alone()
    assert sorted((finding["test"].rpartition("::")[2], finding["count"]) for finding in ran.findings) == [
        ("test_reopens_and_leaks", 1),
        ("test_reopens_under_another_number_and_leaks", 1),
    ]


def test_a_file_that_is_made_anew_keeps_its_owner(pytester, alone):
    """As a log that is rotated: another inode under the same name. One of another name is a leak."""
    pytester.makepyfile(
        conftest="""
        import os
        LOG = os.path.join(os.path.dirname(__file__), "log.txt")

        def create(name):
            return os.open(name, os.O_RDWR | os.O_CREAT)

        POOL = [create(LOG)]
        """,
        test_pool="""
        import os
        from conftest import LOG, POOL, create

        def test_rotates():
            os.rename(LOG, LOG + ".1")
            POOL.append(create(LOG))
            os.close(POOL.pop(0))
            os.unlink(LOG + ".1")

        def test_takes_another_file():
            POOL.append(create(__file__))
            os.close(POOL.pop(0))
        """,
    )
    ran = alone("--leakguard-probes=fd")
    (finding,) = ran.findings
    assert finding["test"].endswith("::test_takes_another_file")


COPIES = """
import os
import threading
import pytest

KEPT = []

@pytest.fixture(scope="module")
def served(tmp_path_factory):
    path = tmp_path_factory.mktemp("served") / "served.txt"
    path.touch()
    asked, done, over = threading.Event(), threading.Event(), threading.Event()

    def serve():
        asked.wait()
        with open(path) as file:
            copy = os.dup(file.fileno())
            done.set()
            over.wait()
            os.close(copy)

    thread = threading.Thread(target=serve)
    thread.start()
    yield lambda: (asked.set(), done.wait())
    asked.set(), over.set(), thread.join()

def test_import_forgives():
    import holds

def test_import_catches_a_copy_of_what_was_there():
    import holds
    KEPT.append(os.dup(holds.FILE.fileno()))

def test_import_catches_a_copy_of_another(tmp_path):
    import holds_too
    with open(tmp_path / "own.txt", "w") as file:
        KEPT.append(os.dup(file.fileno()))

def test_server_forgives(served):
    served()

def test_server_catches_a_copy_of_another(served, tmp_path):
    with open(tmp_path / "other.txt", "w") as file:
        KEPT.append(os.dup(file.fileno()))
"""


def test_a_copy_of_a_descriptor_belongs_to_whom_the_file_belongs(pytester, alone):
    """No event tells who made a dup; one on a file that came with it shares its owner, one on any other is told."""
    holds = "import os\nFILE = open(__file__)\nCOPY = os.dup(FILE.fileno())\n"
    pytester.makepyfile(test_copies=COPIES, holds=holds, holds_too=holds)
    ran = alone("--leakguard-grace=0.05")
    told = [(f["kind"], f["subject"].rpartition("/")[2], f["test"].partition("::")[2]) for f in ran.report["findings"]]
    assert sorted(told) == [
        ("fd", "holds.py", "test_import_catches_a_copy_of_what_was_there"),
        ("fd", "other.txt", "test_server_catches_a_copy_of_another"),
        ("fd", "own.txt", "test_import_catches_a_copy_of_another"),
    ]


LIBFFI = """
import ctypes
import os

KEPT = []
OF_LIBFFI = next(
    path
    for path in (line.split()[5] for line in open("/proc/self/maps") if line.count("/"))
    if os.path.basename(path).startswith(("libffi", "_ctypes"))
)
FIRST = os.open(OF_LIBFFI, os.O_RDONLY)  # no event tells of a copy

def test_forgives_what_libffi_keeps():
    # a libffi that keeps one has had it since ctypes was imported
    KEPT.append(os.dup(FIRST))

def test_catches_another():
    KEPT.append(os.dup(FIRST))

def test_catches_one_of_python():
    KEPT.append(open(OF_LIBFFI))
"""


@pytest.mark.skipif(not os.path.exists("/proc/self/maps"), reason="nothing tells there which files are mapped")
def test_what_libffi_keeps(pytester, alone):
    """One descriptor on its file, made by C code, with the first callback; not a second, nor one of Python's."""
    pytester.makepyfile(LIBFFI)
    ran = alone("--leakguard-grace=0.05")
    told = [(f["kind"], f["test"].partition("::")[2]) for f in ran.report["findings"]]
    assert told == [("fd", "test_catches_another"), ("fd", "test_catches_one_of_python")]
