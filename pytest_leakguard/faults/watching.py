"""What the drivers of this version of Python tell of the code under test while it runs."""

from __future__ import annotations

import sys
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from types import FrameType

from pytest_leakguard.faults.callees import Callee
from pytest_leakguard.faults.targets import Targets

OnLine = Callable[[FrameType, int], "BaseException | None"]
"""A line of the code under test is about to run."""
OnLeft = Callable[[FrameType], object]
"""A function of the code under test has ended, by a return or an error."""
OnCall = Callable[[FrameType, Callee], "BaseException | None"]
"""The code under test calls something, or something that it called has returned."""


class Refused(Exception):
    """This family can't be had here; the text says why and what to do."""


@dataclass(frozen=True, slots=True)
class Listener:
    """Asked at each step; an error that is given out is raised there.

    Attributes:
        line: before each line; call: before each call; returned: after each call that came back without an error.
        left: at the end of each function that a line was told of.
        lost: nothing more will be told, for a reason of this Python.
    """

    line: OnLine | None = None
    call: OnCall | None = None
    returned: OnCall | None = None
    left: OnLeft | None = None
    lost: Callable[[], object] | None = None


def watching(targets: Targets, listener: Listener) -> AbstractContextManager[None]:
    """While the block runs, the listener hears of the code under test. Raises Refused."""
    if sys.version_info >= (3, 12):
        from pytest_leakguard.faults import monitoring

        return monitoring.watching(targets, listener)
    from pytest_leakguard.faults import tracing

    return tracing.watching(targets, listener)
