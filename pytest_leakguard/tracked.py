"""`track` and `track_lock`, for use in the code under test as well: they do nothing unless a guard is on."""

from __future__ import annotations

import sys
from collections.abc import Callable
from types import FrameType
from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    from pytest_leakguard.probes.locks import LockProbe

T = TypeVar("T")

trackers: list[Callable[[object, FrameType], None]] = []
"""Who wants to know, the one that is on last: a session may run inside a test of another."""
lock_probes: list[LockProbe] = []
"""The same, of locks."""


def track(obj: T) -> T:
    """Ask that `obj` be gone at the end of the test or fixture that is running; gives it back.

    Where nothing is checked this is one look at an empty list. It never raises: an
    object that can't be weakly referenced is told in the summary.
    """
    if trackers:
        trackers[-1](obj, sys._getframe(1))
    return obj


def track_lock(lock: Any, *, wrap: bool = False) -> Any:
    """Ask that a lock be released when the test or fixture that calls this is over.

    Does nothing while no test is checked, so it may stay in the code.

    Args:
        lock: of `threading`, `multiprocessing` or `asyncio`, or any other with a method ``locked()``.
        wrap: give a lock in its place that notes the line of each acquisition.
    Returns: the lock, or the one in its place.
    Raises:
        TypeError: it does not tell whether it is held, or can't be weakly referenced.
    """
    if lock_probes:
        return lock_probes[-1].track(lock, sys._getframe(1), wrap)
    return lock
