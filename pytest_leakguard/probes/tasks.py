"""Pending tasks, asynchronous generators that nobody closed, coroutines that nobody awaited."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any, Literal, cast

from pytest_leakguard import _real
from pytest_leakguard.core.ledger import Context
from pytest_leakguard.core.model import Key, Resource
from pytest_leakguard.origins import frames
from pytest_leakguard.origins.asyncio_stacks import name_of
from pytest_leakguard.origins.asyncio_witness import AsyncioWitness
from pytest_leakguard.origins.audit import Recorder
from pytest_leakguard.origins.awaiting import await_stack
from pytest_leakguard.origins.record import Record
from pytest_leakguard.origins.sighting import Sighting
from pytest_leakguard.origins.unawaited import creation_stack, teller_frame

TaskKey = tuple[Literal["task", "asyncgen", "coroutine"], int]
_KEPT = 1000

_FIXES = {
    "task": "await it, or cancel and await it, before the test ends; asyncio.TaskGroup does so",
    "asyncgen": "close it: `async with contextlib.aclosing(...)`, or await its aclose()",
    "coroutine": "await it, or close() it when it is not needed",
}


class TaskProbe:
    """What asyncio's registries and Python's own warning tell of work that was left behind."""

    kind = "task"
    moves_are_recorded = True
    mechanism = "asyncio's registries at each stop of a loop, and the warning of coroutines never awaited"

    def __init__(self, recorder: Recorder, shorten: Callable[[str], str] = str, root: str = "") -> None:
        self.witness = AsyncioWitness(recorder)
        self._recorder = recorder
        self._root = root
        self._unawaited: dict[int, tuple[str, Record, str]] = {}
        self._next = 0
        self._depth: int | None = None
        self.may_find_older = False
        """Whether a collection of ours may bring up coroutines of tests before the judged one."""

    def arm(self, *, trace: bool = False) -> None:
        """Begin to watch; `trace` has Python keep the line that makes each coroutine, unless more is kept already."""
        self.witness.arm()
        if trace and sys.get_coroutine_origin_tracking_depth() == 0:
            sys.set_coroutine_origin_tracking_depth(1)
            self._depth = 1

    def disarm(self) -> None:
        """Leave all as it was found."""
        self.witness.disarm()
        if self._depth is not None and sys.get_coroutine_origin_tracking_depth() == self._depth:
            sys.set_coroutine_origin_tracking_depth(0)
        self._depth = None

    def unavailable(self) -> str | None:
        return None

    def mark(self) -> int:
        return self._next + self.witness.seen

    def keys(self) -> frozenset[Key]:
        witness = self.witness
        if witness.is_idle and not self._unawaited:
            return frozenset()
        seen = (*witness.left.values(), *witness.pending())
        unawaited: set[Key] = {("coroutine", number) for number in self._unawaited}
        return frozenset(unawaited.union((sighting.what, sighting.serial) for sighting in seen))

    def forget(self, key: Key) -> None:
        """Told; not told again."""
        what, number = cast(TaskKey, key)
        if what == "coroutine":
            self._unawaited.pop(number, None)
        else:
            self.witness.forget(number)

    def may_end(self, key: Key) -> bool:
        """Whether it could still end by itself: only where its loop runs in another thread."""
        sighting = self.witness.find(cast(TaskKey, key)[1])
        return sighting is not None and not sighting.ended and sighting.is_running()

    def live(self, key: Key) -> Any:
        """The task or generator itself, for a search of what holds it; None where such a search says nothing.

        What a callback of the loop made (the task of a server's connection) may hang on nothing but the loop.
        """
        sighting = self.witness.find(cast(TaskKey, key)[1])
        return None if sighting is None or sighting.by_callback or sighting.ended else sighting.ref()

    def record(self, key: Key) -> Record | None:
        """Where it was made."""
        what, number = cast(TaskKey, key)
        if what == "coroutine":
            return self._unawaited[number][1] if number in self._unawaited else None
        sighting = self.witness.find(cast(TaskKey, key)[1])
        return None if sighting is None else sighting.record

    def describe(self, key: Key) -> Resource:
        what, number = cast(TaskKey, key)
        if what == "coroutine":
            name, _, reason = self._unawaited[number]
            return Resource(
                kind=self.kind, key=key, what=f"coroutine {name}, never awaited", subject=name, fix=_FIXES[what],
                reason=reason, ended="dropped without having been awaited",
            )  # fmt: skip
        sighting = self.witness.find(cast(TaskKey, key)[1])
        if sighting is None:
            return Resource(kind=self.kind, key=key, what=f"{what} that is gone", subject=what, fix=_FIXES[what])
        obj = sighting.ref()
        if obj is not None and not sighting.ended:
            sighting.look(obj)
        called = f"task {sighting.name!r} of {sighting.coroutine}" if what == "task" else ""
        return Resource(
            kind=self.kind, key=key,
            what=f"{called or f'asynchronous generator {sighting.coroutine}'}, {self._state(sighting)}",
            subject=sighting.coroutine, fix=_FIXES[what], ended=sighting.ended,
        )  # fmt: skip

    def note_unawaited(self, text: str, by_collector: Context | None) -> bool:
        """Python warns of a coroutine; says whether the warning is to go no further."""
        if not text.startswith("coroutine ") or len(self._unawaited) >= _KEPT:
            return False
        recorder = self._recorder
        if not recorder.active or not self.witness.is_armed:
            return False
        teller = teller_frame(_real.getframe(0))
        coroutine = teller.f_locals.get("coro") if teller is not None else None
        if teller is None or coroutine is None or frames.is_import(frames.walk(teller)):
            return False
        if self.witness.is_of_a_task(_real.identity(coroutine)):
            return by_collector is not None
        made, event = creation_stack(coroutine, teller.f_back)
        if self.may_find_older if by_collector is not None else not made:
            return False  # an earlier test may have made it: Python's own warning is all that can be told
        name = name_of(coroutine)
        record = Record(event, None, made, by_collector or recorder.context())
        record.how = "warning"
        self._next += 1
        self._unawaited[self._next] = (name, record, self._reason(coroutine))
        recorder.moves += 1
        return by_collector is not None

    def _reason(self, coroutine: Any) -> str:
        code = coroutine.cr_code
        place = f"{frames.shorten(code.co_filename, self._root)}:{code.co_firstlineno}"
        return f"no event tells where it was made (its function is at {place}); try --leakguard-trace"

    def _state(self, sighting: Sighting) -> str:
        if not sighting.started:
            return "not started"
        stack = sighting.place or await_stack(sighting.ref())
        if not stack:
            return "suspended"
        origin = frames.origin_of(stack, root=self._root, how="unknown", event="")
        inner = f" for {origin.within[-1]}()" if origin.within and origin.within[-1] != origin.function else ""
        word = "waiting" if sighting.what == "task" else "suspended"
        via = f", called from {origin.via}" if origin.via else ""
        return f"{word} at {origin.file}:{origin.line} in {origin.function}{inner}{via}"
