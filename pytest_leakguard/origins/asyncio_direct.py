"""Tasks that were made by calling the class `asyncio.Task`, where no registry tells of them.

Since 3.14 tasks written in C, and of classes derived from those, are in no set that could tell of what it gets;
``create_task`` is wrapped there, which such a call passes by. What a loop has pending when it stops, and had not when
it started, was made meanwhile.
"""

from __future__ import annotations

from collections.abc import Callable
from types import FrameType
from typing import Any

_STARTS = "_run_forever_setup"
_STOPS = "_run_forever_cleanup"


class DirectTasks:
    """Compares what loops have pending at the start and at the stop of each run."""

    def __init__(self) -> None:
        self._before: dict[int, frozenset[int]] = {}  # by the ids of loops and tasks: nothing is kept alive

    def new(self, frame: FrameType | None, all_tasks: Callable[[Any], set[Any]]) -> list[Any]:
        """The pending tasks that were made in a run, when the code of `frame` ends one."""
        name = frame.f_code.co_name if frame is not None else ""
        if frame is None or name not in (_STARTS, _STOPS):
            return []
        loop = frame.f_locals.get("self")
        if name == _STARTS:
            self._before[id(loop)] = frozenset(map(id, all_tasks(loop)))
            return []
        before = self._before.pop(id(loop), None)
        return [] if before is None else [task for task in all_tasks(loop) if id(task) not in before]
