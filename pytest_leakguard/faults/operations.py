"""Operations of the user's own that are made to fail: named in the code by `fault_point`, or from outside by a hook."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass

from pytest_leakguard.faults.callees import Callee
from pytest_leakguard.faults.errors import InjectedFault, message, planned

MakeError = type[BaseException] | Callable[[str], BaseException]
"""An error type that takes a message, or a function of the message."""

_FORBIDDEN = re.compile(r"[:#\s]")


class BadOperation(ValueError):
    """What is no operation; says what is allowed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Operation:
    """A function or method, calls of which may fail.

    Attributes:
        call: ``MODULE:QUALNAME``, where it is defined: ``shop.db:Session.commit``, ``sqlite3:Connection.commit``.
        name: as points tell it; the qualified name when empty.
        error: what it can really raise. None is a plain `InjectedFault`.
    """

    call: str
    name: str = ""
    error: MakeError | None = None

    def __post_init__(self) -> None:
        module, colon, qualname = self.call.partition(":")
        if not (module and colon and qualname) or _FORBIDDEN.search(qualname):
            raise BadOperation(f"bad operation {self.call!r}. Allowed: MODULE:QUALNAME, e.g. shop.db:Session.commit.")
        if _FORBIDDEN.search(self.name):
            raise BadOperation(f"bad name {self.name!r} of an operation. Allowed: no colon, no '#', no space.")

    @property
    def what(self) -> str:
        """As points tell it."""
        return self.name or self.call.partition(":")[2]

    def matches(self, callee: Callee) -> bool:
        """Whether that is what is called."""
        return f"{callee.full_module}:{callee.qualname}" == self.call


def error_of(name: str, make: MakeError | None, point_id: str) -> BaseException:
    """A new error of an operation. One that can't be made of a message alone is a plain `InjectedFault`."""
    text = message(f"{name} failed", point_id)
    if make is not None:
        try:
            error = make(text)
        except Exception:
            error = None
        if isinstance(error, BaseException):
            return planned(error, point_id)
    return planned(InjectedFault(text), point_id)


def spelled(name: str) -> str:
    """A name as it stands in an id, where some characters have a meaning."""
    return _FORBIDDEN.sub("_", name) or "_"
