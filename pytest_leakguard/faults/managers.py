"""What a sweep has to know of a callable or a context manager: whether it is async, where its code is, how it runs."""

from __future__ import annotations

import sys
from collections.abc import Awaitable, Callable
from typing import Any, Literal, TypeVar

from pytest_leakguard.origins import frames

T = TypeVar("T")
Backend = Literal["asyncio", "anyio", "trio"]
"""``anyio`` is asyncio with anyio's level-triggered cancellation, like trio's."""


def is_async_manager(value: object) -> bool:
    """Whether it goes with ``async with``; what goes with both is often sync only to say no."""
    return hasattr(type(value), "__aenter__") and hasattr(type(value), "__aexit__")


def is_manager(value: object) -> bool:
    """Whether it goes with ``with``."""
    return hasattr(type(value), "__enter__") and hasattr(type(value), "__exit__")


def run_in_loop(function: Callable[[], Awaitable[T]], backend: Backend = "asyncio") -> T:
    """Run a coroutine function in a fresh event loop.

    Raises:
        RuntimeError: a loop runs in this thread already.
        Whatever the coroutine raises.
    """
    if backend == "trio":
        import trio

        result: T = trio.run(function)
        return result
    if backend == "anyio":
        import anyio

        return anyio.run(function)
    import asyncio

    async def main() -> T:
        return await function()

    if asyncio._get_running_loop() is not None:
        raise RuntimeError("this runs event loops of its own: call it from a plain function, not from a coroutine")
    return asyncio.run(main())


def files_of(*values: Any) -> frozenset[str]:
    """The files that hold the code of functions, classes and objects; those of the standard library are left out."""
    found = set()
    for value in values:
        generator = getattr(value, "gen", None)  # of contextlib's managers
        code = (
            getattr(generator, "gi_code", None)
            or getattr(generator, "ag_code", None)
            or getattr(getattr(value, "__func__", value), "__code__", None)
        )
        if code is not None:
            found.add(code.co_filename)
            continue
        kind = value if isinstance(value, type) else type(value)
        found.add(str(getattr(sys.modules.get(kind.__module__), "__file__", None) or ""))
    return frozenset(file for file in found if file and frames.region(file) not in ("stdlib", "runner"))
