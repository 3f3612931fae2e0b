"""What no code could have done better is told and never a failure; and next to each, what still is one."""

from __future__ import annotations

import asyncio
import os
import sys

import pytest
from cancel_twins import acquire, check_descriptors, lines

from pytest_leakguard.faults.cancel_each import cancel_each


def failures(result):
    return [
        (finding.fault, finding.point.qualname.rpartition(".")[2]) for finding in result.findings if not finding.told
    ]


def told(result):
    return [finding for finding in result.findings if finding.told]


async def run_with_cleanup():
    fd = acquire()
    try:
        await asyncio.sleep(0)
    finally:
        await asyncio.sleep(0)
        os.close(fd)


def test_a_second_cancellation_is_told():
    """The clean-up of the first suspends; cancelled there again, what it had left to do is lost."""
    result = cancel_each(run_with_cleanup, check=check_descriptors)
    twice = [trial for trial in result.trials if trial.mode == "persistent"]
    assert len(twice) == 1
    assert all(finding.told for trial in twice for finding in trial.findings)
    assert "second cancellation" in twice[0].findings[0].details[0]


def test_the_first_cancellation_of_the_same_cleanup_still_fails():
    """On the way without an error the clean-up is cancelled for the first time: it could have been a `finally`."""
    assert failures(cancel_each(run_with_cleanup, check=check_descriptors)) == [("leak", "run_with_cleanup")]


async def worker(queue):
    while True:
        await queue.get()
        await asyncio.sleep(0)
        queue.task_done()


async def run_workers():
    queue = asyncio.Queue()
    for number in range(2):
        queue.put_nowait(number)
    task = asyncio.ensure_future(worker(queue))
    try:
        await queue.join()
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


def test_waiting_for_the_work_of_a_cancelled_task_is_told():
    """Nobody but the run itself can cancel its worker alone: that the rest waits for it is no mistake."""
    result = cancel_each(run_workers, hang_seconds=0.2)
    assert failures(result) == []
    hangs = [finding for finding in told(result) if finding.fault == "hang"]
    assert hangs
    assert {finding.point.qualname for finding in hangs} == {"worker"}
    assert any("run_workers" in line for line in hangs[0].details)


def test_waiting_for_ever_in_the_cancelled_coroutine_itself_still_fails():
    """The same wait, in the `finally` of what was cancelled."""

    async def run():
        queue = asyncio.Queue()
        queue.put_nowait(1)
        try:
            await asyncio.sleep(0)
            queue.get_nowait()
            queue.task_done()
        finally:
            await queue.join()

    assert failures(cancel_each(run, hang_seconds=0.2)) == [("hang", "run")]


def test_a_task_that_is_being_cancelled_already_is_told():
    """The run's own cancel() came first: ours is a second one during the clean-up."""

    async def child():
        fd = acquire()
        try:
            await asyncio.sleep(30)
        finally:
            await asyncio.sleep(0)
            os.close(fd)

    async def run():
        task = asyncio.ensure_future(child())
        try:
            await asyncio.sleep(0)
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)

    result = cancel_each(run, check=check_descriptors, twice=False)
    assert ("leak", "child") not in failures(result)
    (finding,) = [finding for finding in told(result) if finding.fault == "leak" and finding.point.occurrence == 2]
    assert finding.details[0] == "told only: the task was being cancelled already"


def test_a_server_that_asyncio_loses_itself_is_no_point():
    """create_server() has a round of the loop at its end and drops the server when cancelled there."""

    async def run():
        server = await asyncio.start_server(lambda reader, writer: None, "127.0.0.1", 0)
        server.close()

    result = cancel_each(run, families=("cancel", "timeout"), check=check_descriptors)
    assert failures(result) == []
    assert {point.line for point in result.points} == {run.__code__.co_firstlineno + 1}


def test_what_the_caller_holds_while_a_server_starts_still_fails():
    """The same await, cancelled at its start: the socket made before it was the caller's to close."""

    async def run():
        fd = acquire()
        server = await asyncio.start_server(lambda reader, writer: None, "127.0.0.1", 0)
        server.close()
        os.close(fd)

    assert failures(cancel_each(run, check=check_descriptors)) == [("leak", "run")]


def test_a_task_that_outlives_the_run_without_a_fault_too_is_not_blamed_on_one():
    """One of the two is there in the counting run as well; the other only when cancelled."""

    async def forever():
        await asyncio.Event().wait()

    async def run(leaky):
        keep = asyncio.ensure_future(forever())
        more = asyncio.ensure_future(forever()) if leaky else None
        await asyncio.sleep(0)
        if more is not None:
            more.cancel()
        assert keep

    assert failures(cancel_each(lambda: run(False))) == []
    assert failures(cancel_each(lambda: run(True))) == [("leak", "run")]


def test_a_task_that_outlives_the_run_is_no_hang():
    """The run itself has ended: the time for a hang is over, however long what is left is looked at."""

    async def run():
        task = asyncio.ensure_future(asyncio.Event().wait())
        await asyncio.sleep(0)
        task.cancel()

    assert failures(cancel_each(run, hang_seconds=0.01)) == [("leak", "run")]


def test_a_shielded_release_that_ends_by_itself_is_no_leak():
    """It goes on behind the cancelled await and is over a moment later."""

    async def release(fd):
        try:
            await asyncio.sleep(0.01)
        finally:
            os.close(fd)

    async def run():
        await asyncio.shield(release(acquire()))

    assert failures(cancel_each(run, check=check_descriptors)) == []


def test_a_swallowed_cancellation_is_told():
    """With the words for how: returned, taken back, or turned into another error."""

    async def returns():
        try:
            await asyncio.sleep(0)
        except asyncio.CancelledError:
            pass

    async def raises():
        try:
            await asyncio.sleep(0)
        except asyncio.CancelledError:
            raise ConnectionError("gone") from None

    async def takes_back():
        try:
            await asyncio.sleep(0)
        except asyncio.CancelledError:
            asyncio.current_task().uncancel()

    cases = [(returns, "as if nothing had happened"), (raises, "ConnectionError: gone")]
    if sys.version_info >= (3, 11):
        cases.append((takes_back, "with uncancel()"))
    for run, words in cases:
        result = cancel_each(run)
        (finding,) = result.findings
        assert (finding.fault, finding.told) == ("swallowed", True)
        assert words in finding.what


def test_a_mistake_in_the_handler_still_fails():
    """The error that takes the place of the cancellation is one that only a mistake raises."""

    async def run():
        connection = None
        try:
            connection = await asyncio.sleep(0, "x")
        finally:
            connection.strip()

    assert failures(cancel_each(run)) == [("unrelated", "run")]


def test_a_generator_that_the_loop_closes_is_told():
    """Nothing held it but the loop statement, so the collector found it at once and asyncio closed it."""

    async def run():
        async for _ in lines():
            await asyncio.sleep(0)

    result = cancel_each(run, check=check_descriptors)
    assert failures(result) == []
    assert {"was closed by the collector only" in finding.what for finding in told(result)} == {True}


@pytest.mark.allow_leaks("task:plain", reason="the generator is left half-way on purpose")
def test_a_generator_with_nothing_to_clean_up_is_not_even_told():
    """It holds nothing: to leave it half-way is fine."""

    async def plain():
        yield 1
        yield 2

    async def run():
        source = plain()
        async for _ in source:
            await asyncio.sleep(0)

    assert cancel_each(run).findings == ()


def test_a_coroutine_that_is_never_awaited_is_told():
    """It was made before the await that was cancelled, and never started: nothing is lost with it."""

    async def work():
        pass

    async def run():
        later = work()
        await asyncio.sleep(0)
        await later

    (finding,) = cancel_each(run).findings
    assert finding.told
    assert "work was never awaited" in finding.what


def test_an_error_that_nobody_asked_for_fails():
    """The task failed after the cancellation of its parent, and its error went nowhere."""

    async def fails():
        raise ConnectionError("lost")

    async def run():
        task = asyncio.ensure_future(fails())
        await asyncio.sleep(0)
        try:
            await task
        except ConnectionError:
            pass

    result = cancel_each(run)
    assert failures(result) == [("unraisable", "run")]
    assert "ConnectionError: lost" in result.findings[0].what


@pytest.mark.parametrize("backend", ["asyncio", "trio", "anyio"])
def test_an_error_without_a_cancellation_is_raised(backend):
    """The run has to pass by itself before it is worth cancelling."""
    if backend != "asyncio":
        pytest.importorskip(backend)

    async def run():
        raise ValueError("by itself")

    with pytest.raises(ValueError, match="by itself"):
        cancel_each(run, backend=backend)
