"""What is left after the last teardown, and what an interpreter waits for that does not exit."""

from __future__ import annotations

import os
import subprocess
import sys
import threading

import pytest

SUITE = """
import atexit
import functools
import os
import subprocess
import sys
import threading
import time

import pytest

KEPT = []
{imported}

def wait_for_release():
    while not os.path.exists("release"):
        time.sleep(0.02)

def test_thread():
    threading.Thread(target=wait_for_release, name="holds").start()

def test_daemon():
    threading.Thread(target=wait_for_release, name="daemon", daemon=True).start()

def test_child():
    KEPT.append(subprocess.Popen([sys.executable, "-S", "-c", "input()"], stdin=-1))
    atexit.register(KEPT[-1].communicate)

def test_ended_child():
    KEPT.append(subprocess.Popen([sys.executable, "-S", "-c", ""]))
    os.waitid(os.P_PID, KEPT[-1].pid, os.WEXITED | os.WNOWAIT)
    atexit.register(KEPT[-1].wait)

def test_executor():
    from concurrent.futures import ThreadPoolExecutor
    KEPT.append(ThreadPoolExecutor(1, thread_name_prefix="pool"))
    KEPT[-1].submit(wait_for_release)

def test_atexit():
    atexit.register(wait_for_release)

class Waiting:
    def __call__(self, word):
        wait_for_release()

@pytest.fixture
def registers_late():
    yield
    atexit.register(functools.partial(Waiting(), "word"))

def test_teardown_of_one(registers_late):
    pass

def test_process_of_multiprocessing():
    import multiprocessing
    KEPT.append(multiprocessing.get_context("fork").Process(target=wait_for_release))
    KEPT[-1].start()

def test_fd():
    KEPT.append(open(__file__))

def test_fails():
    assert 0

def test_clean():
    pass
"""


def suite(imported: str = "") -> str:
    return SUITE.replace("{imported}", imported)


def left(run) -> dict[str, int]:
    return run.report["still_there"]["counts"]


def test_what_is_left_is_told(pytester, alone):
    """By kind, what ended since left out; threads and children that may hold the exit one by one, with their origin."""
    pytester.makepyfile(
        test_it=suite()
        + """
@pytest.fixture(scope="session", autouse=True)
def release():
    yield
    open("release", "w").close()
    for thread in threading.enumerate():
        if thread.name in ("holds", "daemon"):
            thread.join()
"""
    )
    tests = "test_thread or test_daemon or test_child or test_ended_child or test_fd"
    ran = alone("--leakguard-grace=0", "--leakguard-probes=fd,thread,process", "-k", tests)
    assert sorted(f["kind"] for f in ran.findings) == ["fd", "process", "process", "thread", "thread"]
    assert left(ran) == {"fd": 2, "process": 2}  # the child's pipe among them
    ran.result.stdout.fnmatch_lines(
        [
            "*= still there after the last teardown =*",
            "2 fd, 2 process",
            "may hold the exit: child process *, running: *; "
            "started test_it.py:* in test_child, by test_it.py::test_child",
        ]
    )
    assert ran.text.count("may hold the exit") == 1
    assert {one["owner"] for one in ran.report["still_there"]["found"]} == {
        "test_it.py::test_child",
        "test_it.py::test_ended_child",
        "test_it.py::test_fd",
    }


def test_nothing_is_told_where_nothing_is_left(pytester, alone):
    """No line in a clean run."""
    pytester.makepyfile("def test_it(): pass")
    ran = alone()
    assert ran.report["still_there"] == {"counts": {}, "found": []}
    assert "still there" not in ran.text


def test_workers_tell_what_is_left_in_them(pytester, alone):
    """Added up by the controller, whose own children, the workers, are not meant."""
    pytest.importorskip("xdist")
    pytester.makepyfile(test_one=suite(), test_two=suite())
    ran = alone("--leakguard-grace=0", "-p", "xdist", "-n", "2", "-k", "test_fd or test_daemon")
    assert left(ran) == {"fd": 2, "thread": 2}
    assert "may hold the exit" not in ran.text


HELD = {
    "test_thread": "  thread 'holds', not daemon, now at test_it.py:16 in wait_for_release; "
    "started test_it.py:19 in test_thread, by test_it.py::test_thread",
    "test_executor": "  thread 'pool_0', not daemon, now at test_it.py:16 in wait_for_release; "
    "started test_it.py:35 in test_executor, by test_it.py::test_executor",
    "test_atexit": "  callback of atexit wait_for_release (test_it.py:14), "
    "registered during test_it.py::test_atexit (set-up or call), now at test_it.py:16 in wait_for_release",
    "test_teardown_of_one": "  callback of atexit ",
    "at import": "  callback of atexit wait_for_release (test_it.py:14), now at test_it.py:16 in wait_for_release",
    "test_process_of_multiprocessing": "  child process ",
    "imported": "  thread 'of an import', not daemon, now at test_it.py:16 in wait_for_release",
}


@pytest.fixture
def exiting(pytester, monkeypatch):
    """Run a test, and let go what holds the interpreter once that is told: exit status and error stream."""
    monkeypatch.setenv("PYTEST_DISABLE_PLUGIN_AUTOLOAD", "1")

    def exiting(*args: str, imported: str = "") -> tuple[int, list[str]]:
        text = suite().replace("def test_thread", f"{imported}\n\ndef test_thread") if imported else suite()
        pytester.makepyfile(test_it=text)
        options = ("-p", "leakguard", "-p", "no:cacheprovider", "--leakguard", "--leakguard-grace=0")
        child = subprocess.Popen(
            [sys.executable, "-m", "pytest", *options, "--leakguard-action=warn", *args],
            cwd=pytester.path, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True,
        )  # fmt: skip
        # what is never told must not stop this suite
        guard = threading.Timer(60, child.kill)
        guard.start()
        lines = []
        try:
            for line in child.stderr:
                lines.append(line.rstrip("\n"))
                if line.startswith("leakguard: the interpreter") or "never waits" in line:
                    (pytester.path / "release").touch()
            return child.wait(), lines
        finally:
            guard.cancel()
            child.kill()
            child.communicate()

    return exiting


@pytest.mark.parametrize("holder", HELD)
def test_an_interpreter_that_does_not_exit_says_what_for(exiting, holder):
    """The thread, the executor's thread, the callback, the child: with where it is now and where it came from."""
    if holder == "at import":
        status, lines = exiting("-k", "test_clean", imported="atexit.register(wait_for_release)")
    elif holder == "imported":
        start = "threading.Thread(target=wait_for_release, name='of an import').start()"
        status, lines = exiting("-k", "test_clean", imported=start)
    else:
        status, lines = exiting("-k", holder)
    assert status == 0
    assert "leakguard: the interpreter has been waiting to exit for 1 s:" in lines
    told = [line for line in lines if line.startswith("  ")]
    assert any(line.startswith(HELD[holder]) for line in told), lines
    if holder == "test_teardown_of_one":
        assert "registered during test_it.py::test_teardown_of_one (teardown), now at " in told[0]
    if holder == "test_process_of_multiprocessing":
        callback, child = told
        assert callback.startswith("  callback of atexit _exit_function (python3.")
        assert child.endswith("by test_it.py::test_process_of_multiprocessing")
    assert not any("Exception ignored" in line or "Traceback" in line for line in lines)


def test_the_exit_status_is_that_of_the_tests(exiting):
    """A failed run that hangs for a while is a failed run."""
    status, lines = exiting("-k", "test_atexit or test_fails")
    assert status == 1
    assert "leakguard: the interpreter has been waiting to exit for 1 s:" in lines


@pytest.mark.parametrize("name", ["test_clean", "test_daemon", "test_ended_child", "test_child"])
def test_one_that_exits_says_nothing(exiting, name):
    """Daemons, and children that nobody waits for, hold nothing."""
    status, lines = exiting("-k", name)
    assert status == 0
    assert lines == []


def test_a_fork_that_waits_to_exit_says_nothing(pytester):
    """What a fork waits for is no matter of the session, whose threads and children it does not have."""
    pytester.makepyfile(
        script="""
        import os, sys, threading, time
        from pytest_leakguard.plugin.exit_watch import SECONDS, watch_exit
        watch_exit(os.getcwd(), {}, {})
        if os.fork() == 0:
            threading.Thread(target=time.sleep, args=(SECONDS + 0.5,)).start()
            sys.exit(3)
        _, status = os.wait()
        os._exit(os.waitstatus_to_exitcode(status) + 1)
        """
    )
    ran = subprocess.run(
        [sys.executable, "-W", "ignore:This process:DeprecationWarning", "script.py"],
        cwd=pytester.path, capture_output=True, text=True, check=False, env={**os.environ},
    )  # fmt: skip
    assert (ran.returncode, ran.stderr) == (4, "")


def test_it_does_not_hold_the_interpreter(pytester):
    """Armed, an interpreter with nothing to wait for ends at once, and a fork of it as well."""
    pytester.makepyfile(
        script="""
        import os, sys, time
        from pytest_leakguard.plugin.exit_watch import watch_exit
        watch_exit(os.getcwd(), {}, {})
        watch_exit(os.getcwd(), {}, {})
        if os.fork() == 0:
            sys.exit(3)
        _, status = os.wait()
        sys.exit(os.waitstatus_to_exitcode(status) + 1)
        """
    )
    script = "import runpy; runpy.run_path('script.py', run_name='__main__')"
    ran = subprocess.run(
        [sys.executable, "-W", "ignore:This process:DeprecationWarning", "-c", script],
        cwd=pytester.path,
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ},
    )
    assert (ran.returncode, ran.stderr) == (4, "")
