"""A timeout around one await of a suspended function, with no change to its code.

``async with asyncio.timeout(...)`` around an await does two things: it cancels
the task, and it turns the CancelledError that comes out of the await into a
TimeoutError. The first is a call; for the second the frame that awaits is
traced while the task is stepped, and an error raised by a trace function takes
the place of the one it was told of. What lies below the await sees a
cancellation, as it would; the function itself sees the timeout.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any

from pytest_leakguard.faults.errors import planned


class Timeout:
    """Cancels a task at its present suspension; `frame`, which awaits `awaited`, gets a TimeoutError for it.

    Args:
        message: what the errors say.
        point_id: what they are marked with.
    """

    def __init__(
        self, task: asyncio.Task[Any], frame: FrameType, awaited: object, *, message: str, point_id: str
    ) -> None:
        self._task = task
        self._frame = frame
        self._awaited = awaited
        self._message = message
        self._point_id = point_id
        self._requests = 0
        if sys.version_info >= (3, 11):
            self._requests = task.cancelling()
        self.error: BaseException | None = None
        task.cancel(message)

    @contextmanager
    def translating(self) -> Iterator[None]:
        """Around a step of the task. The user's own tracer sees nothing of this one step, then goes on."""
        tracer, local = sys.gettrace(), self._frame.f_trace
        self._frame.f_trace = self._at_frame
        sys.settrace(_no_other_frame)
        try:
            yield
        finally:
            sys.settrace(tracer)
            self._frame.f_trace = local

    def is_over(self, awaited: object) -> bool:
        """Whether the await has ended; a cancellation that was swallowed below it is withdrawn, as a timeout does.

        Args:
            awaited: what the frame awaits now, or None.
        """
        if self.error is None and awaited is self._awaited:
            return False
        if self.error is None:
            self._withdraw()
        return True

    def _withdraw(self) -> int:
        if sys.version_info >= (3, 11):
            return self._task.uncancel()
        return 0

    def _at_frame(self, frame: FrameType, event: str, arg: Any) -> Callable[..., Any]:
        if event == "exception" and self.error is None and issubclass(arg[0], asyncio.CancelledError):
            # more requests than ours: someone else cancels as well, and the cancellation goes on
            if self._withdraw() <= self._requests:
                self.error = planned(asyncio.TimeoutError(self._message), self._point_id)
                raise self.error from arg[1]
            self.error = arg[1]
        return self._at_frame


def _no_other_frame(frame: FrameType, event: str, arg: Any) -> None:
    """Trace nothing but the frame that has its own function."""
