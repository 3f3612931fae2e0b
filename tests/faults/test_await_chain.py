"""Where a suspended coroutine waits is read from its chain of awaits, through all that Python puts in between."""

from __future__ import annotations

import asyncio
import functools
import json
import os
import sys
import types

import pytest_leakguard
from pytest_leakguard.faults import await_chain
from pytest_leakguard.faults.leftovers import has_cleanup


@types.coroutine
def give_control_away():
    yield


async def inner():
    await give_control_away()


async def generator():
    await inner()
    yield


class Wrapped:
    def __await__(self):
        return inner().__await__()


def suspended(coroutine):
    """The names of its chain, outermost first."""
    coroutine.send(None)
    names = [link.name for link in await_chain.links(coroutine)]
    coroutine.close()
    return names


async def through_for():
    async for _ in generator():
        pass


async def through_anext():
    await anext(generator(), None)


async def through_await():
    await Wrapped()


async def through_exit():
    class Manager:
        async def __aenter__(self):
            pass

        async def __aexit__(self, *error):
            await inner()

    async with Manager():
        pass


def test_the_chain_goes_through_generators_and_go_betweens():
    """`async for`, `anext` with a default, `__await__` and `async with` hide nothing."""
    assert suspended(through_for()) == ["through_for", "generator", "inner", "give_control_away"]
    assert suspended(through_anext()) == ["through_anext", "generator", "inner", "give_control_away"]
    assert suspended(through_await()) == ["through_await", "inner", "give_control_away"]
    assert suspended(through_exit()) == [
        "through_exit",
        "through_exit.<locals>.Manager.__aexit__",
        "inner",
        "give_control_away",
    ]


def test_the_place_is_the_innermost_target():
    """Its line is that of the await; what it awaits is the next function of the chain."""
    coroutine = through_for()
    coroutine.send(None)
    place = await_chain.locate(coroutine, "Future", is_target=__file__.__eq__, path_of=lambda name: "t.py")
    assert place is not None
    assert (place.qualname, place.what, place.within) == ("give_control_away", "Future", ())
    assert place.stack[0] == f"t.py:{place.line} in give_control_away"
    assert place.stack[-1].endswith("in through_for")
    assert await_chain.locate(coroutine, "", is_target=lambda name: False, path_of=str) is None
    coroutine.close()


def test_a_decorated_function_has_its_own_name():
    """functools.wraps renames the coroutine; the code knows better where Python keeps it."""

    def decorate(function):
        @functools.wraps(function)
        async def around():
            await function()

        return around

    names = suspended(decorate(inner)())
    assert names[1:] == ["inner", "give_control_away"]
    assert names[0].endswith("around") or names[0] == "inner"  # 3.10 has only the name of the object


def test_a_finished_coroutine_has_no_chain():
    """There is no frame any more."""

    async def run():
        pass

    coroutine = run()
    asyncio.run(coroutine)
    assert list(await_chain.links(coroutine)) == []


OURS = os.path.join(os.path.dirname(pytest_leakguard.__file__), "made_up.py")
FILES = (
    "/proj/app/a.py",
    "/proj/app/b.py",
    "/env/site-packages/dep/c.py",
    OURS,
    json.__file__,
    "/env/site-packages/pluggy/e.py",
)


def through(*files: str):
    """A coroutine that awaits one of the next file, and so on; each is called after its place, and it is suspended."""
    awaited = give_control_away
    for number, file in reversed([*enumerate(files)]):
        names = {"awaited": awaited}
        exec(compile(f"async def f{number}():\n    await awaited()\n", file, "exec"), names)
        awaited = names[f"f{number}"]
    coroutine = awaited()
    coroutine.send(None)
    return coroutine


def test_the_innermost_target_of_a_chain():
    """Wherever it stands in it; a chain without one has none."""
    coroutine = through(*FILES[:3])
    chain = list(await_chain.links(coroutine))
    assert [await_chain.innermost_target(chain, file.__eq__) for file in (*FILES[:3], "x.py")] == [0, 1, 2, None]
    assert await_chain.innermost_target([], lambda name: True) is None
    assert await_chain.innermost_target(chain, lambda name: name in FILES[:2]) == 1
    coroutine.close()


def test_what_lies_below_the_target():
    """The first function below is what it awaits; all of them are told, outermost first."""
    coroutine = through(*FILES)
    for index in range(len(FILES) - 1):
        place = await_chain.locate(coroutine, "Future", is_target=FILES[index].__eq__, path_of=os.path.basename)
        assert (place.path, place.qualname, place.line) == (os.path.basename(FILES[index]), f"f{index}", 2)
        assert place.what == f"f{index + 1}"
        below = [(file, f"f{number}") for number, file in enumerate(FILES) if number > index]
        assert place.within == (*below, (__file__, "give_control_away"))
        assert len(place.stack) == len(FILES) + 1
    coroutine.close()


def test_our_own_lines_are_left_out():
    """Whatever of ours stands in a chain; the others are told, innermost first."""
    coroutine = through(*FILES)
    told = await_chain.lines(coroutine, lambda file: str(FILES.index(file)) if file in FILES else "here")
    assert told[0].startswith("here:")
    assert told[1:] == ("5:2 in f5", "4:2 in f4", "2:2 in f2", "1:2 in f1", "0:2 in f0")
    coroutine.close()


def test_only_one_of_ours_that_stands_for_another_has_its_name():
    """The name of any other is that of its code, where Python keeps it."""
    names = []
    for file in FILES:
        coroutine = through(file)
        coroutine.__qualname__ = "stands.for"
        names.append(next(await_chain.links(coroutine)).name)
        coroutine.close()
    assert names[FILES.index(OURS)] == "stands.for"
    if sys.version_info >= (3, 11):
        assert names == ["f0", "f0", "f0", "stands.for", "f0", "f0"]


async def plain_then_guarded():
    yield 0
    try:
        yield 1

        async def not_its_own():
            with open(__file__):
                pass

    finally:
        yield 2
    with open(__file__):
        yield 3


def test_a_line_inside_a_block_with_a_cleanup_is_told():
    """The body of `try` and `with`, not what stands before them and not the `finally` itself."""
    code = plain_then_guarded.__code__
    first = code.co_firstlineno
    assert [has_cleanup(__file__, first, first + offset) for offset in (1, 3, 10, 12)] == [False, True, False, True]
    assert not has_cleanup("/no/such/file.py", 1, 1)
