"""A descriptor that is closed twice, or under its owner: told with the stacks; what is meant is never told."""

from __future__ import annotations

import os
import textwrap
from typing import Any, cast

import pytest
from close_twins import KINDS, ROWS, tree
from twins import junit_errors, line_marked

from pytest_leakguard.origins.closes import Closes

TREE = tree()
LEAKY = [row for row in ROWS if row.leaky]
CLEAN = [row for row in ROWS if not row.leaky]


@pytest.fixture(scope="module")
def runs(tmp_path_factory, run_tree):
    root = tmp_path_factory.mktemp("closes")
    options = ("--leakguard-trace", "--leakguard-grace=0.05", f"--junit-xml={root / 'junit.xml'}")
    return run_tree(root, TREE, *options, TWINS_DATA=str(root / "data")), junit_errors(root / "junit.xml")


@pytest.fixture(scope="module")
def told(runs):
    return runs[0]


def of(told, row):
    return [f for f in told.report["findings"] if row.name in f"{f['test']} {f['owner']['name']}"]


def place(row, mark):
    """The file and line with a mark, where there is one."""
    if f"# {mark} {row.name}" not in TREE[row.file]:
        return ""
    return f"{row.file}:{line_marked(TREE[row.file], f'{mark} {row.name}')} "


@pytest.mark.parametrize("row", LEAKY, ids=lambda row: row.name)
def test_a_leaky_twin_is_told_once_with_its_stacks(told, row):
    """One finding, of the right kind and owner, with the lines of the close, the earlier close and the open."""
    (finding,) = of(told, row)
    kind = KINDS[row.kind]
    assert (finding["kind"], finding["verdict"], finding["disposition"]) == (kind.tells, "misclosed", "fails")
    assert {name: finding["owner"][name] for name in row.owner} == row.owner
    assert (finding["test"], finding["phase"], finding["count"]) == (row.test, row.phase, 1)
    assert kind.what in finding["what"]
    assert (f"{row.name}.txt" in finding["what"]) == kind.names
    stacks = dict(note.split(": ", 1) for note in finding["notes"])
    assert set(stacks) == {"closed", "opened", *(["closed before"] if place(row, "before") else [])}
    assert place(row, "opened") in stacks["opened"]
    if row.kind != "twice_by_callback":  # the line that left the block closes
        assert place(row, "closed") in stacks["closed"]
        origin = finding["origin"]
        assert (origin["file"], origin["how"]) == (row.file, "trace")
        assert f"{row.file}:{origin['line']} " == place(row, "closed")
    if place(row, "before") and row.kind != "taken_by_a_second_object":
        assert place(row, "before") in stacks["closed before"]


@pytest.mark.parametrize("row", CLEAN, ids=lambda row: row.name)
def test_a_clean_twin_is_never_mentioned(told, row):
    """Closed once, by its owner: not a finding of any kind."""
    assert of(told, row) == []


def test_it_is_in_the_junit_report(runs):
    """As an error of the test's entry, with the notes."""
    told, junit = runs
    for row in LEAKY:
        if row.owner["kind"] == "test":
            (finding,) = of(told, row)
            for note in finding["notes"]:
                assert f"  note      {note}" in junit[f"test_{row.name}"]


def test_nothing_else_is_told(told):
    """As many findings as leaky twins, and no test fails in any other way."""
    assert len(told.report["findings"]) == len(LEAKY)
    assert f"{len(ROWS)} passed" in told.text
    assert " failed" not in told.text
    assert " error" not in told.text


# -- what is not told, and what still is

RULES = """
import contextlib, ctypes, io, multiprocessing.util, os, socket, subprocess, sys, tempfile, threading, unittest, weakref
import asyncio
import pytest

@pytest.fixture
def number(tmp_path):
    return os.open(tmp_path / "data.txt", os.O_CREAT | os.O_RDWR)

def stop(number):
    os.close(number)

def close_all(numbers):
    for number in numbers:
        with contextlib.suppress(OSError):
            os.close(number)

def test_forgives_an_error_that_is_asked_for(number):
    stop(number)
    with pytest.raises(OSError):
        stop(number)
    pytest.raises(OSError, stop, number)
    pytest.raises(OSError, os.close, number)

class TestCase(unittest.TestCase):
    def test_forgives_unittest(self):
        number = os.open(os.devnull, os.O_RDONLY)
        stop(number)
        with self.assertRaises(OSError):
            stop(number)
        self.assertRaises(OSError, stop, number)
        with self.assertRaisesRegex(OSError, "descriptor"):
            stop(number)

def test_forgives_a_file_that_a_test_breaks(tmp_path):
    file = open(tmp_path / "data.txt", "w")
    with pytest.raises(OSError):
        os.close(file.fileno())
        file.close()

def test_catches_after_an_error_that_was_asked_for(number):
    stop(number)
    with pytest.raises(ZeroDivisionError):
        1 / 0
    with contextlib.suppress(OSError):
        stop(number)

def test_forgives_a_loop_over_all_numbers(number):
    os.close(number)
    close_all(range(number, number + 40))

def test_catches_beside_such_a_loop(number):
    stop(number)
    close_all(range(number, number + 40))
    with contextlib.suppress(OSError):
        stop(number)

def test_forgives_numbers_that_nobody_had():
    for number in (-1, 4000, 2 ** 40):
        with contextlib.suppress(OSError, OverflowError):
            os.close(number)
    with contextlib.suppress(TypeError):
        os.close("7")
    with contextlib.suppress(TypeError):
        os.close()

def test_forgives_the_standard_streams():
    kept = os.dup(0)
    try:
        os.close(0)
        with contextlib.suppress(OSError):
            os.close(0)
    finally:
        os.dup2(kept, 0)
        os.close(kept)

def test_forgives_who_closes_a_standard_stream_under_its_object():
    kept = os.dup(0)
    stream = os.fdopen(0)
    os.close(0)
    with contextlib.suppress(OSError):
        stream.close()
    os.dup2(kept, 0)
    os.close(kept)

HIGH = 700

def test_catches_a_second_close():
    opened = os.open(os.devnull, os.O_RDONLY)
    os.dup2(opened, HIGH), os.close(opened)
    stop(HIGH)
    with contextlib.suppress(OSError):
        stop(HIGH)

def test_forgives_a_third_once_the_second_was_told():
    with contextlib.suppress(OSError):
        stop(HIGH)

def test_forgives_what_belongs_to_no_object(number):
    with open(number, closefd=False):
        stop(number)

def test_forgives_what_was_detached(tmp_path):
    sock = socket.socket()
    os.close(sock.detach())
    sock.close()
    stream = open(tmp_path / "data.txt", "w")
    raw = stream.detach().detach()
    raw.close()
    stream = os.fdopen(os.open(tmp_path / "data.txt", os.O_RDONLY))
    stream.close()
    stream.close()

def test_forgives_a_number_that_is_used_again(tmp_path):
    for _ in range(5):
        number = os.open(tmp_path, os.O_RDONLY)
        os.close(number)
        with open(os.devnull) as file:
            assert file.fileno() == number
        one, other = os.pipe()
        os.close(one), os.close(other)
        with socket.socket():
            pass

def test_forgives_a_number_that_is_replaced(tmp_path):
    with open(tmp_path / "a.txt", "w") as one, open(tmp_path / "b.txt", "w") as other:
        os.dup2(other.fileno(), one.fileno())

def test_forgives_a_closing_that_fails_otherwise(number):
    class Full(io.RawIOBase):
        def writable(self): return True
        def write(self, data): raise OSError("no space")
    stream = io.BufferedWriter(Full())
    stream.write(b"x")
    with contextlib.suppress(OSError):
        stream.close()
    os.close(number)

def test_forgives_the_standard_library(tmp_path):
    subprocess.run([sys.executable, "-S", "-c", ""], capture_output=True, check=True)
    with tempfile.TemporaryFile() as file, tempfile.NamedTemporaryFile() as named, tempfile.TemporaryDirectory():
        pass
    one, other = socket.socketpair()
    one.close(), other.close(), one.close()
    one, other = multiprocessing.Pipe()
    one.close(), other.close()
    process = multiprocessing.get_context("fork").Process(target=close_all, args=(range(3, 60),))
    process.start(), process.join()
    async def main():
        process = await asyncio.create_subprocess_exec(sys.executable, "-S", "-c", "", stdin=-1, stdout=-1)
        await process.communicate()
        server = await asyncio.start_server(lambda *_: None, "127.0.0.1", 0)
        server.close()
        await server.wait_closed()
    asyncio.run(main())

def test_forgives_what_the_standard_library_was_asked_for(number):
    sock = socket.socket()
    multiprocessing.util.Finalize(None, os.close, args=(sock.fileno(),), exitpriority=0)()
    sock.detach()
    stop(number)
    with contextlib.suppress(OSError):
        multiprocessing.util.Finalize(None, os.close, args=(number,), exitpriority=0)()

def test_catches_once_what_has_an_owner(tmp_path):
    file = open(tmp_path / "data.txt", "w")
    number = file.fileno()
    for _ in range(2):
        with contextlib.suppress(OSError):
            stop(number)
    with contextlib.suppress(OSError):
        file.close()

def test_forgives_in_threads(tmp_path):
    def work():
        for _ in range(10):
            with open(tmp_path / "data.txt", "a"):
                os.close(os.dup(0))
    threads = [threading.Thread(target=work) for _ in range(3)]
    for thread in threads: thread.start()
    for thread in threads: thread.join()

def test_catches_in_a_thread(number):
    stop(number)
    thread = threading.Thread(target=close_all, args=([number],))
    thread.start(), thread.join()

def test_catches_a_finalizer(number):
    class Owner:
        pass
    owner = Owner()
    weakref.finalize(owner, os.close, number)
    stop(number)
    del owner

def test_forgives_one_who_patches(monkeypatch, number):
    asked = []
    monkeypatch.setattr(os, "close", asked.append)
    os.close(number)
    monkeypatch.undo()
    os.close(number)
    assert asked == [number]

def test_forgives_one_who_looks_at_the_error(number):
    os.close(number)
    with pytest.raises(OSError, match="Bad file descriptor") as raised:
        os.close(number)
    assert (raised.value.errno, raised.value.__context__) == (9, None)
"""


def test_what_is_meant_is_not_told(tmp_path, run_tree):
    """What forgives has a leak beside it that is told still."""
    ran = run_tree(tmp_path, {"pytest.ini": "[pytest]", "test_rules.py": RULES}, "--leakguard-trace", "-W", "ignore")
    names = [line.partition("(")[0].split()[1] for line in RULES.splitlines() if line.lstrip().startswith("def test_")]
    assert sorted(f["test"].rpartition("::")[2] for f in ran.report["findings"]) == sorted(
        name for name in names if name.startswith("test_catches")
    )
    assert {f["verdict"] for f in ran.report["findings"]} == {"misclosed"}
    assert f"{len(names)} passed" in ran.text


UNTRACED = """
import os, socket
import pytest

KEPT = []

@pytest.fixture(scope="module")
def server():
    server = socket.create_server(("127.0.0.1", 0))  # opened
    yield server
    try:
        server.close()
    except OSError:
        pass

@pytest.fixture(scope="module")
def pool():
    kept = []
    yield kept

@pytest.fixture(scope="module")
def robbed_at_once():
    with socket.socket() as sock:  # at once
        yield sock
        sock.detach()

def test_robs_at_once(robbed_at_once):
    os.close(robbed_at_once.fileno())

def test_uses(server):
    pass

def test_robs(server):
    os.close(server.fileno())

def test_after(server):
    pass

def test_lends(pool):
    pool.append(socket.socket())  # lent

def test_robs_another(pool):
    os.close(pool[0].fileno())

def test_returns(pool):
    pool.append(socket.socket())

def test_clean(pool):
    pool.pop().close()
    pool.append(socket.socket())

def test_detaches(pool):
    os.close(pool.pop().detach())

def test_leaks():
    KEPT.append(socket.socket())

def test_closes_a_leak():
    os.close(KEPT[0].fileno())

def test_drops(pool):
    with pytest.raises(OSError):
        pool.pop().close()
"""


def test_a_socket_that_is_closed_under_a_wider_fixture_is_told_without_the_trace(alone, pytester):
    """The descriptor is gone, its object says that it is open: told for the test in which it went, with the open."""
    file = pytester.makepyfile(textwrap.dedent(UNTRACED))
    ran = alone()
    told = {f["test"].partition("::")[2]: f for f in ran.findings}
    assert {name: (f["kind"], f["verdict"]) for name, f in told.items()} == {
        "test_robs_at_once": ("socket", "misclosed"),
        "test_robs": ("socket", "misclosed"),
        "test_robs_another": ("socket", "misclosed"),
        "test_leaks": ("socket", "leaked"),
    }
    lines = file.read_text().splitlines()
    for name, mark in (("test_robs_at_once", "at once"), ("test_robs", "opened"), ("test_robs_another", "lent")):
        (note,) = told[name]["notes"]
        number = next(n for n, line in enumerate(lines, 1) if line.endswith(f"# {mark}"))
        assert note.startswith("opened: ")
        assert f"{file.name}:{number} in " in note
        assert told[name]["origin"]["file"] is None
        assert "--leakguard-trace" in told[name]["origin"]["reason"]


def test_os_close_is_given_back(alone, pytester):
    """It is wrapped while a traced test runs, and is Python's own before, after and without the trace."""
    pytester.makeconftest(
        """
        import os
        REAL = os.close

        def pytest_sessionstart():
            assert os.close is REAL

        def pytest_sessionfinish():
            assert os.close is REAL
        """
    )
    pytester.makepyfile("import os\ndef test_it(request): print(type(os.close).__name__)")
    assert "builtin_function_or_method" in alone("-s").text
    ran = alone("-s", "--leakguard-trace")
    assert ran.result.ret == 0
    assert "builtin_function_or_method" not in ran.text


def test_a_close_that_fails_for_another_reason_is_no_second_one(alone, pytester):
    """A disk that is ill tells so when a file is closed, which is closed all the same."""
    pytester.makeconftest(
        """
        import errno, os
        real = os.close
        ILL = set()

        def close(number):
            real(number)
            if number in ILL:
                raise OSError(errno.EIO, os.strerror(errno.EIO))

        os.close = close
        """
    )
    pytester.makepyfile(
        """
        import errno, os
        import conftest

        def test_it():
            number = os.open(os.devnull, os.O_RDONLY)
            conftest.ILL.add(number)
            try:
                os.close(number)
            except OSError as error:
                assert error.errno == errno.EIO
        """
    )
    ran = alone("--leakguard-trace")
    ran.result.assert_outcomes(passed=1)
    assert ran.report["findings"] == []


def test_who_wrapped_it_meanwhile_keeps_his():
    """Another's stand-in for `os.close` goes on through ours."""
    real, nobody = os.close, cast("Any", None)

    def theirs(number):
        real(number)

    try:
        undo = Closes(nobody).wrap()
        assert os.close is not real
        undo()
        assert os.close is real
        undo = Closes(nobody).wrap()
        os.close = theirs
        undo()
        assert os.close is theirs
    finally:
        os.close = real


def test_a_later_close_of_the_same_number_explains_nothing(alone, pytester):
    """The number had another owner by then: that line is not told as the one that closed."""
    pytester.makepyfile(
        """
        import os, socket
        import pytest

        @pytest.fixture(scope="module")
        def pool():
            kept = [socket.socket()]
            yield kept
            kept[0].detach()

        def test_robs(pool):
            number = pool[0].fileno()
            socket.close(number)
            with open(os.devnull) as file:
                assert file.fileno() == number

        def test_after(pool):
            pass
        """
    )
    ran = alone("--leakguard-trace")
    (finding,) = ran.report["findings"]
    assert finding["verdict"] == "misclosed"
    assert [note.partition(":")[0] for note in finding["notes"]] == ["opened"]


def test_the_fingerprint_is_not_that_of_a_leak(alone, pytester):
    """One function may leak and close wrongly; a rule or a baseline for one does not cover the other."""
    pytester.makepyfile(
        """
        import contextlib, os
        def test_both(tmp_path):
            number = os.open(tmp_path / "data.txt", os.O_CREAT)
            os.close(number)
            with contextlib.suppress(OSError):
                os.close(number)
            os.open(tmp_path / "data.txt", os.O_RDONLY)
        """
    )
    ran = alone("--leakguard-trace")
    prints = {f["verdict"]: f["fingerprint"] for f in ran.findings}
    assert prints["misclosed"] == f"{prints['leaked']}:misclosed"


def test_wrong_closes_that_are_no_tests(pytester, alone):
    """Of a hook, of an import, of a thread that a hook has started: nobody's. The same in a test is told."""
    pytester.makepyfile(
        closing="""
        import os
        import threading

        GO, DONE = threading.Event(), threading.Event()

        def twice():
            number = os.dup(0)
            os.close(number)
            try:
                os.close(number)
            except OSError:
                pass

        def works():
            GO.wait()
            twice()
            DONE.set()
        """,
        imported="import closing\n\nclosing.twice()\n",
        conftest="""
        import threading
        import closing

        def pytest_sessionstart():
            threading.Thread(target=closing.works, daemon=True).start()

        def pytest_runtest_setup():
            closing.twice()
        """,
        test_it="""
        import closing

        def test_imports():
            import imported

        def test_waits():
            closing.GO.set()
            closing.DONE.wait()

        def test_closes():
            closing.twice()
        """,
    )
    pytester.syspathinsert()
    (finding,) = alone("--leakguard-trace").report["findings"]
    assert (finding["test"].partition("::")[2], finding["verdict"]) == ("test_closes", "misclosed")
