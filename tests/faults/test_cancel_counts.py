"""Pass 0 counts what really suspends: coroutines with a known number of suspensions prove it."""

from __future__ import annotations

import asyncio
import random

import pytest

from pytest_leakguard.faults.cancel import AwaitInjector
from pytest_leakguard.faults.cancel_each import cancel_each
from pytest_leakguard.faults.model import FaultPoint


async def nothing():
    """An await that does not suspend."""


async def pause():
    await asyncio.sleep(0)


async def numbers(count):
    for number in range(count):
        await asyncio.sleep(0)
        yield number


def grow(rng: random.Random, depth: int):
    """A coroutine function, how often it suspends, and how often a future of its own has brought it back."""
    steps, waits, woken = [], 0, 0
    for _ in range(rng.randrange(1, 4)):
        kind = rng.choice(("sleep", "timer", "future", "nothing", "nested", "task", "generator"))
        if kind in ("nested", "task") and depth:
            inner, inner_waits, inner_woken = grow(rng, depth - 1)
            steps.append((kind, inner))
            waits, woken = waits + inner_waits + (kind == "task"), woken + inner_woken
        elif kind == "generator":
            count = rng.randrange(3)
            steps.append((kind, count))
            waits += count
        elif kind in ("sleep", "timer", "future", "nothing"):
            steps.append((kind, None))
            waits, woken = waits + (kind != "nothing"), woken + (kind == "future")

    async def run():
        loop = asyncio.get_running_loop()
        for kind, what in steps:
            if kind == "sleep":
                await pause()
            elif kind == "timer":
                await asyncio.sleep(0.0001)
            elif kind == "future":
                future = loop.create_future()
                loop.call_soon(lambda future=future: future.done() or future.set_result(1))
                await future
            elif kind == "nothing":
                await nothing()
            elif kind == "nested":
                await what()
            elif kind == "task":
                await loop.create_task(what())
            else:
                async for _ in numbers(what):
                    await nothing()

    return run, waits, woken


@pytest.mark.parametrize("seed", range(12))
def test_as_many_points_as_suspensions_and_each_is_cancelled_once(seed):
    """Waits, and futures that brought their result; no point twice, none that is not reached, none unclean."""
    run, waits, woken = grow(random.Random(seed), 3)
    result = cancel_each(run, twice=False)
    assert len(result.points) == waits + woken
    assert len({point.id for point in result.points}) == len(result.points)
    assert [trial.point.id for trial in result.trials] == [point.id for point in result.points]
    assert {trial.outcome for trial in result.trials} <= {"raised"}
    assert result.findings == ()


@pytest.mark.parametrize("seed", range(4))
def test_the_cancellation_arrives_at_the_point_and_nowhere_else(seed):
    """Of all trials, each logs exactly the steps before its own point."""
    rng = random.Random(seed)
    steps = [rng.choice((0, 0.0001)) for _ in range(5)]
    logs: list[list[int]] = []

    async def run():
        logs.append([])
        for number, seconds in enumerate(steps):
            await asyncio.sleep(seconds)
            logs[-1].append(number)

    cancel_each(run, twice=False)
    assert logs == [[0, 1, 2, 3, 4], *(list(range(number)) for number in range(5))]


def test_a_point_is_named_by_path_function_and_what_is_awaited(tmp_path):
    """`FAMILY:PATH:QUALNAME:WHAT#N`, relative to the root, with the line beside it."""

    class Client:
        async def fetch(self):
            await asyncio.sleep(0)
            await asyncio.sleep(0)
            await asyncio.gather(asyncio.sleep(0))
            await asyncio.get_running_loop().create_task(pause())

    result = cancel_each(lambda: Client().fetch(), root=str(tmp_path))
    place = f"{__file__}:test_a_point_is_named_by_path_function_and_what_is_awaited.<locals>.Client.fetch"
    ids = [point.id for point in result.points]
    assert ids[:3] == [f"cancel:{place}:sleep#1", f"cancel:{place}:sleep#2", f"cancel:{place}:GatheringFuture#1"]
    assert result.points[0].line == Client.fetch.__code__.co_firstlineno + 1
    assert any(point.id.endswith(":Task#1") for point in result.points)
    assert all(FaultPoint.parse(text).id == text for text in ids)


def test_only_suspensions_of_target_code_count():
    """A chain without a target frame is nobody's point; one with it is that of its innermost target frame."""

    async def run():
        await pause()
        await asyncio.create_task(asyncio.sleep(0))

    injector = AwaitInjector("cancel", is_target=lambda name: False, path_of=str)
    with injector.count() as points:
        asyncio.run(run())
    assert points == []
    injector = AwaitInjector("cancel", is_target=__file__.__eq__, path_of=str)
    with injector.count() as points:
        asyncio.run(run())
    assert [(point.qualname.rpartition(".")[2], point.what) for point in points] == [
        ("pause", "sleep"),
        ("run", "Task"),
    ]
    assert [injector.suspensions[point.id].spawned for point in points] == [False, False]


def test_a_point_that_the_run_never_comes_to_is_told():
    """Nothing is injected, and the injection says so."""

    async def run():
        await pause()

    injector = AwaitInjector("cancel", is_target=__file__.__eq__, path_of=str)
    point = FaultPoint(family="cancel", path=__file__, qualname="pause", what="sleep", occurrence=2)
    with injector.inject(point) as seen:
        asyncio.run(run())
    assert seen.injected == 0
    assert seen.findings(point) == ()


def test_input_that_is_there_already_is_a_suspension_all_the_same():
    """Whether a socket's data is there decides the peer; the cancellation must be survived both ways."""
    import socket

    async def run():
        left, right = socket.socketpair()
        with left, right:
            right.setblocking(False)
            left.sendall(b"x")
            assert await asyncio.get_running_loop().sock_recv(right, 1) == b"x"

    (point,) = cancel_each(run).points
    assert point.what.endswith("sock_recv")
