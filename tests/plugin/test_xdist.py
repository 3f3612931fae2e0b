"""Under pytest-xdist: the same leaks, told once, by the controller."""

from __future__ import annotations

import json
import xml.etree.ElementTree as ET
from collections import Counter
from typing import Any

import pytest

from pytest_leakguard.core.model import KINDS, OPT_IN

QUICK = "--leakguard-grace=0.05"

pytest.importorskip("xdist")

CONFTEST = """
import os

import pytest

KEPT = []

@pytest.fixture(scope="session")
def session_store():
    KEPT.append(os.open(os.devnull, os.O_RDONLY))
    yield

@pytest.fixture(scope="session")
def session_pool():
    held = []
    yield held
"""

MODULE = """
import asyncio
import atexit
import mmap
import os
import socket
import sqlite3
import subprocess
import sys
import threading

import pytest

KEPT = []

class Thing:
    pass

def leak():
    KEPT.append(os.open(os.devnull, os.O_RDONLY))

def test_fd():
    leak()

def test_socket():
    KEPT.append(socket.socket())

def test_thread():
    threading.Thread(target=threading.Event().wait, name="waits", daemon=True).start()

def test_process():
    child = subprocess.Popen([sys.executable, "-S", "-c", "input()"], stdin=subprocess.PIPE)
    atexit.register(child.communicate)

def test_temp():
    os.mkdir(f"left-by-{__name__}")

def test_unclosed():
    thing = Thing()
    thing.itself, thing.stream = thing, open(os.devnull)

def test_mmap():
    KEPT.append(mmap.mmap(-1, 4096))

def test_sqlite():
    KEPT.append(sqlite3.connect(":memory:"))

def test_task():
    async def main():
        asyncio.create_task(asyncio.sleep(600))
    asyncio.run(main())

def test_lock(leak_check):
    KEPT.append(leak_check.track_lock(threading.Lock()))
    KEPT[-1].acquire()

def test_state():
    os.environ[f"LEFT_BY_{__name__}"] = "1"

def test_object(leak_check):
    KEPT.append(leak_check.track(Thing()))

@pytest.mark.parametrize("number", [1, 2])
def test_parametrized(number):
    leak()

@pytest.fixture(scope="module")
def store():
    leak()
    yield

def test_store(store):
    pass

def test_session_store(session_store):
    pass

@pytest.fixture(scope="module")
def pool():
    held = []
    yield held
    while held:
        held.pop().close()

def test_deferred(pool):
    leak()

def test_deferred_to_the_session(session_pool):
    session_pool.append(socket.socket())

def test_deferred_clean(pool):
    pool.append(socket.socket())

def test_failed():
    leak()
    assert not "own failure"

@pytest.mark.allow_leaks("fd:*", reason="a twin")
def test_allowed():
    leak()

def test_clean(tmp_path):
    with socket.socket(), open(tmp_path / "a.txt", "w"):
        pass

def test_trivial():
    pass
"""
TESTS_IN_MODULE = 23


def found(report: dict[str, Any]) -> Counter[tuple[str, str, str]]:
    """(test, kind, fingerprint) of all findings; a wider fixture's first user depends on the order of the tests."""
    return Counter(
        (
            finding["test"] if finding["owner"]["kind"] == "test" else finding["owner"]["name"],
            finding["kind"],
            finding["fingerprint"],
        )
        for finding in report["findings"]
    )


def quiet(result: pytest.RunResult) -> bool:
    """Nothing of ours on the error stream."""
    return not [line for line in result.errlines if "leakguard" in line or "Exception ignored" in line]


@pytest.fixture
def clean_up(pytester):
    """Takes away the folders that the leaky tests leave, so that each run makes them anew."""

    def clean_up() -> None:
        for folder in pytester.path.glob("left-by-*"):
            folder.rmdir()

    yield clean_up
    clean_up()


def test_the_same_findings_with_and_without_workers(pytester, alone, clean_up):
    """With each distribution every leak is told once, with counts, exit status, section and JUnit as in one process."""
    pytester.makeconftest(CONFTEST)
    pytester.makepyfile(test_one=MODULE, test_two=MODULE)
    everything = "--leakguard-probes=all"
    single = alone(QUICK, everything, "-p", "xdist", "-n", "0", "--junit-xml=junit.xml")
    expected = found(single.report)
    assert sum(expected.values()) == 2 * 20 + 1  # the atexit callback of the process is state
    assert {kind for _, kind, _ in expected} == set(KINDS)
    assert set(expected.values()) == {1}
    assert Counter(f["disposition"] for f in single.report["findings"]) == {"fails": 37, "note": 2, "allowed": 2}
    assert quiet(single.result)
    for distribution in ("load", "loadscope"):
        clean_up()
        ran = alone(QUICK, everything, "-p", "xdist", "-n", "2", "--dist", distribution, "--junit-xml=junit.xml")
        assert set(found(ran.report)) == set(expected), distribution
        # a module or session fixture may be set up in both workers, what a test does happens in one
        assert max(v for (name, *_), v in found(ran.report).items() if "::" in name) == 1
        assert ran.report["summary"]["tests"] == 2 * TESTS_IN_MODULE
        assert ran.result.ret == 1
        ran.result.assert_outcomes(passed=2 * (TESTS_IN_MODULE - 1), failed=2)
        closing = [line for line in ran.result.outlines if line.startswith("leakguard: ")]
        assert len(closing) == 3  # the header, what the messages mean, and the closing line
        assert closing[2].startswith(f"leakguard: {2 * TESTS_IN_MODULE} tests, ")
        assert "2 in failed tests, 2 allowed" in closing[2]
        assert ran.text.count("= leaks =") == 1
        for module in ("test_one", "test_two"):
            assert ran.text.count(f"\nLEAK socket  {module}.py::test_socket\n") == 1
        headlines = Counter(
            (f"{entry.get('classname')}.py::{entry.get('name')}", line)
            for entry in ET.parse(pytester.path / "junit.xml").getroot().iter("testcase")
            for child in entry
            if child.tag in ("failure", "error")
            for line in (child.text or "").splitlines()
            if line.startswith("LEAK ")
        )
        assert set(headlines.values()) == {1}
        of_tests = {(test, line) for test, line in headlines if "fixture '" not in line}
        assert of_tests == {
            (f["test"], f"LEAK {f['kind']}  {f['test']}") for f in ran.findings if f["owner"]["kind"] == "test"
        }
        assert len(headlines) == len(ran.findings)
        assert quiet(ran.result), ran.result.errlines


def test_letters_and_words(pytester, alone):
    """The letter L and the word LEAKED come from the controller, -v with the worker's name; --lf and -x work."""
    pytester.makepyfile(
        test_it="""
        import os
        KEPT = []

        def test_leaks():
            KEPT.append(os.open(os.devnull, os.O_RDONLY))

        def test_clean():
            os.close(os.open(os.devnull, os.O_RDONLY))
        """
    )
    ran = alone(QUICK, "-p", "xdist", "-n", "2", "-v")
    ran.result.stdout.fnmatch_lines(["[[]gw?[]]*LEAKED test_it.py::test_leaks*", "*= 2 passed, 1 leaked in *"])
    assert ran.text.count("LEAKED") == 1
    ran = alone(QUICK, "-p", "xdist", "-n", "2", "--leakguard-action=warn")
    ran.result.stdout.fnmatch_lines(["*L*", "*= leaks =*", "*= 2 passed, 1 leaked in *"])
    assert ran.result.ret == 0


def test_without_the_flag_only_marked_tests(pytester, alone):
    """A marked test and a test with leak_check are judged in the workers as without them; the rest is left alone."""
    pytester.makepyfile(
        test_it="""
        import os
        import pytest

        KEPT = []

        class Thing:
            pass

        def leak():
            KEPT.append(os.open(os.devnull, os.O_RDONLY))

        @pytest.mark.no_leaks
        def test_marked():
            leak()

        def test_unmarked():
            leak()

        def test_tracks(leak_check):
            KEPT.append(leak_check.track(Thing()))
        """
    )
    ran = alone("-p", "xdist", "-n", "2", flag=())
    assert sorted((f["test"].partition("::")[2], f["kind"]) for f in ran.findings) == [
        ("test_marked", "fd"),
        ("test_tracks", "object"),
    ]
    ran.result.stdout.fnmatch_lines(["leakguard: 2 tests, 2 leaks, *"])


def test_a_crashed_worker_loses_no_finding_made_before(pytester, alone):
    """What a worker told before a test ended its process is kept, and the worker that stands in goes on telling."""
    pytester.makepyfile(
        test_it="""
        import os
        KEPT = []

        def leak():
            KEPT.append(os.open(os.devnull, os.O_RDONLY))

        def test_a_leaks():
            leak()

        def test_b_clean():
            pass

        def test_c_ends_the_process():
            leak()
            os._exit(3)

        def test_d_leaks():
            leak()

        def test_e_clean():
            pass
        """
    )
    ran = alone(QUICK, "-p", "xdist", "-n", "1", "--max-worker-restart=2", errors=True)
    told = "worker gw0 crashed: what its tests had left before is told; nobody looked after the last one"
    assert ran.report["errors"] == [told]
    assert ran.report["summary"]["tests"] == 4
    ran.result.stdout.fnmatch_lines(["*worker 'gw0' crashed while running 'test_it.py::test_c_ends_the_process'*"])
    ran.result.assert_outcomes(passed=4, failed=1)
    assert sorted((f["test"].partition("::")[2], f["kind"]) for f in ran.findings) == [
        ("test_a_leaks", "fd"),
        ("test_d_leaks", "fd"),
    ]
    assert ran.result.ret == 1


@pytest.mark.parametrize("end", ["os._exit(3)", "os.kill(os.getpid(), signal.SIGKILL)"], ids=["exit", "kill"])
def test_what_a_crashed_worker_had_put_off_is_told(pytester, alone, end):
    """Each verdict that waited for a fixture of it; not what was released since, nor what a live fixture has itself."""
    pytester.makepyfile(
        test_it=f"""
        import os
        import signal
        import pytest

        @pytest.fixture(scope="module")
        def pool():
            kept = [open(os.devnull)]
            yield kept
            for stream in kept:
                stream.close()

        def test_a_puts_off(pool, tmp_path):
            pool.append(open(tmp_path / "a.txt", "w"))

        def test_b_puts_off_for_a_while(pool, tmp_path):
            pool.append(open(tmp_path / "b.txt", "w"))

        def test_c_releases(pool):
            pool.pop().close()

        def test_d_leaks():
            global kept
            kept = os.open(os.devnull, os.O_RDONLY)

        def test_e_ends_the_process(pool):
            {end}
        """
    )
    ran = alone(QUICK, "-p", "xdist", "-n", "1", "--max-worker-restart=1", errors=True)
    first, *others = ran.report["errors"]
    assert first == (
        "worker gw0 crashed: what its tests had left before is told; nobody looked after the last one; "
        "1 verdict was put off"
    )
    (waiting,) = others
    assert waiting.startswith("worker gw0 crashed before a verdict on fd: fd ")
    assert waiting.endswith(
        "a.txt; acquired test_it.py:13 in test_a_puts_off, by test_it.py::test_a_puts_off, "
        "put off until fixture 'pool' (module scope) is over"
    )
    assert [f["test"].partition("::")[2] for f in ran.findings] == ["test_d_leaks"]
    assert "explain leaked held worker-crashed" in ran.text
    assert ran.report["summary"]["tests"] == 4


def test_what_was_put_off_and_released_is_never_mentioned(pytester, alone):
    """A worker that ends as it should has judged for itself: the controller tells nothing of what it was sent."""
    pytester.makepyfile(
        test_it="""
        import pytest

        @pytest.fixture(scope="module")
        def pool():
            kept = []
            yield kept
            for stream in kept:
                stream.close()

        def test_puts_off(pool, tmp_path):
            pool.append(open(tmp_path / "a.txt", "w"))

        def test_clean(pool):
            pass
        """
    )
    ran = alone(QUICK, "-p", "xdist", "-n", "1")
    assert (ran.findings, ran.report["errors"]) == ([], [])


def test_what_a_worker_settles_late_is_told_with_its_name(pytester, alone):
    """With a later test's report, or with the worker's last words, where it was stopped between two tests."""
    pytester.makeconftest(
        """
        def pytest_sessionstart(session):
            global current
            current = session

        def pytest_runtest_logfinish(nodeid):
            if nodeid.endswith("test_of_a_session") and hasattr(current.config, "workerinput"):
                current.shouldstop = "enough"
        """
    )
    pytester.makepyfile(
        test_it="""
        import os
        import pytest

        @pytest.fixture(scope="class")
        def held():
            yield []

        @pytest.fixture(scope="session")
        def kept():
            yield []

        class TestIt:
            def test_of_a_class(self, held):
                held.append(os.open(os.devnull, os.O_RDONLY))

            def test_ends_the_class(self, held):
                pass

        def test_of_a_session(kept):
            kept.append(os.open(os.devnull, os.O_RDONLY))

        def test_comes_no_more(kept):
            pass
        """
    )
    ran = alone(QUICK, "-p", "xdist", "-n", "1", "-v")
    assert sorted(f["test"].partition("::")[2] for f in ran.findings) == [
        "TestIt::test_of_a_class",
        "test_of_a_session",
    ]
    named = [line for line in ran.result.outlines if "LEAKED" in line and line.startswith("[gw0]")]
    assert [line.split("::")[-1].rstrip() for line in named] == ["test_of_a_class", "test_of_a_session"]
    assert ran.report["summary"]["tests"] == 3


@pytest.mark.parametrize(
    ("marker", "source", "known"),
    [
        ('no_leaks("fsd")', "unknown kind 'fsd'; did you mean 'fd'?", "Known: *fd, *socket*"),
        ('allow_leaks("fd:*")', "the rule 'fd:[*]' has no reason", "*"),
    ],
    ids=["kind", "reason"],
)
@pytest.mark.parametrize("flag", [("--leakguard",), ()], ids=["flag", "marker"])
def test_a_bad_marker_is_a_readable_usage_error(pytester, monkeypatch, marker, source, known, flag):
    """A bad marker stops the run with its one message, also when a worker meets it first."""
    pytester.makepyfile(
        test_it=f"""
        import pytest

        @pytest.mark.no_leaks
        @pytest.mark.{marker}
        def test_it():
            pass

        def test_other():
            pass
        """
    )
    monkeypatch.setenv("PYTEST_DISABLE_PLUGIN_AUTOLOAD", "1")
    result = pytester.runpytest("-p", "leakguard", *flag, "-p", "xdist", "-n", "2", "-p", "no:cacheprovider")
    output = [*result.outlines, *result.errlines]
    assert result.ret == pytest.ExitCode.USAGE_ERROR, "\n".join(output)
    told = [line for line in output if "@pytest.mark." in line]
    assert told, "\n".join(output)
    pytest.LineMatcher(told).fnmatch_lines([f"*@pytest.mark.* on test_it.py::test_it: *{source}*"])
    pytest.LineMatcher(output).fnmatch_lines([known])
    assert "INTERNALERROR" not in "\n".join(output)
    assert "Traceback" not in "\n".join(output)


def test_a_bad_option_is_a_readable_usage_error(pytester):
    """A bad option stops the controller before any worker starts."""
    pytester.makepyfile("def test_it():\n    pass")
    result = pytester.runpytest("--leakguard", "--leakguard-probes=fsd", "-n", "2")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines(["*--leakguard-probes: unknown kind 'fsd'; did you mean 'fd'?*", "Known: *"])
    assert "INTERNALERROR" not in result.stderr.str() + result.stdout.str()


def test_allow_rules_that_only_one_worker_needed_are_used(pytester, alone):
    """An ini rule used in one worker only, and a marker, are not told as unused; one that nobody used is, once."""
    pytester.makepyfile(
        test_it="""
        import os
        import pytest

        KEPT = []

        @pytest.mark.allow_leaks("fd:*", reason="a twin")
        def test_allowed():
            KEPT.append(os.open(os.devnull, os.O_RDONLY))

        @pytest.mark.allow_leaks("socket:*", reason="of no use")
        def test_unused():
            pass

        def test_other():
            pass
        """
    )
    ran = alone(QUICK, "-p", "xdist", "-n", "2")
    assert ran.result.ret == 0
    assert [entry["rule"] for entry in ran.report["unused_allows"]] == ["socket:*"]
    assert ran.report["summary"]["allowed"] == 1
    assert len([line for line in ran.result.outlines if "hides nothing any more" in line]) == 1


def test_the_report_is_one_file_with_sums(pytester, alone):
    """JSON is written by the controller alone: sums of tests and time, the highest peak of any worker."""
    pytester.makepyfile(
        test_it="""
        import os
        import pytest

        @pytest.mark.parametrize("number", range(6))
        def test_clean(number):
            pass

        def test_peak():
            numbers = [os.open(os.devnull, os.O_RDONLY) for _ in range(50)]
            for number in numbers:
                os.close(number)

        @pytest.fixture
        def many():
            numbers = [os.open(os.devnull, os.O_RDONLY) for _ in range(50)]
            yield
            for number in numbers:
                os.close(number)

        def test_peak_in_a_fixture(many):
            pass
        """
    )
    ran = alone(QUICK, "-p", "xdist", "-n", "2")
    assert ran.result.ret == 0
    assert ran.report["findings"] == []
    summary = ran.report["summary"]
    assert (summary["tests"], summary["leaks"]) == (8, 0)
    assert summary["peak_descriptors"] > 50
    assert summary["peak_test"] == "test_it.py::test_peak_in_a_fixture"
    assert {kind for kind, probe in ran.report["probes"].items() if not probe["active"]} == OPT_IN
    assert not [path.name for path in pytester.path.iterdir() if ".part" in path.name]
    assert json.loads((pytester.path / "leakguard.json").read_text("utf-8")) == ran.report


def test_reruns_in_workers(pytester, alone):
    """With pytest-rerunfailures too: notes for attempts that failed, a leak for the one that passed, told once each."""
    pytest.importorskip("pytest_rerunfailures")
    pytester.makepyfile(
        test_it="""
        import os
        import pytest

        KEPT = []
        ATTEMPTS = {}

        @pytest.fixture
        def attempt(request):
            ATTEMPTS[request.node.name] = ATTEMPTS.get(request.node.name, 0) + 1
            return ATTEMPTS[request.node.name]

        def leak():
            KEPT.append(os.open(os.devnull, os.O_RDONLY))

        def test_each(attempt):
            leak()
            assert attempt > 1

        def test_first(attempt):
            if attempt == 1:
                leak()
            assert attempt > 1

        def test_second(attempt):
            if attempt > 1:
                leak()
            assert attempt > 1

        def test_clean(attempt):
            assert attempt > 1
        """
    )
    ran = alone(QUICK, "-p", "xdist", "-p", "rerunfailures", "--reruns=1", "-n", "2")
    assert sorted((f["test"].partition("::")[2], f["disposition"], f["count"]) for f in ran.report["findings"]) == [
        ("test_each", "fails", 1),
        ("test_each", "note", 1),
        ("test_first", "note", 1),
        ("test_second", "fails", 1),
    ]
    ran.result.stdout.fnmatch_lines(["*= 4 passed, 4 rerun, 2 leaked in *"])


def test_what_a_report_carried_that_was_never_sent_comes_with_the_next(pytester, alone):
    """A plugin that runs a test again may drop the last report of an attempt, after the others have gone out."""
    pytester.makeconftest(
        """
        from _pytest.runner import runtestprotocol

        def pytest_runtest_protocol(item, nextitem):
            for attempt in (1, 2):
                for report in runtestprotocol(item, nextitem=nextitem, log=False):
                    if attempt == 2 or report.when != "teardown":
                        item.ihook.pytest_runtest_logreport(report=report)
            return True
        """
    )
    pytester.makepyfile(
        test_it="""
        import os

        kept = []

        def test_leaks_once():
            if not kept:
                kept.append(os.open(os.devnull, os.O_RDONLY))
        """
    )
    ran = alone(QUICK, "-p", "xdist", "-n", "1")
    assert [(f["kind"], f["count"]) for f in ran.of("test_leaks_once")] == [("fd", 1)]
