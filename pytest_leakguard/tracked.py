"""`track`, for use in the code under test as well: does nothing unless a guard is on."""

from __future__ import annotations

import sys
from collections.abc import Callable
from types import FrameType
from typing import TypeVar

T = TypeVar("T")

trackers: list[Callable[[object, FrameType], None]] = []
"""Who wants to know, the one that is on last: a session may run inside a test of another."""


def track(obj: T) -> T:
    """Ask that `obj` be gone at the end of the test or fixture that is running; gives it back.

    Where nothing is checked this is one look at an empty list. It never raises: an
    object that can't be weakly referenced is told in the summary.
    """
    if trackers:
        trackers[-1](obj, sys._getframe(1))
    return obj
