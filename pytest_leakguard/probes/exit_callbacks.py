"""What `atexit` will call. It has no list to read, and registering raises no audit event."""

from __future__ import annotations

import atexit
from collections.abc import Callable
from functools import partial
from types import CodeType, FunctionType, MethodType
from typing import Any, cast

_unregister = atexit.unregister
count: Callable[[], int] = getattr(atexit, "_ncallbacks", lambda: 0)
"""How many there are; what was unregistered may stay counted. So cheap that it can be asked in every test."""


class _Census:
    """Compared with each callback when it is to be unregistered; equal to none, so that none is."""

    def __init__(self) -> None:
        self.callbacks: list[Any] = []

    def __eq__(self, callback: object) -> bool:
        self.callbacks.append(callback)
        return False

    __hash__ = None  # type: ignore[assignment]


def callbacks() -> list[Any]:
    """All that are registered now."""
    census = _Census()
    _unregister(cast(Any, census))
    return census.callbacks


def code_of(callback: Any) -> CodeType | None:
    """What runs when it is called; None for what is no Python function. No attribute of a user's class is asked."""
    if issubclass(type(callback), partial):
        callback = callback.func
    if type(callback) is MethodType:
        callback = callback.__func__
    if type(callback) is not FunctionType:
        callback = next((vars(kind)["__call__"] for kind in type(callback).__mro__ if "__call__" in vars(kind)), None)
    return callback.__code__ if type(callback) is FunctionType else None
