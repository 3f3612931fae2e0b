"""What asyncio makes of a cancellation stays asyncio's: counts, timeouts, groups, eager tasks, factories, tracers."""

from __future__ import annotations

import asyncio
import sys
from asyncio import base_events, streams

import pytest

from pytest_leakguard.faults.cancel import AwaitInjector
from pytest_leakguard.faults.cancel_each import cancel_each
from pytest_leakguard.faults.errors import comes_from_injected, is_injected

counted = pytest.mark.skipif(sys.version_info < (3, 11), reason="cancelling() came with 3.11")
INJECTOR = {"is_target": __file__.__eq__, "path_of": str}


def outcomes(result):
    return [trial.outcome for trial in result.trials]


def test_the_error_tells_that_it_was_injected_and_where():
    """The CancelledError is marked, and its text holds the point's id, which repeats it."""
    errors = []

    async def run():
        try:
            await asyncio.sleep(0)
        except asyncio.CancelledError as error:
            errors.append((is_injected(error), error.args))
            raise

    (point,) = cancel_each(run).points
    assert errors == [(True, (f"cancelled by pytest-leakguard at {point.id}",))]


def test_the_awaited_future_is_cancelled_and_not_only_abandoned():
    """As `task.cancel()` from another task does."""
    futures = []

    async def run():
        future = asyncio.get_running_loop().create_future()
        futures.append(future)
        asyncio.get_running_loop().call_later(0.001, lambda: future.done() or future.set_result(1))
        await future

    cancel_each(run)
    assert [future.cancelled() for future in futures] == [False, True, False]  # count, waiting, woken


@counted
def test_a_cancelled_task_has_one_request():
    """cancelling() is 1 in the handler, and uncancel() takes it to 0."""
    seen = []

    async def run():
        task = asyncio.current_task()
        try:
            await asyncio.sleep(0)
        finally:
            seen.append(task.cancelling())
            if task.cancelling():
                seen.append(task.uncancel())

    cancel_each(run, twice=False)
    assert seen == [0, 1, 0]


@counted
def test_a_timeout_of_the_users_own_lets_the_cancellation_pass():
    """asyncio.timeout turns only its own cancellation into a TimeoutError."""
    errors = []

    async def run():
        try:
            async with asyncio.timeout(60):
                await asyncio.sleep(0)
        except BaseException as error:
            errors.append(type(error))
            raise

    assert cancel_each(run).findings == ()
    assert errors == [asyncio.CancelledError]


@counted
def test_a_group_cancels_its_other_children_and_goes_on_raising():
    """TaskGroup: the parent is cancelled, each child too, and the error that comes out is a CancelledError."""
    ended = []

    async def child(number):
        try:
            await asyncio.sleep(0)
        except asyncio.CancelledError:
            ended.append(number)
            raise

    async def run():
        async with asyncio.TaskGroup() as group:
            group.create_task(child(1))
            group.create_task(child(2))

    result = cancel_each(run)
    assert not [finding for finding in result.findings if finding.fault != "swallowed"]
    assert result.points[0].what == "TaskGroup.__aexit__"
    assert ended[:2] == [1, 2]


def test_a_timeout_reaches_the_target_alone():
    """What lies below the await is cancelled; the function that awaits gets a TimeoutError made from that."""
    log = []

    class Library:
        """Not target code: it is compiled with a file name of its own."""

    source = """
import asyncio
async def fetch(log):
    try:
        await asyncio.sleep(0)
    except BaseException as error:
        log.append(type(error))
        await asyncio.sleep(0)  # a clean-up that takes time
        raise
"""
    names = {}
    exec(compile(source, "/elsewhere/site-packages/library.py", "exec"), names)
    Library.fetch = staticmethod(names["fetch"])

    async def run():
        try:
            await Library.fetch(log)
        except asyncio.TimeoutError as error:
            log.append((type(error), type(error.__cause__), is_injected(error)))
            if sys.version_info >= (3, 11):
                log.append(asyncio.current_task().cancelling())
            await asyncio.sleep(0)  # the task goes on

    result = cancel_each(run, families=("timeout",))
    assert outcomes(result)[0] == "passed"
    expected = [asyncio.CancelledError, (asyncio.TimeoutError, asyncio.CancelledError, True)]
    assert log[:2] == expected
    if sys.version_info >= (3, 11):
        assert log[2] == 0


def test_a_timeout_that_is_swallowed_below_is_withdrawn():
    """The await gives a value after all: no TimeoutError, no request is left on the task, a later one stays."""
    counts = []

    async def below():
        try:
            await asyncio.sleep(0)
        except asyncio.CancelledError:
            return "value"

    injector = AwaitInjector("timeout", is_target=lambda name: name == "/target.py", path_of=str)
    names = {"below": below, "asyncio": asyncio, "counts": counts, "sys": sys}
    source = """
async def run():
    value = await below()
    await asyncio.sleep(0)
    counts.append(asyncio.current_task().cancelling() if sys.version_info >= (3, 11) else 0)
    asyncio.current_task().cancel()
    try:
        await asyncio.sleep(0)
    except asyncio.CancelledError:
        await asyncio.sleep(0)
    counts.append(asyncio.current_task().cancelling() if sys.version_info >= (3, 11) else 1)
    return value
"""
    exec(compile(source, "/target.py", "exec"), names)
    with injector.count() as points:
        asyncio.run(names["run"]())
    with injector.inject(points[0]) as seen:
        assert asyncio.run(names["run"]()) == "value"
    assert seen.injected == 1
    assert counts == [0, 1, 0, 1]


def test_the_users_tracer_is_back_after_a_timeout():
    """Tracing one frame takes the tracer's place for one step; then it is there again, on the thread and the frame."""
    events = []

    def tracer(frame, event, arg):
        if frame.f_code.co_name == "traced":
            events.append(event)
        return tracer

    async def traced():
        try:
            await asyncio.sleep(0)
        except asyncio.TimeoutError:
            pass

    async def run():
        await asyncio.sleep(0)
        await traced()

    original = sys.gettrace()
    sys.settrace(tracer)
    try:
        result = cancel_each(run, families=("timeout",))
        after = sys.gettrace()
    finally:
        sys.settrace(original)
    assert after is tracer
    assert events
    assert len(result.trials) == 2


def test_the_injected_error_comes_out_of_the_run():
    """As it is, or on 3.10 as the context of the one that the task makes of it."""
    injector = AwaitInjector("cancel", **INJECTOR)

    async def run():
        await asyncio.sleep(0)

    with injector.count() as points:
        asyncio.run(run())
    with pytest.raises(asyncio.CancelledError) as caught, injector.inject(points[0]) as seen:
        asyncio.run(run())
    assert comes_from_injected(caught.value)
    assert seen.error == f"CancelledError: cancelled by pytest-leakguard at {points[0].id}"
    assert seen.injected == 1
    assert seen.stack[-1].endswith(".run")


@pytest.mark.skipif(sys.version_info < (3, 12), reason="eager tasks came with 3.12")
def test_eager_tasks_are_cancelled_where_they_first_suspend():
    """Their first step runs inside create_task; what is a suspension there is a point like any other."""

    def eager_loop():
        loop = asyncio.new_event_loop()
        loop.set_task_factory(asyncio.eager_task_factory)
        return loop

    ended = []

    async def child():
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        ended.append("child")

    async def no_suspension():
        ended.append("at once")

    async def run():
        task = asyncio.create_task(child())
        await asyncio.create_task(no_suspension())
        await task

    result = cancel_each(run, loop_factory=eager_loop, twice=False)
    assert [(point.qualname.rpartition(".")[2], point.what) for point in result.points] == [
        ("child", "sleep"),
        ("run", "Task"),
        ("child", "sleep"),
    ]
    assert outcomes(result) == ["raised"] * 3
    assert ended == ["at once", "child", "at once", "at once", "at once"]
    assert not [finding for finding in result.findings if not finding.told]


def test_the_users_task_factory_is_called():
    """Its own tasks run through it; loops and factories come from the caller."""
    made = []

    def loop_factory():
        loop = asyncio.new_event_loop()
        loop.set_task_factory(
            lambda loop, coro, **options: made.append(coro) or asyncio.Task(coro, loop=loop, **options)
        )
        return loop

    async def run():
        await asyncio.create_task(asyncio.sleep(0))

    result = cancel_each(run, loop_factory=loop_factory)
    assert len(result.trials) == 1
    assert len(made) >= 4


def test_a_task_looks_like_itself_from_outside():
    """Its text, its coroutine's frame and its stack are those of what it runs."""
    seen = []

    async def child():
        await asyncio.sleep(0)

    async def run():
        task = asyncio.create_task(child(), name="named")
        await asyncio.sleep(0)
        seen.append((repr(task), task.get_coro().cr_frame is None, [f.f_code.co_name for f in task.get_stack()]))
        await task

    injector = AwaitInjector("cancel", **INJECTOR)
    with injector.count():
        asyncio.run(run())
    ((text, no_frame, stack),) = seen
    assert "name='named'" in text
    assert ".child() running at" in text
    assert not no_frame
    assert stack == ["child"]


def test_everything_is_put_back():
    """After a count or a trial, asyncio's classes are as they were, though the block raised."""
    watched = [(base_events.BaseEventLoop, "create_task"), (base_events.BaseEventLoop, "call_exception_handler"),
               (base_events.BaseEventLoop, "create_server"), (streams.StreamReader, "read")]  # fmt: skip
    before = [vars(place)[name] for place, name in watched]
    injector = AwaitInjector("cancel", **INJECTOR)
    with injector.count():
        assert not set(before) & {vars(place)[name] for place, name in watched}
    assert [vars(place)[name] for place, name in watched] == before
    with pytest.raises(ValueError, match="stop"), injector.count():
        raise ValueError("stop")
    assert [vars(place)[name] for place, name in watched] == before


def test_a_task_from_before_is_cancelled_while_installed():
    """A runner's long-lived task, made earlier, is reached when the injector was installed by then."""
    injector = AwaitInjector("cancel", **INJECTOR)
    injector.install()
    loop = asyncio.new_event_loop()
    try:
        log = []

        async def serve(queue):
            while True:
                job = await queue.get()
                if job is None:
                    return
                try:
                    await job()
                except asyncio.CancelledError as error:
                    log.append(is_injected(error))

        async def job():
            await asyncio.sleep(0)

        queue = asyncio.Queue()
        task = loop.create_task(serve(queue))
        loop.run_until_complete(asyncio.sleep(0))
        with injector.count() as points:
            queue.put_nowait(job)
            loop.run_until_complete(asyncio.sleep(0.01))
        (point,) = [point for point in points if point.qualname.endswith("job")]
        with injector.inject(point) as seen:
            queue.put_nowait(job)
            loop.run_until_complete(asyncio.sleep(0.01))
        assert seen.injected == 1
        assert log == [True]
        queue.put_nowait(None)
        loop.run_until_complete(task)
    finally:
        loop.close()
        injector.uninstall()


def test_a_run_that_will_not_end_is_ended_by_force():
    """A loop that swallows each cancellation is told with its stack, and the sweep goes on."""

    async def run():
        while True:
            try:
                await asyncio.sleep(0)
                return
            except asyncio.CancelledError:
                await stubborn()

    async def stubborn():
        while True:
            try:
                await asyncio.Event().wait()
            except asyncio.CancelledError:
                continue

    result = cancel_each(run, hang_seconds=0.1, twice=False)
    assert outcomes(result) == ["hung"]
    (finding,) = result.findings
    assert any(
        "in test_a_run_that_will_not_end_is_ended_by_force.<locals>.stubborn" in line for line in finding.details
    )


def test_it_refuses_to_run_inside_a_loop():
    """Two loops in one thread can't run."""

    async def run():
        with pytest.raises(RuntimeError, match="call it from a plain function"):
            cancel_each(run)

    asyncio.run(run())


def test_a_timeout_is_for_asyncio():
    """Elsewhere a timeout is a cancellation, and asking for the family is a mistake."""
    with pytest.raises(ValueError, match="'timeout' is for the backend 'asyncio'"):
        cancel_each(lambda: None, backend="trio", families=("timeout",))
