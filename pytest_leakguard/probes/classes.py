"""Which loaded classes a demand means, and how an object of a C type tells that it is closed."""

from __future__ import annotations

import enum
import sys
from collections.abc import Callable, Iterator
from types import ModuleType
from typing import Any

from pytest_leakguard.core.demands import Demand
from pytest_leakguard.origins.holders import class_name


def classes_in(name: str, module: ModuleType, demand: Demand) -> list[type]:
    """The classes of a module that a demand means; a plain name may also be one that the module imported.

    Args:
        name: under which the module was imported; a module may call itself otherwise.
    """
    if not demand.may_be_in(name):
        return []
    if demand.is_glob:
        return [
            cls for cls in _defined_in(name, module) if demand.matches(class_name(cls)) and not _is_no_resource(cls)
        ]
    found: Any = module
    for part in demand.pattern[len(name) + 1 :].split("."):
        # not getattr: a module or a metaclass may run code then
        found = (vars(module) if found is module else type.__getattribute__(found, "__dict__")).get(part)
        if not isinstance(found, type):
            return []
    return [found]


def _defined_in(name: str, module: ModuleType) -> Iterator[type]:
    level = [value for value in tuple(vars(module).values()) if isinstance(value, type)]
    while level:
        cls = level.pop()
        space = type.__getattribute__(cls, "__dict__")
        if space.get("__module__", type.__getattribute__(cls, "__module__")) == name:
            yield cls
            level += [
                value for value in space.values() if isinstance(value, type) and _is_inside(value, cls)
            ]  # fmt: skip


def _is_inside(inner: type, outer: type) -> bool:
    return class_name(inner).startswith(f"{class_name(outer)}.")


def _is_no_resource(cls: type) -> bool:
    # errors are kept by tracebacks, members of an enumeration live as long as it, a protocol has no instances
    return issubclass(cls, (BaseException, enum.Enum)) or bool(getattr(cls, "_is_protocol", False))


def asker_for(cls: type) -> Callable[[Any], bool] | None:
    """How an object of a C type, whose calls can't be seen, tells that it is closed; None when it does not tell."""
    sqlite3 = sys.modules.get("sqlite3")
    if sqlite3 is not None and issubclass(cls, sqlite3.Connection):
        return _is_closed_connection
    if hasattr(cls, "closed"):
        return _is_closed
    return None


def _is_closed(obj: Any) -> bool:
    try:
        return bool(obj.closed)
    except Exception:  # never initialised: nothing to close
        return True


def _is_closed_connection(connection: Any) -> bool:
    import sqlite3

    try:
        connection.total_changes  # noqa: B018  it refuses only when the connection is closed
    except sqlite3.ProgrammingError as error:
        # asked in another thread than its own it refuses too, open or not
        return "closed" in str(error)
    return False
