"""Which errors `inject_error` raises: names and types as the user gives them -> error types."""

from __future__ import annotations

import builtins
import importlib
import re
from collections.abc import Iterable
from typing import Any

import pytest

from pytest_leakguard.core.allow import near

DEFAULT_NAMES = ("Exception", "KeyboardInterrupt", "SystemExit", "GeneratorExit", "CancelledError", "MemoryError")
ALLOWED = "error types, or their names: KeyboardInterrupt, CancelledError, mypackage.errors.Refused"

_ELSEWHERE = {"CancelledError": "asyncio.CancelledError"}
_BUILTIN = tuple(
    name for name, value in vars(builtins).items() if isinstance(value, type) and issubclass(value, BaseException)
)


def names_in(text: str, source: str) -> tuple[str, ...]:
    """The names in a list, nothing imported yet. Raises pytest.UsageError."""
    names = tuple(word for word in re.split(r"[,\s]+", text) if word)
    for name in names:
        if "." not in name and name not in (*_BUILTIN, *_ELSEWHERE):
            known = (*DEFAULT_NAMES, *_BUILTIN)
            raise pytest.UsageError(f"{source}: unknown error {name!r}{near(name, known)}\nAllowed: {ALLOWED}.")
    return names


def types_of(given: object, source: str) -> tuple[type[BaseException], ...]:
    """The error types that are asked for.

    Args:
        given: a list of names as one string, or names and types.
    Raises: pytest.UsageError: none given, an unknown one, or one that can't be made of a message alone.
    """
    each: Iterable[object] = [given] if isinstance(given, (str, type)) else given  # type: ignore[assignment]
    if not isinstance(each, (list, tuple, set, frozenset)):
        raise pytest.UsageError(f"{source}: errors is {given!r}.\nAllowed: {ALLOWED}.")
    found: list[type[BaseException]] = []
    for one in each:
        kinds = [_found(name, source) for name in names_in(one, source)] if isinstance(one, str) else [one]
        for kind in kinds:
            if kind not in found:
                found.append(_checked(kind, source))
    if not found:
        raise pytest.UsageError(f"{source}: no error given.\nAllowed: {ALLOWED}.")
    return tuple(found)


def _found(name: str, source: str) -> Any:
    module, dot, attribute = _ELSEWHERE.get(name, name).rpartition(".")
    if not dot:
        return getattr(builtins, attribute)
    try:
        return getattr(importlib.import_module(module), attribute)
    except Exception as error:  # a module of the user's, which may raise anything when it is imported
        why = f"{type(error).__name__}: {error}"
        raise pytest.UsageError(f"{source}: can't find the error {name!r}: {why}\nAllowed: {ALLOWED}.") from None


def _checked(kind: Any, source: str) -> type[BaseException]:
    if not isinstance(kind, type) or not issubclass(kind, BaseException):
        raise pytest.UsageError(f"{source}: {kind!r} is no error type.\nAllowed: {ALLOWED}.")
    try:
        kind("made to see whether it can be")
    except Exception as error:
        why = f"{type(error).__name__}: {error}"
        raise pytest.UsageError(
            f"{source}: {kind.__name__} can't be made of a message alone ({why}).\nAllowed: {ALLOWED}."
        ) from None
    return kind
