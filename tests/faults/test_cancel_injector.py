"""The injector as others use it: it acts between its beginning and its end, and nowhere else."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from asyncio import base_events

import pytest

from pytest_leakguard.faults.cancel import AwaitInjector
from pytest_leakguard.faults.suspensions import InjectedCancellation

WHERE = {"is_target": __file__.__eq__, "path_of": str}


async def pause():
    await asyncio.sleep(0)


def point_of(injector, function, number=0):
    """A point of one run, after the count."""
    with injector.count() as points:
        asyncio.run(function())
    return points[number]


def test_what_was_installed_is_taken_out_again():
    """Also when a run was counted meanwhile."""
    before = vars(base_events.BaseEventLoop)["create_task"]
    injector = AwaitInjector("cancel", **WHERE)
    injector.install()
    point_of(injector, pause)
    assert vars(base_events.BaseEventLoop)["create_task"] is not before
    injector.uninstall()
    assert vars(base_events.BaseEventLoop)["create_task"] is before


def test_after_the_block_nothing_is_counted_or_cancelled():
    """Though it stays installed: tests that are not swept go on as ever."""
    injector = AwaitInjector("cancel", **WHERE)
    injector.install()
    try:
        with injector.count() as points:
            asyncio.run(pause())
        asyncio.run(pause())
        assert len(points) == 1
        with pytest.raises(asyncio.CancelledError), injector.inject(points[0]):
            asyncio.run(pause())
        asyncio.run(pause())
    finally:
        injector.uninstall()


@pytest.mark.parametrize(("mode", "times"), [("transient", 1), ("persistent", 2)])
def test_a_loop_that_lives_on_is_not_ended_as_a_hang(mode, times):
    """The time for a hang ends with the trial: what else runs in that loop is not its business."""

    async def bear():
        for _ in range(2):
            with contextlib.suppress(asyncio.CancelledError):
                await pause()

    injector = AwaitInjector("cancel", **WHERE, hang_seconds=0.05)
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    try:
        server = asyncio.run_coroutine_threadsafe(asyncio.sleep(60), loop)
        with injector.count() as points:
            asyncio.run_coroutine_threadsafe(bear(), loop).result()
        with injector.inject(points[0], mode) as seen:
            asyncio.run_coroutine_threadsafe(bear(), loop).result()
        assert seen.injected == times
        asyncio.run_coroutine_threadsafe(asyncio.sleep(0.1), loop).result()
        assert not server.done()
        assert seen.stuck == ()
        server.cancel()
    finally:
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()


async def slow_cleanup():
    try:
        await asyncio.sleep(0.03)
    finally:
        await asyncio.sleep(0.1)


def test_what_takes_long_without_a_fault_may_take_long_with_one():
    """The limit for a hang grows with the time that the count took."""
    injector = AwaitInjector("cancel", **WHERE, hang_seconds=0.01)
    point = point_of(injector, slow_cleanup)
    with pytest.raises(asyncio.CancelledError), injector.inject(point) as seen:
        asyncio.run(slow_cleanup())
    assert seen.stuck == ()
    assert seen.end == "cancelled"


@pytest.mark.parametrize(("again", "expected"), [(0, []), (1, []), (2, [1]), (3, [1, 2])])
def test_the_second_cancellation_comes_at_the_suspension_that_was_asked_for(again, expected):
    """The first one after the fault where nothing else is said."""
    log = []

    async def run():
        try:
            await pause()
        finally:
            for number in (1, 2):
                await pause()
                log.append(number)

    injector = AwaitInjector("cancel", **WHERE)
    point = point_of(injector, run)
    log.clear()
    with pytest.raises(asyncio.CancelledError), injector.inject(point, "persistent", again=again) as seen:
        asyncio.run(run())
    assert log == expected
    assert seen.injected == (1 if again == 3 else 2)


@pytest.mark.allow_leaks("task:ticking", reason="it stays on purpose")
def test_tasks_that_stay_anyhow_are_not_waited_for():
    """They were there at the end of the count as well; only what is new gets a moment to end by itself."""
    ticks = []

    async def ticking():
        while True:
            await asyncio.sleep(0.005)
            ticks.append(1)

    async def run():
        task = asyncio.ensure_future(ticking())
        await pause()
        assert task

    injector = AwaitInjector("cancel", **WHERE)
    point = point_of(injector, run)
    waited = len(ticks)
    ticks.clear()
    with pytest.raises(asyncio.CancelledError), injector.inject(point) as seen:
        asyncio.run(run())
    assert [stuck.task.rpartition(".")[2] for stuck in seen.pending] == ["ticking"]
    assert waited > 2
    assert len(ticks) <= 1


def test_whether_there_was_a_loop_is_known():
    """A test without one has nothing to cancel."""
    injector = AwaitInjector("cancel", **WHERE)
    with injector.count():
        pass
    assert not injector.without.has_loop
    point_of(injector, pause)
    assert injector.without.has_loop


@pytest.mark.allow_leaks("task:ticking", reason="it stays on purpose")
@pytest.mark.parametrize("error", [KeyboardInterrupt, SystemExit])
def test_the_end_of_the_program_is_not_put_off(error):
    """No moment is given to tasks that are left: the user wants out."""
    ticks = []

    async def ticking():
        while True:
            await asyncio.sleep(0.005)
            ticks.append(1)

    async def run():
        task = asyncio.ensure_future(ticking())
        await pause()
        assert task
        raise error

    with pytest.raises(error), AwaitInjector("cancel", **WHERE).count():
        asyncio.run(run())
    assert len(ticks) <= 1


def test_a_task_whose_future_brings_no_result_is_not_woken_there():
    """Its future is done, but brought nothing; nor one that brought an error."""

    async def child(future):
        await future

    async def run():
        futures = [asyncio.get_running_loop().create_future() for _ in range(2)]
        tasks = [asyncio.ensure_future(child(future)) for future in futures]
        await pause()
        tasks[0].cancel()
        futures[1].set_exception(ValueError())
        await asyncio.gather(*tasks, return_exceptions=True)

    injector = AwaitInjector("cancel", **WHERE)
    with injector.count() as points:
        asyncio.run(run())
    assert [point.what for point in points if point.qualname.endswith("child")] == ["Future"] * 2


# -- in a scope


def test_after_the_scoped_function_the_task_itself_is_cancelled():
    """The scope is left by then: what is cancelled in it would never arrive."""
    pytest.importorskip("anyio")
    injector = AwaitInjector("cancel", **WHERE)
    scoped = injector.around(pause, level=True)

    async def run():
        await scoped()
        await asyncio.sleep(0)

    point = point_of(injector, run, 1)
    assert point.qualname.endswith("run")
    with pytest.raises(asyncio.CancelledError), injector.inject(point) as seen:
        asyncio.run(run())
    assert seen.end == "cancelled"


def test_trio_has_no_timeouts_of_a_task():
    """There a timeout is a scope that is cancelled: the family has no points."""
    trio = pytest.importorskip("trio")

    async def run():
        await trio.sleep(0)

    with AwaitInjector("timeout", **WHERE).count() as points:
        trio.run(run)
    assert points == []


def test_a_scoped_function_is_its_own_after_the_trial():
    """What a later call shows is no news of the trial."""
    trio = pytest.importorskip("trio")

    async def run():
        await trio.sleep(0)

    injector = AwaitInjector("cancel", **WHERE)
    scoped = injector.around(run)
    with injector.count() as points:
        trio.run(scoped)
    with pytest.raises(InjectedCancellation), injector.inject(points[0]) as seen:
        trio.run(scoped)
    before = (seen.end, seen.injected)
    trio.run(scoped)
    assert (seen.end, seen.injected) == before == ("cancelled", 1)


def test_a_trio_run_from_before_is_reached_while_installed():
    """A portal's loop, for all tests of a module; and only inside of the block."""
    pytest.importorskip("trio")
    anyio = pytest.importorskip("anyio.from_thread")

    async def run():
        import trio

        await trio.sleep(0)

    injector = AwaitInjector("cancel", **WHERE)
    injector.install()
    try:
        with anyio.start_blocking_portal("trio") as portal:
            with injector.count() as points:
                portal.call(run)
            portal.call(run)
        assert [point.what for point in points] == ["sleep"]
    finally:
        injector.uninstall()
