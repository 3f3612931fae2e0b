"""What an event loop has left: its tasks in words, and async generators that are half-way through a clean-up."""

from __future__ import annotations

import asyncio
import itertools
import linecache

import pytest

from pytest_leakguard.faults import leftovers
from pytest_leakguard.faults.leftovers import (
    WAITS,
    count_open_generators,
    describe,
    describe_coroutine,
    has_cleanup,
    name_of,
    pause,
    spawned_tasks,
)

_numbers = itertools.count()


def is_target(filename: str) -> bool:
    return filename == __file__


def path_of(filename: str) -> str:
    return "t.py" if filename == __file__ else "lib.py"


def described(task):
    return describe(task, is_target=is_target, path_of=path_of)


def ran(main):
    """What a coroutine function gives, in a loop of its own; one that hangs is cancelled."""

    async def limited():
        task = asyncio.current_task()
        alarm = asyncio.get_running_loop().call_later(5, task.cancel)
        try:
            return await main()
        finally:
            alarm.cancel()

    return asyncio.run(limited())


# -- the end of a run


class Pausing:
    """Awaited as a task's coroutine would yield."""

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds

    def __await__(self):
        yield from pause(asyncio.get_running_loop(), self.seconds)


def test_the_loop_runs_on_for_a_moment():
    """A pause of no time is one round of it; of another it is that long."""

    async def run():
        rounds = []
        loop = asyncio.get_running_loop()
        loop.call_soon(rounds.append, 1)
        await Pausing(0)
        assert rounds == [1]
        before = loop.time()
        await Pausing(0.01)
        return loop.time() - before

    assert 0.009 <= ran(run) < 1
    assert list(WAITS) == sorted(WAITS)
    assert (WAITS[0], sum(WAITS) < 0.5) == (0, True)


def test_a_pause_that_is_cancelled_ends_once():
    """The loop wakes it no more."""

    async def run():
        loop, errors = asyncio.get_running_loop(), []
        loop.set_exception_handler(lambda loop, context: errors.append(context))
        with pytest.raises(asyncio.TimeoutError):
            await asyncio.wait_for(asyncio.ensure_future(paused()), 0.001)
        await Pausing(0.02)
        return errors

    async def paused():
        await Pausing(0.01)

    assert ran(run) == []


def others(loop):
    """Less the one that runs: that of a test here is no outermost one."""
    return set(spawned_tasks(loop)) - {asyncio.current_task(loop)}


class Root:
    """Stands for the coroutine of a task, as the outermost one has it."""

    def __init__(self, coroutine, is_root):
        self.coroutine, self.is_root = coroutine, is_root


def test_the_tasks_that_have_not_ended():
    """The outermost ones are for whoever runs the loop."""

    async def run():
        loop, event = asyncio.get_running_loop(), asyncio.Event()
        tasks = [loop.create_task(event.wait()) for _ in range(2)]
        await asyncio.sleep(0)
        assert others(loop) == set(tasks)
        event.set()
        await asyncio.gather(*tasks)
        assert others(loop) == set()

    ran(run)


class Outermost(asyncio.Task):
    is_root = False

    def get_coro(self):
        return Root(super().get_coro(), self.is_root)


@pytest.mark.parametrize("is_root", [True, False])
def test_an_outermost_task_is_not_spawned(is_root):
    """It says so by its coroutine."""

    async def run():
        loop, event = asyncio.get_running_loop(), asyncio.Event()
        task = Outermost(event.wait(), loop=loop)
        task.is_root = is_root
        found = others(loop)
        assert task in asyncio.all_tasks(loop)
        event.set()
        await task
        return found == set()

    assert ran(run) is is_root


# -- in words


async def waiting(event):
    await event.wait()


class Pool:
    async def acquire(self, event):
        await event.wait()

    async def __aenter__(self):
        await asyncio.Event().wait()

    async def __aexit__(self, *error):
        pass


async def taking(event):
    await Pool().acquire(event)


async def entering(event):
    async with Pool():
        pass


async def joining(event):
    await asyncio.ensure_future(waiting(event))


async def gathering(event):
    await asyncio.gather(waiting(event), waiting(event))


async def several(event):
    await asyncio.wait([asyncio.ensure_future(waiting(event))])


async def plain(event):
    await asyncio.get_running_loop().create_future()


def stuck(function, see=described):
    """What is told of a task that runs the function, when it waits."""

    async def run():
        task = asyncio.ensure_future(function(asyncio.Event()))
        for _ in range(3):
            await asyncio.sleep(0)
        told = see(task)
        await ended(*others(asyncio.get_running_loop()))
        return told

    return ran(run)


async def ended(*tasks):
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


@pytest.mark.parametrize(
    ("function", "enters", "joins"),
    [
        (waiting, False, False),
        (plain, False, False),
        (taking, True, False),
        (entering, True, False),
        (joining, False, True),
        (gathering, False, True),
        (several, False, True),
    ],
    ids=lambda value: getattr(value, "__name__", ""),
)
def test_a_task_that_waits(function, enters, joins):
    """For what another has to give back, for another task, or for something else."""
    told = stuck(function)
    assert (told.task, told.enters, told.joins) == (function.__name__, enters, joins)


def test_where_it_waits():
    """The innermost line of target code; all lines with it, innermost first."""
    told = stuck(taking)
    line = Pool.acquire.__code__.co_firstlineno + 1
    assert told.at == f"t.py:{line} in {'Pool.acquire'}"
    assert told.lines[0].startswith("lib.py:")
    assert told.lines[-1] == f"t.py:{taking.__code__.co_firstlineno + 1} in taking"
    assert len(told.lines) == 3


def test_a_task_of_other_code_waits_at_its_innermost_line():
    """One that has not begun is at its start."""
    told = stuck(waiting, lambda task: describe(task, is_target=lambda name: False, path_of=path_of))
    assert told.at == told.lines[0]
    assert told.at.startswith("lib.py:")

    async def never():
        pass

    coroutine = never()
    told = describe_coroutine(coroutine, is_target=is_target, path_of=path_of)
    assert told.at == f"t.py:{never.__code__.co_firstlineno} in {never.__qualname__}" or told.at == "its start"
    coroutine.close()
    told = describe_coroutine(coroutine, is_target=is_target, path_of=path_of)
    assert (told.at, told.lines, told.enters, told.joins) == ("its start", (), False, False)


class Stepped:
    """A task's stand-in, as a sweep makes them."""

    def __init__(self, stepped):
        self.stepped = stepped


def test_what_a_sweep_puts_before_a_coroutine_is_looked_through():
    """What is told is the user's own."""

    class Standing(asyncio.Task):
        def get_coro(self):
            return Stepped(super().get_coro())

    async def run():
        event = asyncio.Event()
        task = Standing(waiting(event), loop=asyncio.get_running_loop())
        await asyncio.sleep(0)
        told = described(task)
        event.set()
        await task
        return told

    assert ran(run).task == "waiting"


def test_the_name_of_what_a_task_runs():
    """Of its function, or of its type where it has none."""
    coroutine = taking(None)
    assert (name_of(coroutine), name_of(Stepped(None))) == ("taking", "Stepped")
    coroutine.close()


# -- generators

GENERATORS = """\
import contextlib

async def guarded():
    yield 0
    try:
        yield 1
    finally:
        pass

async def in_a_with():
    with contextlib.nullcontext():
        yield 1

async def bare():
    yield 1
"""


def generators(name: str = "/proj/app/gen.py"):
    linecache.cache[name] = (len(GENERATORS), None, GENERATORS.splitlines(keepends=True), name)
    names: dict[str, object] = {}
    exec(compile(GENERATORS, name, "exec"), names)
    return names


def advanced(generator, steps: int):
    for _ in range(steps):
        try:
            generator.asend(None).send(None)
        except StopIteration:
            pass
    return generator


def test_generators_that_hold_something():
    """Target code, suspended in a block that has something to do; equal ones are counted."""
    made, other = generators(), generators("/env/site-packages/dep/gen.py")
    at_work = made["bare"]()
    ended = made["bare"]()
    advanced(ended, 1)
    with pytest.raises(StopAsyncIteration):
        ended.asend(None).send(None)
    found = count_open_generators(
        [
            ended, advanced(made["bare"](), 1), made["guarded"](), advanced(made["guarded"](), 1), at_work,
            advanced(other["guarded"](), 2), advanced(made["guarded"](), 2), advanced(made["guarded"](), 2),
            advanced(made["in_a_with"](), 1), Running(made["guarded"].__code__),
        ],
        is_target=lambda name: name == "/proj/app/gen.py", path_of=lambda name: name.rpartition("/")[2],
    )  # fmt: skip
    assert found == {"guarded (gen.py:3)": 2, "in_a_with (gen.py:10)": 1}


class Running:
    """One that another task steps through just now: where it will stop, nobody knows."""

    ag_running = True

    def __init__(self, code):
        self.ag_frame = self
        self.f_code, self.f_lineno = code, 6


# -- which lines are in a block with a clean-up

BLOCKS = """\
def before():
    with a:
        pass

@decorated
@decorated
async def f():
    a = 1
    with a:
        b = 1
        c = (
            2,
        )
    try:
        d = 1
    except E:
        e = 1
    else:
        g = 1
    try:
        h = 1
    finally:
        i = 1
    async with a:
        j = 1
    def inner():
        with a:
            k = 1
    for x in y:
        if x:
            with a: l = 1
        m = lambda: 1
    class Inner:
        with a:
            n = 1
    return (
        o)
"""


def line_of(text: str) -> int:
    return next(number for number, line in enumerate(BLOCKS.splitlines(), 1) if text in line)


def written(text: str) -> str:
    name = f"blocks_made_up_{next(_numbers)}.py"
    linecache.cache[name] = (len(text), None, text.splitlines(keepends=True), name)
    return name


def test_the_lines_that_a_cleanup_protects():
    """Bodies of `with` and of `try`, at any depth, with all lines of their statements; not of inner functions."""
    name, first = written(BLOCKS), 5
    inside = {"b = 1", "c = (", "  2,", "d = 1", "h = 1", "j = 1", "l = 1", "n = 1"}
    outside = {"a = 1", "with a:", "e = 1", "g = 1", "i = 1", "k = 1", "m = lambda", "return (", "o)", "for x"}
    assert {text for text in inside | outside if has_cleanup(name, first, line_of(text))} == inside
    assert has_cleanup(name, 1, 3)
    assert not has_cleanup(name, 4, line_of("b = 1"))
    assert not has_cleanup(name, 1, line_of("b = 1"))
    inner = line_of("def inner")
    assert (has_cleanup(name, inner, inner + 2), has_cleanup(name, 7, 10), has_cleanup(name, 99, 99)) == (
        True, False, False,
    )  # fmt: skip


def test_a_function_is_found_anywhere_in_a_file():
    """By the line of its first decorator."""
    far = written("\n" * 400 + BLOCKS)
    assert has_cleanup(far, int("405"), 400 + line_of("b = 1"))


@pytest.mark.parametrize("text", ["def f(:\n", "x = '\0'\n", ""])
def test_where_there_is_no_source_nothing_is_protected(text):
    """It can't be told there."""
    assert not has_cleanup(written(text), 1, 1)
    assert not has_cleanup("/no/such/file.py", 1, 1)


def test_joining_functions_are_asyncios():
    """Those that wait for tasks through a plain future of their own."""

    async def run():
        first = asyncio.ensure_future(asyncio.sleep(10))
        waiter = asyncio.ensure_future(asyncio.wait_for(first, 10))
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        told = described(waiter)
        await ended(waiter, first)
        return told

    assert ran(run).joins


@pytest.mark.parametrize(
    ("name", "is_one"), [("_GatheringFuture", True), ("Future", False), ("_Zoo", False), ("zoo", False)]
)
def test_a_future_of_several_tasks_is_told_by_its_type(name, is_one):
    """It has no public one."""
    kind = type("".join(list(name)), (), {})
    assert leftovers._is_of_tasks(kind()) is is_one
