"""How `cancel_each` runs a coroutine function: each time in a loop of its own, with nothing left and nothing hidden."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import os
import subprocess
import sys
import threading
import warnings
from pathlib import Path

import pytest
from cancel_twins import acquire, check_descriptors

from pytest_leakguard.faults.cancel_each import cancel_each


async def pause():
    await asyncio.sleep(0)


def modes(result):
    return [trial.mode for trial in result.trials]


def failures(result):
    return [finding for finding in result.findings if not finding.told]


@pytest.mark.parametrize("backend", ["trio", "anyio"])
def test_a_timeout_is_for_tasks_of_asyncio(backend):
    """Wherever a scope is cancelled instead, asking for the family is a mistake."""
    with pytest.raises(ValueError, match="'timeout' is for the backend 'asyncio'"):
        cancel_each(pause, backend=backend, families=("timeout",))


async def turns_a_timeout_into_a_cancellation():
    try:
        await asyncio.sleep(0)
    except asyncio.TimeoutError:
        await asyncio.sleep(0)
        raise asyncio.CancelledError from None


async def swallows_and_goes_on():
    with contextlib.suppress(asyncio.CancelledError):
        await asyncio.sleep(0)
    await asyncio.sleep(0)


async def cleans_up():
    try:
        await asyncio.sleep(0)
    finally:
        await asyncio.sleep(0)


@pytest.mark.parametrize(
    ("function", "family", "expected"),
    [
        (cleans_up, "cancel", ["transient", "persistent", "transient"]),
        (cleans_up, "timeout", ["transient"] * 2),
        (turns_a_timeout_into_a_cancellation, "timeout", ["transient"]),
        (swallows_and_goes_on, "cancel", ["transient"] * 2),
    ],
)
def test_a_second_cancellation_is_tried_in_the_clean_up_of_the_first(function, family, expected):
    """Only there: what swallows it goes on with its work, and a timeout comes once."""
    assert modes(cancel_each(function, families=(family,))) == expected


def test_a_second_cancellation_says_that_there_is_no_way_to_be_safe():
    """In words that tell why it is no failure."""

    async def run():
        fd = acquire()
        try:
            await asyncio.sleep(0)
        finally:
            await asyncio.sleep(0)
            os.close(fd)

    result = cancel_each(run, check=check_descriptors)
    (twice,) = [trial for trial in result.trials if trial.mode == "persistent"]
    (finding,) = twice.findings
    assert "asyncio gives no way to be safe" in finding.details[0]


def test_what_the_count_leaves_too_is_no_findings_of_a_trial():
    """A descriptor and a coroutine that are lost each time; what only a trial loses is told still."""

    async def later(): ...

    async def run(leaky):
        kept = acquire()
        _ = later()
        fd = acquire() if leaky else None
        await asyncio.sleep(0)
        if fd is not None:
            os.close(fd)
        assert kept

    assert cancel_each(lambda: run(False), check=check_descriptors).findings == ()


def test_what_the_count_leaves_as_garbage_is_no_finding_of_a_trial():
    """A coroutine that only the collector finds dies in the run that made it."""

    async def later(): ...

    async def run():
        circle = [later()]
        circle.append(circle)
        await asyncio.sleep(0)

    gc.disable()
    try:
        assert cancel_each(run).findings == ()
    finally:
        gc.enable()


def test_a_point_that_does_not_come_again_was_not_reached():
    """The trial says nothing of the code then."""
    runs = []

    async def run():
        runs.append(1)
        if len(runs) == 1:
            await asyncio.sleep(0)

    (trial,) = cancel_each(run).trials
    assert trial.outcome == "not reached"


def test_the_same_cause_is_looked_at_once():
    """A witness slows a run down: it comes once for each new finding, and never without one."""
    made = []

    class Witness:
        """Stands for the one that traces the code: this is about when it is asked."""

        def watching(self):
            made.append(1)
            return contextlib.nullcontext()

        def moment(self, frames):
            pass

        def explain(self, finding):
            return finding

    async def run(leaky):
        fd = acquire()
        try:
            await asyncio.sleep(0)
            await asyncio.sleep(0)
        finally:
            if not leaky or sys.exc_info()[0] is None:
                os.close(fd)

    cancel_each(lambda: run(False), check=check_descriptors, witness=Witness)
    assert made == []
    (finding,) = cancel_each(lambda: run(True), check=check_descriptors, witness=Witness).findings
    assert (finding.count, made) == (2, [1])


def test_only_what_is_new_is_explained():
    """A witness that comes for one finding says nothing of another that was explained before."""
    explained = []

    class Witness:
        """Stands for the one that traces the code: this is about what it is asked for."""

        def watching(self):
            return contextlib.nullcontext()

        def moment(self, frames):
            pass

        def explain(self, finding):
            explained.append(finding.fault)
            return finding

    async def later(): ...

    async def run():
        fd = acquire()
        try:
            await asyncio.sleep(0)
            coroutine = later()
            await asyncio.sleep(0)
            await coroutine
        finally:
            if sys.exc_info()[0] is None:
                os.close(fd)

    findings = cancel_each(run, twice=False, check=check_descriptors, witness=Witness).findings
    assert [finding.count for finding in findings if finding.fault == "leak"] == [2]
    assert len(explained) == len(findings) == 2


def test_the_keyboard_is_obeyed():
    """An interrupt in a trial ends them all."""
    runs = []

    async def run():
        runs.append(1)
        try:
            await asyncio.sleep(0)
        except asyncio.CancelledError:
            raise KeyboardInterrupt from None
        await asyncio.sleep(0)

    with pytest.raises(KeyboardInterrupt):
        cancel_each(run)
    assert len(runs) == 2


def test_the_handler_of_a_loop_says_nothing(caplog):
    """What a task lost is a finding, and need not be logged for each trial besides."""

    async def fails():
        raise ConnectionError

    async def run():
        task = asyncio.ensure_future(fails())
        await asyncio.sleep(0)
        with contextlib.suppress(ConnectionError):
            await task

    assert failures(cancel_each(run))
    assert caplog.records == []


def in_thread(function):
    """The result of a function in a thread that has no loop."""
    results = []
    thread = threading.Thread(target=lambda: results.append(function()))
    thread.start()
    thread.join()
    (result,) = results
    return result


def test_the_loop_is_the_threads_while_it_runs_and_not_afterwards():
    """Also for what a function does before its coroutine starts."""

    async def work(loop):
        assert asyncio.get_running_loop() is loop
        await asyncio.sleep(0)

    def all_of_it():
        points = len(cancel_each(lambda: work(asyncio.get_event_loop())).points)
        try:
            return points, asyncio.get_event_loop()
        except RuntimeError as error:
            return points, str(error).partition(" in thread")[0]

    assert in_thread(all_of_it) == (1, "There is no current event loop")


@pytest.mark.allow_leaks("task:rows", reason="the generator is left half-way on purpose")
def test_what_a_run_leaves_is_ended_with_its_loop():
    """Tasks have time to clean up, generators are closed, threads of the loop end."""
    log, kept = [], []

    async def server():
        try:
            await asyncio.Event().wait()
        finally:
            try:
                await asyncio.sleep(0)
            finally:
                log.append("task")

    async def rows():
        try:
            yield 1
        finally:
            log.append("generator")

    async def run():
        kept.append(asyncio.ensure_future(server()))
        source = rows()
        kept.append(source)
        await source.__anext__()
        await asyncio.get_running_loop().run_in_executor(None, log.append, "thread")

    before = set(threading.enumerate())
    trials = cancel_each(run, twice=False).trials
    runs = 1 + len(trials)
    assert [log.count(what) for what in ("task", "generator")] == [runs, runs]
    assert set(threading.enumerate()) <= before


def test_what_a_run_leaves_has_time_to_clean_up():
    """As under asyncio.run(), more than the loop's own end takes."""
    log, kept = [], []

    async def server():
        try:
            await asyncio.Event().wait()
        finally:
            await asyncio.sleep(0.05)
            log.append("cleaned up")

    async def run():
        kept.append(asyncio.ensure_future(server()))
        await asyncio.sleep(0)

    assert [point.qualname.rpartition(".")[2] for point in cancel_each(run, twice=False).points] == [
        "run", "server", "server",
    ]  # fmt: skip
    # in the count and where its work is cancelled: not before it starts, and not where its clean-up is cancelled
    assert log == ["cleaned up"] * 2


@pytest.mark.allow_leaks("task:server", reason="it will not end")
def test_what_will_not_end_is_left_behind(monkeypatch):
    """The runs go on without it."""
    monkeypatch.setattr("pytest_leakguard.faults.cancel_each._SHUTDOWN_SECONDS", 0.05)
    log, kept = [], []

    async def server():
        end = asyncio.get_running_loop().time() + 3
        while asyncio.get_running_loop().time() < end:
            with contextlib.suppress(asyncio.CancelledError):
                await asyncio.sleep(3)
        log.append("ended")

    async def run():
        kept.append(asyncio.ensure_future(server()))

    cancel_each(run)
    assert log == []


def test_other_warnings_go_where_they_would():
    """Only those of coroutines that were never awaited are taken for findings."""

    async def run():
        warnings.warn("mine", UserWarning, stacklevel=1)
        await asyncio.sleep(0)

    with pytest.warns(UserWarning, match="mine") as caught:
        cancel_each(run)
    assert len(caught) == 2


def test_paths_are_told_from_the_working_directory(monkeypatch):
    """Where nothing else is said."""
    monkeypatch.chdir(Path(__file__).parent)
    (point,) = cancel_each(pause).points
    assert point.path == Path(__file__).name


LATE = """
from pytest_leakguard.faults.cancel_each import cancel_each

async def run():
    import trio
    await trio.sleep(0)

print(len(cancel_each(run, backend="trio").points))
"""


def test_a_function_may_import_trio_itself(tmp_path):
    """Nothing has before: its runs are reached all the same."""
    pytest.importorskip("trio")
    (tmp_path / "late.py").write_text(LATE)
    ran = subprocess.run([sys.executable, "late.py"], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert (ran.stdout, ran.stderr) == ("1\n", "")
