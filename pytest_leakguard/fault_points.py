"""`fault_point`: an operation of the user's own that a fault sweep may make fail.

Loaded by the code under test, in production too: it imports nothing, and a call of it
when no sweep is running is one look at a global.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    Error = type[BaseException] | Callable[[str], BaseException]
    Reached = Callable[[str, Error | None], None]

_reached: Reached | None = None
"""Set by the fault engine while a sweep counts or a trial runs."""


def fault_point(name: str, error: Error | None = None) -> None:
    """Say that an operation is about to happen, which a fault sweep may make fail here.

    Args:
        name: of the operation, as in ``fault_point("db.commit")``; it becomes part of the point's id.
        error: what the operation can really raise: an error type, or a function of the message.
            None is a plain `InjectedFault`.
    Raises: nothing, but in the one trial that makes it fail.
    """
    if _reached is not None:
        _reached(name, error)
