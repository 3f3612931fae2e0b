"""Calls something and goes through what it gives: as a caller does who gives everything back."""

from __future__ import annotations

import inspect
from collections.abc import Sequence
from typing import Any

from pytest_leakguard.faults.managers import Backend, is_async_manager, is_manager, run_in_loop


def call(subject: Any, arguments: Sequence[Any], backend: Backend = "asyncio") -> None:
    """Call a function or class, or take a context manager as it is, and use up what comes of it.

    A coroutine is awaited in a fresh loop, a context manager entered and left, a generator
    run to its end, and what has a ``close`` is closed.

    Raises: whatever it raises.
    """
    value = subject(*arguments) if callable(subject) else subject
    if inspect.isawaitable(value) or is_async_manager(value) or inspect.isasyncgen(value):
        run_in_loop(lambda: _use_in_loop(value), backend)
    else:
        _use(value)


def _use(value: Any) -> None:
    if is_manager(value):
        with value:
            pass
    elif inspect.isgenerator(value):
        for _ in value:
            pass
    elif not inspect.isclass(value) and callable(getattr(value, "close", None)):
        value.close()


async def _use_in_loop(value: Any) -> None:
    if is_async_manager(value):
        async with value:
            pass
    elif inspect.isasyncgen(value):
        async for _ in value:
            pass
    else:
        result = await value
        if is_async_manager(result):
            async with result:
                pass
        else:
            _use(result)
