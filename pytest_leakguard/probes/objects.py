"""Objects that `leak_check.track` was given: they must be gone when their scope ends."""

from __future__ import annotations

import weakref
from collections.abc import Callable
from typing import Any, cast

from pytest_leakguard.core.model import Key, Resource
from pytest_leakguard.origins.holders import class_name
from pytest_leakguard.origins.record import Record


class ObjectProbe:
    """Keeps weak references only; `alive` is asked after everything of the test is gone."""

    kind = "object"
    moves_are_recorded = True
    mechanism = "weak references to what leak_check.track was given"

    def __init__(self, shorten: Callable[[str], str] = str) -> None:
        self._tracked: dict[int, tuple[weakref.ref[Any], str]] = {}
        self.records: dict[int, Record] = {}
        self._next = 0
        self._shorten = shorten

    def track(self, obj: object, record: Record) -> None:
        """Watch an object. Raises TypeError when it can't be weakly referenced."""
        name = class_name(type(obj))
        try:
            reference = weakref.ref(obj)
        except TypeError:
            raise TypeError(
                f"leak_check.track: {name} objects can't be weakly referenced; "
                "track the object that holds it, or add '__weakref__' to the class's __slots__"
            ) from None
        if any(known() is obj for known, _ in self._tracked.values()):
            return
        self._next += 1
        self._tracked[self._next] = (reference, name)
        self.records[self._next] = record

    def unavailable(self) -> str | None:
        return None

    def mark(self) -> int:
        return len(self._tracked)

    def keys(self) -> frozenset[Key]:
        dead = [key for key, (reference, _) in self._tracked.items() if reference() is None]
        for key in dead:
            del self._tracked[key], self.records[key]
        return frozenset(self._tracked)

    def forget(self, key: Key) -> None:
        """Blamed once; not watched any more."""
        self._tracked.pop(cast(int, key), None)
        self.records.pop(cast(int, key), None)

    def live(self, key: Key) -> object | None:
        """The object itself, for the search of its holder only."""
        entry = self._tracked.get(cast(int, key))
        return None if entry is None else entry[0]()

    def describe(self, key: Key) -> Resource:
        name = self._tracked[cast(int, key)][1]
        return Resource(
            kind=self.kind, key=key, what=f"{name} object, tracked, still alive", subject=name,
            fix="drop the reference that keeps it alive (a cache, a callback, a module global)",
            clues=(("tracked", key),),
        )  # fmt: skip
