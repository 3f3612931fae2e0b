"""Locks that were given to `track_lock` and are still held.

A lock does not know who acquired it, and what died can't be asked whether it was
held. `track_lock(lock, wrap=True)` gives a lock in its place that does know: it
notes each acquisition and release, and hands everything on.
"""

from __future__ import annotations

import _thread
import sys
import weakref
from collections.abc import Callable
from dataclasses import dataclass
from types import FrameType, TracebackType
from typing import Any, cast

from pytest_leakguard import _real
from pytest_leakguard.core.model import Key, Resource
from pytest_leakguard.origins import frames
from pytest_leakguard.origins.audit import Recorder
from pytest_leakguard.origins.holders import class_name
from pytest_leakguard.origins.record import Record

LockKey = tuple[int, int]
"""A serial number, and how often the lock was acquired as far as that is known."""


@dataclass(slots=True)
class _Tracked:
    """A lock, not kept alive, with the record of its latest acquisition, or of the call that tracked it.

    Attributes:
        times: how often it was acquired, as far as what stands for it noted that.
        held: how often more than released; says how it was left when it died.
        stands: what stands for it: the user's references lead there.
    """

    ref: weakref.ref[Any]
    name: str
    record: Record
    times: int = 0
    held: int = 0
    stands: weakref.ref[Any] | None = None

    def is_held(self) -> bool:
        lock = self.ref()
        return self.held > 0 if lock is None else is_held(lock)


_NONE: frozenset[Key] = frozenset()


class LockProbe:
    """Sees tracked locks that are held."""

    kind = "lock"
    mechanism = "weak references to what track_lock was given"

    def __init__(self, recorder: Recorder) -> None:
        self._recorder = recorder
        self._tracked: dict[int, _Tracked] = {}
        self.kept = (self._tracked,)
        self._next = 0
        self.on_first: Callable[[], object] = lambda: None
        """Called when there is a lock to ask for after each test."""

    def track(self, lock: Any, frame: FrameType, wrap: bool) -> Any:
        """Watch a lock; gives it back, or one in its place that notes who acquires it. Raises TypeError."""
        name = _name_of(lock)
        try:
            reference = weakref.ref(lock)
        except TypeError:
            raise TypeError(f"track_lock: {name} objects can't be weakly referenced") from None
        serial = next((serial for serial, known in self._tracked.items() if known.ref() is lock), 0)
        if not serial:
            self._next = serial = self._next + 1
            self._tracked[serial] = _Tracked(reference, name, self._record("track_lock", frame))
            if len(self._tracked) == 1:
                self.on_first()
        if not wrap:
            return lock
        stands = wrapped(lock, lambda frame: self._moved(serial, frame))
        self._tracked[serial].stands = weakref.ref(stands)
        return stands

    @property
    def moves_are_recorded(self) -> bool:
        """Whether there is nothing to ask for after each test."""
        return not self._tracked

    def unavailable(self) -> str | None:
        return None

    def mark(self) -> frozenset[Key]:
        return self.keys()

    def keys(self) -> frozenset[Key]:
        if not self._tracked:
            return _NONE
        keys: set[Key] = set()
        for serial, tracked in tuple(self._tracked.items()):
            if tracked.is_held() and not (tracked.ref() is None and tracked.record.blamed):
                keys.add((serial, tracked.times))
            elif tracked.ref() is None:
                self._tracked.pop(serial, None)
        return frozenset(keys)

    def record(self, key: Key) -> Record | None:
        """The acquisition, where a lock in its place noted it; else the call of track_lock."""
        tracked = self._of(key)
        return None if tracked is None else tracked.record

    def live(self, key: Key) -> object | None:
        """The lock, or what stands for it, for the search of what may release it."""
        tracked = self._of(key)
        if tracked is None:
            return None
        stands = tracked.stands() if tracked.stands is not None else None
        return cast("object", tracked.ref() if stands is None else stands)

    def whole_of(self, resource: Resource) -> Key | None:
        """A lock is no part of anything."""
        return resource.key if resource.kind == self.kind else None

    def describe(self, key: Key) -> Resource:
        tracked = self._of(key)
        name = "lock" if tracked is None else tracked.name
        fix = "release it on every path: use it in a `with` block"
        if tracked is not None and not tracked.times:
            fix += "; track_lock(lock, wrap=True) gives a lock that knows the line that acquired it"
        return Resource(kind=self.kind, key=key, what=f"{name}, tracked, still held", subject=name, fix=fix)

    def _of(self, key: Key) -> _Tracked | None:
        return self._tracked.get(cast(LockKey, key)[0])

    def _record(self, event: str, frame: FrameType) -> Record:
        self._recorder.moves += 1
        record = Record(event, None, frames.walk(frame), self._recorder.context())
        record.how = "track"
        return record

    def _moved(self, serial: int, frame: FrameType | None) -> None:
        """A lock was acquired in that frame, or released."""
        tracked = self._tracked.get(serial)
        if tracked is None or not self._recorder.active:
            return
        if frame is None:
            tracked.held -= 1
            return
        tracked.times += 1
        tracked.held += 1
        with self._recorder.unharmed():
            tracked.record = self._record("acquire", frame)


def is_held(lock: Any) -> bool:
    """Whether anyone holds a lock. Raises TypeError for what can't be asked."""
    if type(lock) is _thread.RLock:
        # it tells that by no method before 3.14
        return _thread.RLock.__repr__(lock).startswith("<locked")
    synchronize = sys.modules.get("multiprocessing.synchronize")
    if synchronize is not None and isinstance(lock, synchronize.SemLock):
        return bool(lock._semlock._is_zero())
    locked = getattr(lock, "locked", None)
    if not callable(locked):
        raise TypeError(f"track_lock: {class_name(type(lock))} objects don't tell whether they are held: no locked()")
    return bool(locked())


def _name_of(lock: Any) -> str:
    """The name by which a user knows the class. Raises TypeError as `is_held` does."""
    is_held(lock)
    name = class_name(type(lock))
    return {"_thread.lock": "threading.Lock", "_thread.RLock": "threading.RLock"}.get(name, name).replace(
        ".locks.", "."
    ).replace(".synchronize.", ".")  # fmt: skip


def wrapped(lock: Any, note: Callable[[FrameType | None], None]) -> Any:
    """A lock in the place of another, of the same manners: awaited when that is."""
    return (AwaitedLock if hasattr(lock, "__aenter__") else NotingLock)(lock, note)


class _Noting:
    """Hands on whatever it does not do itself."""

    def __init__(self, lock: Any, note: Callable[[FrameType | None], None]) -> None:
        self._noted_lock = lock
        self._note = note

    def __getattr__(self, name: str) -> Any:
        return getattr(self._noted_lock, name)

    def __repr__(self) -> str:
        return repr(self._noted_lock)

    def release(self) -> None:
        """As the lock's own."""
        self._noted_lock.release()
        self._note(None)


class NotingLock(_Noting):
    """Stands for a lock of `threading` or `multiprocessing`."""

    def acquire(self, *args: Any, **kwargs: Any) -> Any:
        """As the lock's own."""
        got = self._noted_lock.acquire(*args, **kwargs)
        if got:
            self._note(_real.getframe(1))
        return got

    def __enter__(self) -> Any:
        got = self._noted_lock.__enter__()
        self._note(_real.getframe(1))
        return got

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> Any:
        result = self._noted_lock.__exit__(kind, error, traceback)
        self._note(None)
        return result


class AwaitedLock(_Noting):
    """Stands for a lock of `asyncio`."""

    async def acquire(self) -> Any:
        """As the lock's own."""
        got = await self._noted_lock.acquire()
        self._note(_real.getframe(1))
        return got

    async def __aenter__(self) -> Any:
        got = await self._noted_lock.__aenter__()
        self._note(_real.getframe(1))
        return got

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> Any:
        result = await self._noted_lock.__aexit__(kind, error, traceback)
        self._note(None)
        return result
