"""What a trial at an await notes of itself, in asyncio and in trio: the rules of judging rest on that."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import sys

import pytest

from pytest_leakguard.faults import force
from pytest_leakguard.faults.cancel import AwaitInjector
from pytest_leakguard.faults.errors import is_injected
from pytest_leakguard.faults.suspensions import InjectedCancellation

moments: list[list[str]] = []
"""Of the last trial: the functions that the fault goes through, innermost first."""
WHERE = {"is_target": __file__.__eq__, "path_of": str}


def tried(function, *, family="cancel", what="", run=asyncio.run, around=False, mode="transient", **options):
    """What the trial at the first point shows, or at the first of the function or await of that name."""
    injector = AwaitInjector(family, **WHERE, **options)
    scoped = injector.around(function) if around else function
    with injector.count() as points, contextlib.suppress(Exception):
        run(scoped() if run is asyncio.run else scoped)
    point = next(point for point in points if point.qualname.endswith(what))
    with injector.inject(point, mode) as seen:
        moments.clear()
        seen.moment = lambda frames: moments.append([frame.f_code.co_name for frame in frames])
        with contextlib.suppress(BaseException):
            run(scoped() if run is asyncio.run else scoped)
    assert seen.injected
    return seen


async def pause():
    await asyncio.sleep(0)


async def handles():
    try:
        await asyncio.sleep(0)
    except asyncio.TimeoutError:
        pass


async def handles_and_goes_on():
    await handles()
    await pause()


async def handles_and_fails():
    await handles()
    raise asyncio.TimeoutError("mine")


@pytest.mark.parametrize(
    ("run", "what", "end"),
    [
        (pause, "pause", "timed out"),
        (handles, "handles", "returned"),
        (handles_and_goes_on, "handles", "returned"),
        (handles_and_fails, "handles", "raised"),
    ],
    ids=lambda value: getattr(value, "__name__", value),
)
def test_a_timeout_is_noted_with_its_error_and_its_end(run, what, end):
    """As what the function sees, whatever it does then; an error of its own is its own."""
    seen = tried(run, family="timeout", what=what)
    assert seen.error.startswith("TimeoutError: timed out by pytest-leakguard at timeout:")
    assert seen.end == end


def test_the_moment_comes_with_the_frames_innermost_first():
    """Those between the await and the task."""

    async def outer():
        await pause()

    tried(outer)
    (names,) = moments
    assert names[-2:] == ["pause", "outer"]


def test_the_stack_is_that_of_the_first_cancellation():
    """The second one only comes on top of it."""

    async def run():
        try:
            await pause()
        finally:
            await handles()

    seen = tried(run, mode="persistent")
    assert seen.injected == 2
    assert any(line.endswith((".pause", " pause")) for line in seen.stack), seen.stack
    assert not any("handles" in line for line in seen.stack)


def test_what_the_program_cancels_itself_is_not_ours():
    """Its errors are not marked, though a fault was injected elsewhere."""
    errors = []

    async def child():
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError as error:
            errors.append(is_injected(error))
            raise

    async def run():
        task = asyncio.ensure_future(child())
        try:
            await pause()
        finally:
            task.cancel()
            await asyncio.wait([task])

    tried(run, what="pause")
    assert errors == [False, False]


async def fails_in_its_handler():
    try:
        await asyncio.sleep(0)
    except asyncio.CancelledError:
        {}["missing"]


async def fails_later():
    with contextlib.suppress(asyncio.CancelledError):
        await asyncio.sleep(0)
    None.missing  # type: ignore[attr-defined]


async def fails_in_its_handler_on_purpose():
    try:
        await asyncio.sleep(0)
    except asyncio.CancelledError:
        raise ConnectionError from None


@pytest.mark.parametrize(
    ("run", "in_handler"),
    [(fails_in_its_handler, True), (fails_later, False), (fails_in_its_handler_on_purpose, False)],
    ids=lambda value: getattr(value, "__name__", value),
)
def test_a_mistake_in_the_handler_is_one_that_came_from_the_cancellation(run, in_handler):
    """One that comes up afterwards would come without it as well; other errors may be meant."""
    seen = tried(run)
    assert (seen.end, seen.in_handler) == ("raised", in_handler)


def woken(family, function):
    injector = AwaitInjector(family, **WHERE)
    with injector.count() as points:
        asyncio.run(function())
    return [point.what for point in points if point.what.endswith("-woken")]


async def of_its_own():
    future = asyncio.get_running_loop().create_future()
    asyncio.get_running_loop().call_soon(future.set_result, 1)
    await future


async def of_tasks():
    await asyncio.gather(pause(), pause())


async def shielded():
    await asyncio.shield(pause())


async def of_a_thread():
    await asyncio.get_running_loop().run_in_executor(None, int)


@pytest.mark.parametrize(
    ("family", "function", "expected"),
    [
        ("cancel", of_its_own, ["Future-woken"]),
        ("timeout", of_its_own, []),
        ("cancel", of_tasks, []),
        ("cancel", shielded, []),
        ("cancel", of_a_thread, []),
    ],
)
def test_only_the_result_of_a_future_of_its_own_can_be_lost_by_a_cancellation(family, function, expected):
    """A timeout that comes too late does nothing; what tasks and threads bring is theirs to look after."""
    assert woken(family, function) == expected


def test_errors_of_tasks_are_known_from_those_of_futures():
    """asyncio tells of both when nobody has asked for them."""

    async def fails():
        raise ConnectionError("of a task")

    async def run():
        task, future = asyncio.ensure_future(fails()), asyncio.get_running_loop().create_future()
        future.set_exception(ConnectionError("of a future"))
        del future
        await asyncio.wait([task])
        del task
        gc.collect()

    injector = AwaitInjector("cancel", **WHERE)
    with injector.count():
        loop = asyncio.new_event_loop()
        loop.set_exception_handler(lambda loop, context: None)
        try:
            loop.run_until_complete(run())
            gc.collect()
        finally:
            loop.close()
    assert sorted(injector.without.unretrieved) == ["ConnectionError: of a future", "ConnectionError: of a task"]
    assert injector.without.of_tasks == ["ConnectionError: of a task"]


@pytest.mark.allow_leaks("task:rows", reason="the generator is left half-way on purpose")
def test_a_generator_that_is_left_in_a_clean_up_is_noted():
    """The loop closes it afterwards, which is too late."""
    kept = []

    async def rows():
        try:
            yield 1
        finally:
            await pause()

    async def run():
        kept.append(rows())
        await kept[-1].__anext__()
        await asyncio.sleep(0)

    (name,) = tried(run, what="run").open_generators
    assert ".<locals>.rows (" in name


@pytest.mark.allow_leaks("task:waits", reason="it is left hanging on purpose")
def test_what_hangs_is_told_once_and_as_ended_by_force():
    """Its tasks are not told as left behind besides."""

    async def waits():
        with contextlib.suppress(asyncio.CancelledError):
            await asyncio.Event().wait()
        await asyncio.sleep(0.05)

    async def run():
        task = asyncio.ensure_future(waits())
        try:
            await pause()
            task.cancel()
        finally:
            await asyncio.Event().wait() if not task.cancelled() and sys.exc_info()[0] else await asyncio.wait([task])

    before = force.ends()
    seen = tried(run, what="pause", hang_seconds=0.05)
    assert {stuck.task.rpartition(".")[2] for stuck in seen.stuck} == {"run", "waits"}
    assert seen.pending == ()
    assert force.ends() == before + 1


# -- trio

trio = pytest.importorskip("trio")


async def sleeps():
    await trio.sleep(0)


async def spawns():
    async with trio.open_nursery() as nursery:
        nursery.start_soon(sleeps)


def test_a_child_of_trio_is_known_as_one():
    """With the error, the stack and the moment."""
    seen = tried(spawns, what="sleeps", run=trio.run)
    assert seen.has_loop
    assert seen.spawned
    assert seen.error == "Cancelled"
    assert seen.stack[-1].endswith("sleeps")
    assert [names[-1] for names in moments] == ["sleeps"]
    assert not tried(sleeps, run=trio.run).spawned


def test_only_what_is_in_the_scope_is_cancelled():
    """The task goes on behind it."""
    log = []
    injector = AwaitInjector("cancel", **WHERE)
    scoped = injector.around(sleeps)

    async def main():
        with contextlib.suppress(InjectedCancellation):
            await scoped()
        await trio.lowlevel.checkpoint()
        log.append("after")

    with injector.count() as points:
        trio.run(main)
    assert injector.without.end == ""
    with injector.inject(points[0]) as seen:
        trio.run(main)
    assert (seen.end, log) == ("cancelled", ["after", "after"])


def test_a_hang_of_trio_is_ended_below_all_shields():
    """Of all tasks that the run has started, however deep."""
    ended_by_itself = []

    async def waits():
        with trio.CancelScope(shield=True), trio.move_on_after(0.5) as limit:
            limit.shield = True
            await trio.sleep_forever()
        ended_by_itself.append(limit.cancelled_caught)

    async def middle():
        async with trio.open_nursery() as nursery:
            nursery.start_soon(waits)

    async def run():
        async with trio.open_nursery() as nursery:
            nursery.start_soon(middle)
            await sleeps()
            nursery.cancel_scope.cancel()

    before = force.ends()
    injector = AwaitInjector("cancel", **WHERE, hang_seconds=0.05)
    point = next(point for point in _points(injector, sleeps) if point.qualname == "sleeps")
    with injector.inject(point) as seen, contextlib.suppress(BaseException):
        trio.run(run)
    assert {stuck.task.rpartition(".")[2] for stuck in seen.stuck} == {"run", "middle", "waits"}
    assert ended_by_itself == []
    assert force.ends() == before + 1


def _points(injector, function):
    with injector.count() as points:
        trio.run(function)
    return points


async def fails_with_an_own_error():
    try:
        await trio.sleep(0)
    except trio.Cancelled:
        raise ConnectionError from None


async def fails_by_mistake_in_a_child():
    async def child():
        try:
            await trio.sleep(0)
        finally:
            {}["missing"]

    async with trio.open_nursery() as nursery:
        nursery.start_soon(child)


async def fails_beside_it():
    async def child():
        with trio.CancelScope(shield=True):
            await trio.sleep(0.01)
        raise LookupError("own")

    async with trio.open_nursery() as nursery:
        nursery.start_soon(child)
        await sleeps()


async def fails_because_of_it():
    try:
        await trio.sleep(0)
    except trio.Cancelled as error:
        cause = error
    raise TypeError from cause


@pytest.mark.parametrize(
    ("run", "what", "in_handler"),
    [
        (fails_with_an_own_error, "fails_with_an_own_error", False),
        (fails_by_mistake_in_a_child, "child", True),
        (fails_beside_it, "sleeps", False),
        (fails_because_of_it, "fails_because_of_it", True),
    ],
    ids=lambda value: getattr(value, "__name__", ""),
)
def test_a_mistake_in_a_handler_of_trio_is_one_that_came_from_the_cancellation(run, what, in_handler):
    """In groups too, and by its cause; an error that comes beside it, or is meant, is none."""
    seen = tried(run, what=what, run=trio.run, around=True)
    assert (seen.end, seen.in_handler) == ("raised", in_handler)


def test_trio_is_put_back_by_the_last_who_leaves():
    """And not at all where another has put himself in between, who goes on through ours."""
    from trio._core import _run

    before = _run.setup_runner
    injector = AwaitInjector("cancel", **WHERE)
    injector.install()
    with injector.count():
        pass
    assert _run.setup_runner is not before
    injector.uninstall()
    assert _run.setup_runner is before

    def theirs(*args, **kwargs):
        return before(*args, **kwargs)

    try:
        with injector.count():
            _run.setup_runner = theirs
        assert _run.setup_runner is theirs
    finally:
        _run.setup_runner = before


def test_behind_the_scope_the_main_task_is_cancelled():
    """The scope is left: what is cancelled in it would never arrive."""
    injector = AwaitInjector("cancel", **WHERE)
    scoped = injector.around(sleeps)

    async def main():
        await scoped()
        await sleeps()

    points = _points(injector, main)
    assert len(points) == 2
    with pytest.raises(trio.Cancelled), injector.inject(points[1]) as seen:
        trio.run(main)
    assert seen.injected == 1


def test_instruments_of_the_programs_own_stay():
    """Ours comes on top."""

    class Counts(trio.abc.Instrument):
        steps = 0

        def after_task_step(self, task):
            self.steps += 1

    counts = Counts()
    injector = AwaitInjector("cancel", **WHERE)
    with injector.count() as points:
        trio.run(sleeps, instruments=[counts])
    assert len(points) == 1
    assert counts.steps
