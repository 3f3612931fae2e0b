"""What an event loop still has when its outermost coroutine has ended: tasks, and async generators half-way."""

from __future__ import annotations

import ast
import asyncio
import linecache
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from functools import lru_cache
from types import AsyncGeneratorType
from typing import Any

from pytest_leakguard.faults import await_chain
from pytest_leakguard.faults.suspensions import Stuck

WAITS = (0.0, 0.0, 0.0, 0.001, 0.002, 0.004, 0.008, 0.016, 0.032, 0.064, 0.125)
"""Seconds that the loop runs on, in turn, for what is ending already; 0 is one round of the loop."""

_FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda)
_WITHS = (ast.With, ast.AsyncWith)
# functions that wait until another gives something back
_ENTERING = frozenset({"acquire", "__aenter__", "__enter__"})
# asyncio's own that wait for tasks through a plain future
_JOINING = frozenset({"_wait", "wait_for", "_cancel_and_wait", "TaskGroup.__aexit__", "TaskGroup._aexit", "__aexit__"})


def pause(loop: asyncio.AbstractEventLoop, seconds: float) -> Iterator[Any]:
    """What a task's coroutine has to yield to sleep."""
    if not seconds:
        yield None
        return
    future = loop.create_future()
    loop.call_later(seconds, _wake, future)
    yield from future


def _wake(future: asyncio.Future[None]) -> None:
    if not future.done():
        future.set_result(None)


def spawned_tasks(loop: asyncio.AbstractEventLoop) -> list[asyncio.Task[Any]]:
    """Those that other tasks have made: the outermost ones are for whoever runs the loop."""
    return [task for task in asyncio.all_tasks(loop) if not getattr(task.get_coro(), "is_root", False)]


def describe(task: asyncio.Task[Any], *, is_target: Callable[[str], bool], path_of: Callable[[str], str]) -> Stuck:
    """A task in words."""
    coroutine = task.get_coro()
    stepped = getattr(coroutine, "stepped", coroutine)
    chain = list(await_chain.links(stepped))
    joins = _is_of_tasks(getattr(task, "_fut_waiter", None)) or (bool(chain) and chain[-1].name in _JOINING)
    return describe_coroutine(stepped, joins=joins, is_target=is_target, path_of=path_of)


def describe_coroutine(
    coroutine: object, *, joins: bool = False, is_target: Callable[[str], bool], path_of: Callable[[str], str]
) -> Stuck:
    """What a task runs, in words."""
    chain = list(await_chain.links(coroutine))
    lines = await_chain.lines(coroutine, path_of)
    place = await_chain.locate(coroutine, "", is_target=is_target, path_of=path_of)
    return Stuck(
        task=name_of(coroutine),
        at=f"{place.path}:{place.line} in {place.qualname}" if place is not None else next(iter(lines), "its start"),
        lines=lines,
        enters=any(link.name.rpartition(".")[2] in _ENTERING for link in chain),
        joins=joins,
    )


def name_of(coroutine: object) -> str:
    """The function that a coroutine runs."""
    return str(getattr(coroutine, "__qualname__", type(coroutine).__qualname__))


def _is_of_tasks(future: object) -> bool:
    return isinstance(future, asyncio.Task) or type(future).__name__ == "_GatheringFuture"


def count_open_generators(
    generators: Iterable[AsyncGeneratorType[Any, Any]],
    *,
    is_target: Callable[[str], bool],
    path_of: Callable[[str], str],
) -> Counter[str]:
    """Generators that hold something: target code, suspended inside a ``with`` or a ``try`` with a clean-up."""
    found: Counter[str] = Counter()
    for generator in generators:
        frame = generator.ag_frame
        if frame is None or generator.ag_running or not is_target(frame.f_code.co_filename):
            continue
        code = frame.f_code
        if has_cleanup(code.co_filename, code.co_firstlineno, frame.f_lineno):
            found[f"{name_of(generator)} ({path_of(code.co_filename)}:{code.co_firstlineno})"] += 1
    return found


@lru_cache(maxsize=256)
def has_cleanup(filename: str, first: int, line: int) -> bool:
    """Whether a line of the function that starts at `first` is in a block that has something to do when left.

    False when the source can't be read.
    """
    try:
        tree = ast.parse("".join(linecache.getlines(filename)))
    except (SyntaxError, ValueError):
        return False
    for node in ast.walk(tree):
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)) and _first_line(node) == first:
            return any(
                statement.lineno <= line <= (statement.end_lineno or statement.lineno)
                for block in _own_nodes(node)
                for statement in _protected(block)
            )
    return False


def _first_line(node: ast.FunctionDef | ast.AsyncFunctionDef) -> int:
    return min([node.lineno, *(decorator.lineno for decorator in node.decorator_list)])


def _own_nodes(function: ast.AST) -> Iterator[ast.AST]:
    for child in ast.iter_child_nodes(function):
        if not isinstance(child, _FUNCTIONS):
            yield child
            yield from _own_nodes(child)


def _protected(block: ast.AST) -> list[ast.stmt]:
    if isinstance(block, _WITHS):
        return block.body
    if isinstance(block, ast.Try) and (block.finalbody or block.handlers):
        return block.body
    return []
