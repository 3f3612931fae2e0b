"""Processes, threads, executors: ended, waited for, their pipes closed and their errors told."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress

import leaky
import pytest

from pytest_leakguard.reference import ManagedProcess, WorkerThread, managed_executor, secondary_errors
from pytest_leakguard.reference.errors import AlreadyOpen, NotOpen, ReleaseTimeout


class Boom(Exception):
    """The error of a body."""


PIPES = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
CAT = [sys.executable, "-c", "import sys; sys.stdout.write(sys.stdin.readline()); sys.stdout.flush(); sys.stdin.read()"]
STUBBORN = [
    sys.executable, "-c",
    "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print(1, flush=True); time.sleep(60)",
]  # fmt: skip


def is_gone(pid):
    """No process and no zombie."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return True
    return False


@pytest.mark.parametrize("kind", [None, Boom, KeyboardInterrupt, GeneratorExit])
def test_a_child_is_ended_on_every_path(kind, leak_check):
    """No process, no zombie, no pipe; usable again."""
    managed = ManagedProcess(CAT, text=True, **PIPES)
    with leak_check():
        with suppress(kind or Boom), managed as child:
            child.stdin.write("hello\n")
            child.stdin.flush()
            assert child.stdout.readline() == "hello\n"
            assert managed.process is child
            if kind is not None:
                raise kind
        assert is_gone(child.pid)
        assert managed.returncode == -signal.SIGTERM
        assert managed.state == "closed"
        managed.open()
        with pytest.raises(AlreadyOpen, match=rf"pid {managed.process.pid}"):
            managed.open()
        managed.close()
        managed.close()
    with pytest.raises(NotOpen):
        managed.process


def test_a_child_that_ended_by_itself(leak_check):
    """Its own exit code is kept."""
    managed = ManagedProcess([sys.executable, "-c", "raise SystemExit(3)"])
    with leak_check():
        with managed as child:
            child.wait()
        assert managed.returncode == 3


def test_a_stubborn_child_is_killed_after_the_grace(leak_check):
    """It ignores SIGTERM; SIGKILL it can't."""
    managed = ManagedProcess(STUBBORN, grace_seconds=0.2, stdout=subprocess.PIPE)
    with leak_check():
        with managed as child:
            child.stdout.readline()
        assert managed.returncode == -signal.SIGKILL
        assert is_gone(child.pid)


def test_a_failed_start_leaves_nothing(leak_check):
    """No such program; or the start-up check says no."""

    def ready(child):
        assert child.stdout is not None
        raise Boom("not ready")

    with leak_check():
        with pytest.raises(FileNotFoundError) as missing, ManagedProcess(["/no/such/program"], **PIPES):
            pass
        assert missing.value.__notes__ == ["while starting process '/no/such/program'"]
        managed = ManagedProcess(CAT, ready=ready, **PIPES)
        with pytest.raises(Boom, match="not ready"), managed:
            pass
        assert managed.state == "closed"
    with pytest.raises(ValueError, match="grace_seconds"):
        ManagedProcess(CAT, grace_seconds=0)


def test_a_pipe_that_can_not_be_flushed_is_told(leak_check):
    """The child is gone with what was still to be written; all else is released; the body's error is not hidden."""
    with leak_check():
        for kind in (None, Boom):
            managed = ManagedProcess([sys.executable, "-c", ""], **PIPES)
            with pytest.raises(kind or BrokenPipeError) as caught, managed as child:
                child.wait()
                child.stdin.write(b"lost")
                if kind is not None:
                    raise kind
            assert managed.state == "closed"
        assert isinstance(secondary_errors(caught.value)[0], BrokenPipeError)


def test_the_twin_that_leaves_its_pipes(left_behind, is_marked):
    """The start-up check fails; the child is gone, its pipes are not."""

    def not_ready(child):
        raise Boom

    def use(manager):
        with suppress(Boom), manager(CAT, ready=not_ready):
            pass

    assert left_behind(lambda: use(lambda args, ready: ManagedProcess(args, ready=ready, **PIPES))) == []
    findings = left_behind(lambda: use(leaky.LeakyManagedProcess))
    assert sum(finding.count for finding in findings) >= 1
    assert {finding.kind for finding in findings} <= {"fd", "process"}


# -- WorkerThread


def wait_for(stop):
    stop.wait(30)


@pytest.mark.parametrize("kind", [None, Boom, KeyboardInterrupt, GeneratorExit])
def test_a_thread_is_joined_on_every_path(kind, leak_check):
    """Told to stop first; usable again."""
    worker = WorkerThread(wait_for)
    with leak_check():
        for _ in range(2):
            with suppress(kind or Boom), worker:
                assert worker.is_alive
                if kind is not None:
                    raise kind
            assert not worker.is_alive
            assert worker.state == "closed"
    leak_check.releases(lambda: WorkerThread(wait_for))


def test_a_worker_by_hand():
    """open and close, close twice; a second open is refused."""
    worker = WorkerThread(wait_for, name="poller").open()
    with pytest.raises(AlreadyOpen, match="'poller'"):
        worker.open()
    worker.close()
    worker.close()
    with pytest.raises(TypeError, match="target of WorkerThread"):
        WorkerThread(5)


def test_the_error_of_a_thread_is_not_lost(leak_check):
    """It comes out of the close, with the thread's name; or is a note on the body's."""

    def fails(stop):
        raise Boom("in thread")

    with leak_check():
        with pytest.raises(Boom, match="in thread") as caught, WorkerThread(fails, name="poller"):
            pass
        assert caught.value.__notes__ == ["in thread 'poller'"]
        with pytest.raises(KeyError) as body, WorkerThread(fails):
            raise KeyError
        assert str(secondary_errors(body.value)[0]) == "in thread"


def test_a_thread_that_does_not_stop_is_told(leak_check):
    """And can be joined later."""
    end = threading.Event()
    with leak_check():
        worker = WorkerThread(lambda stop: end.wait(30), name="deaf", join_timeout=0.02)
        with pytest.raises(ReleaseTimeout, match=r"'deaf' did not end within 0\.02 s"), worker:
            pass
        assert worker.state == "running"
        end.set()
        worker._join_timeout = 10
        worker.close()


def test_a_thread_that_can_not_start(monkeypatch, leak_check):
    """Its state is closed, and it can be opened again."""

    def start(self):
        raise RuntimeError("can't start new thread")

    worker = WorkerThread(wait_for)
    with monkeypatch.context() as patched, pytest.raises(RuntimeError):
        patched.setattr(threading.Thread, "start", start)
        worker.open()
    assert worker.state == "closed"
    with worker:
        pass


def test_the_twin_whose_join_is_skipped(left_behind, is_marked):
    """The body fails and the thread runs on."""

    def use(manager):
        with suppress(Boom), manager(wait_for):
            raise Boom

    assert left_behind(lambda: use(WorkerThread)) == []
    (finding,) = left_behind(lambda: use(leaky.LeakyWorkerThread))
    assert finding.kind == "thread"
    assert is_marked(finding)


# -- managed_executor


def test_pending_work_is_done_after_a_normal_end_and_cancelled_after_an_error(leak_check):
    """Either way its threads are joined."""
    for kind in (None, Boom, KeyboardInterrupt):
        go = threading.Event()
        with leak_check(), suppress(kind or Boom):
            with managed_executor(ThreadPoolExecutor, max_workers=1) as executor:
                running = executor.submit(go.wait, 30)
                pending = executor.submit(int, "5")
                threading.Timer(0.02, go.set).start()
                if kind is not None:
                    while not running.running():
                        pass
                    raise kind
        assert running.result() is True
        assert pending.cancelled() is (kind is not None)


def test_an_executor_that_is_none_is_refused():
    """With what was given, and with what came of it."""
    with pytest.raises(TypeError, match=r"managed_executor: 5 is of type int"), managed_executor(5):
        pass
    with pytest.raises(TypeError, match=r"managed_executor: \[\] is of type list; expected an executor"):
        with managed_executor(list):
            pass


def test_the_twin_executor_whose_join_is_skipped(left_behind):
    """The body fails and the worker stays."""

    def use(manager):
        with suppress(Boom), manager(ThreadPoolExecutor, max_workers=1) as executor:
            executor.submit(int).result()
            raise Boom

    assert left_behind(lambda: use(managed_executor)) == []
    (finding,) = left_behind(lambda: use(leaky.leaky_managed_executor))
    assert finding.kind == "thread"
