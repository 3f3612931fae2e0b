"""Objects that must be gone, or must have been closed, when their scope ends.

They come from `track`, from classes that are named (`instances`), or are found
among the young objects of a test (`young`). Weak references only: a class that
can't be weakly referenced is found again by id among the collector's objects.
"""

from __future__ import annotations

import weakref
from collections import deque
from collections.abc import Callable
from typing import Any, cast

from pytest_leakguard.core.ledger import Context
from pytest_leakguard.core.model import Key, Resource
from pytest_leakguard.origins.frames import Stack
from pytest_leakguard.origins.holders import class_name
from pytest_leakguard.origins.record import Record
from pytest_leakguard.probes.nursery import Duty, Nursery, Plan

Asker = Callable[[Any], bool]
"""Whether an object is closed, asked of the object itself."""


class _Ref(weakref.ref[Any]):
    __slots__ = ("key",)
    key: int


class Entry:
    """One object that is watched.

    Attributes:
        must_go: it has to be gone.
        duties: what is still to be called on it.
        by_finalizer: a method was called, but only by `__del__`.
        may_follow: it may take the place of one of its class that is known and goes meanwhile.
    """

    __slots__ = (
        "alive",
        "by_finalizer",
        "closed",
        "duties",
        "identity",
        "kind",
        "may_follow",
        "must_go",
        "name",
        "reason",
        "ref",
    )

    def __init__(self, name: str, *, must_go: bool, duties: tuple[Duty, ...], may_follow: bool, reason: str) -> None:
        self.name = name
        self.must_go = must_go
        self.duties = duties
        self.may_follow = may_follow
        self.reason = reason
        self.ref: _Ref | None = None
        self.identity = 0
        self.kind: type | None = None
        self.closed: Asker | None = None
        self.alive = True
        self.by_finalizer = False

    def get(self) -> Any:
        """The object while it lives, if it can be weakly referenced."""
        return None if self.ref is None else self.ref()


_NONE: frozenset[Key] = frozenset()


class ObjectProbe:
    """Keeps what is watched, and tells what of it is still to go or to be closed."""

    kind = "object"
    mechanism = "weak references to what track() was given and to instances of the classes of leakguard_track"

    def __init__(self) -> None:
        self.records: dict[int, Record] = {}
        self.moves_are_recorded = True
        """Until instances are noticed, `track` is all that moves anything."""
        self.before_look: Callable[[], object] | None = None
        """Called before the probe answers, so that what is noticed late is noticed in time."""
        self.nursery = Nursery()
        self._entries: dict[int, Entry] = {}
        self._pending: dict[int, Entry] = {}  # the oldest first
        self._by_id: dict[int, int] = {}
        self._died: deque[int] = deque()
        self.kept = (self.nursery.made, self._entries)
        """Nothing is watched while both are empty."""
        self._names: dict[int, str] = {}  # of all that a census told: the dead have no entry
        self._next = 0

    def unavailable(self) -> str | None:
        return None

    # -- what is watched -----------------------------------------------------

    def track(self, obj: object, record: Record) -> None:
        """Watch an object. Raises TypeError when it can't be weakly referenced."""
        name = class_name(type(obj))
        if not is_weakly_referenceable(type(obj)):
            raise TypeError(
                f"{record.event}: {name} objects can't be weakly referenced; "
                "track the object that holds it, or add '__weakref__' to the class's __slots__"
            )
        self.add(obj, record, must_go=True)

    def add(
        self,
        obj: object,
        record: Record | None,
        *,
        must_go: bool = False,
        duties: tuple[Duty, ...] = (),
        may_follow: bool = False,
        closed: Asker | None = None,
        reason: str = "",
    ) -> None:
        """Watch an object, or ask more of one that is watched.

        Args:
            closed: asked whether the duties are done, where calls can't be seen.
            reason: why its origin isn't known, when `record` is None.
        """
        self._bring_up()
        self._bury()
        entry = Entry(class_name(type(obj)), must_go=must_go, duties=duties, may_follow=may_follow, reason=reason)
        entry.closed = closed
        self._admit(entry, obj, record)

    def born(self, obj: Any, plan: Plan, context: Context, stack: Stack) -> None:
        """An instance of a class of Python code was made; nearly all of them are gone before anybody asks."""
        if self.nursery.add(obj, plan, context, stack):
            self._bring_up()

    def _bring_up(self) -> None:
        """What is left of the newborn instances is watched from now on."""
        if not self.nursery.made or self.nursery.clear_if_gone():
            return
        self._bury()
        for newborn, obj in self.nursery.take():
            plan = newborn.plan
            # what is closed and still there is watched too, or a look at the heap would take it for a new one
            entry = Entry(plan.name, must_go=plan.must_go, duties=newborn.duties, may_follow=plan.must_go, reason="")
            record = Record(plan.event, None, newborn.stack, newborn.context)
            record.how = "wrap"
            self._admit(entry, obj, record)

    def _admit(self, entry: Entry, obj: Any, record: Record | None) -> None:
        """Watch an object, None when it is gone without its calls; or ask more of one that is watched."""
        known = self._known(obj)
        if known is not None:
            if entry.must_go and not known.must_go:
                known.must_go = True
                self._pending[self._by_id[id(obj)]] = known
            return
        self._next += 1
        key = self._next
        if obj is None:
            entry.alive = False
        else:
            entry.identity, entry.kind = id(obj), type(obj)
            if is_weakly_referenceable(type(obj)):
                entry.ref = _Ref(obj, self._on_death)
                entry.ref.key = key
                entry.kind = None
            self._by_id[id(obj)] = key
        self._entries[key] = entry
        if entry.must_go or entry.duties:
            self._pending[key] = entry
        if record is not None:
            self.records[key] = record

    def entry(self, obj: object) -> Entry | None:
        """What is known of an object that is watched."""
        self._bring_up()
        return self._known(obj)

    def _known(self, obj: object) -> Entry | None:
        entry = self._entries.get(self._by_id.get(id(obj), 0))
        if entry is None or (entry.ref is None and entry.kind is not type(obj)):
            return None
        return entry if entry.ref is None or entry.ref() is obj else None

    def is_another(self, obj: object, record: Record) -> bool:
        """Whether an object that record tells of took the id of a watched one, which is gone then."""
        key = self._by_id[id(obj)]
        if self.records.get(key) is record:
            return False
        self._drop(key)
        return True

    def made_with(self, record: Record) -> int | None:
        """The object still to go whose construction acquired what `record` tells of."""
        self._bring_up()
        for key in self._pending:
            own = self.records.get(key)
            if own is record:
                return key
            if own is not None and own.stack and own.stack == record.stack[-len(own.stack) :] != record.stack:
                return key
        return None

    def called(self, obj: object, method: str, *, by_finalizer: bool) -> None:
        """A method that some duty names is called on an object, watched or not."""
        if not by_finalizer and self.nursery.called(obj, method):
            return
        entry = self.entry(obj)
        if entry is None or not entry.duties:
            return
        if by_finalizer:
            entry.by_finalizer = True
            return
        entry.duties = tuple(duty for duty in entry.duties if method not in duty)
        if not entry.duties and not entry.must_go:
            self._pending.pop(self._by_id[id(obj)], None)

    def forget(self, key: Key) -> None:
        """Blamed once; not watched any more, and none may take its place."""
        self._names.pop(cast(int, key), None)
        self._drop(cast(int, key))

    # -- what the protocol asks ----------------------------------------------

    def mark(self) -> int:
        """The youngest that is still to go: one that came and went leaves it as it was."""
        if self.before_look is not None:
            self.before_look()
        if self.nursery.made:
            self._bring_up()
        if self._died:
            self._bury()
        return next(reversed(self._pending), 0)

    @property
    def is_empty(self) -> bool:
        """Whether nothing is left to go."""
        return not self.mark()

    def keys(self) -> frozenset[Key]:
        if self.before_look is not None:
            self.before_look()
        if self.nursery.made:
            self._bring_up()
        if not self._entries:
            return _NONE
        self._bury()
        self._ask()
        pending = tuple(self._pending.items())
        self._names.update((key, entry.name) for key, entry in pending if entry.may_follow)
        return frozenset(key for key, _ in pending)

    def heirs(self, known: frozenset[Key], now: frozenset[Key]) -> frozenset[Key]:
        """Of what is new, that which takes the place of a known one of its class that is gone: the youngest.

        A module that remembers its last session lets go of the one before. As many
        as went may follow; one more is a leak.
        """
        places: dict[str, int] = {}
        for key in known - now:
            name = self._names.pop(cast(int, key), "")
            if name:
                places[name] = places.get(name, 0) + 1
        heirs = set()
        for key in sorted(cast("frozenset[int]", now - known), reverse=True) if places else ():
            name = self._names.get(key, "")
            if places.get(name, 0):
                places[name] -= 1
                heirs.add(key)
        self._names = {key: name for key, name in self._names.items() if key in now}
        return frozenset(heirs)

    def identity(self, key: Key) -> int:
        """The id of a watched object."""
        entry = self._entries.get(cast(int, key))
        return 0 if entry is None else entry.identity

    def live(self, key: Key) -> object | None:
        """The object itself, for the search of its holder only."""
        entry = self._entries.get(cast(int, key))
        if entry is None or not entry.alive:
            return None
        return entry.get() if entry.ref is not None else next(iter(_found([entry]).values()), None)

    def is_dead(self, key: Key) -> bool:
        """Whether nothing can be done about it any more: collected without the call."""
        entry = self._entries.get(cast(int, key))
        return entry is not None and not entry.alive

    def describe(self, key: Key) -> Resource:
        number = cast(int, key)
        entry = self._entries.get(number)
        if entry is None:  # gone since the census
            entry = Entry(self._names.get(number, "?"), must_go=True, duties=(), may_follow=True, reason="")
        if entry.duties:
            return self._describe_unclosed(number, entry)
        tracked = "tracked, " if not entry.may_follow else ""
        return Resource(
            kind=self.kind, key=key, what=f"{entry.name} object, {tracked}still alive", subject=entry.name,
            fix="drop the reference that keeps it alive (a cache, a callback, a module global)",
            clues=(("tracked", key),), reason=entry.reason,
        )  # fmt: skip

    def _describe_unclosed(self, key: int, entry: Entry) -> Resource:
        duty = entry.duties[0]
        calls = " or ".join(f"{method}()" for method in duty)
        done = "closed" if "close" in duty or "aclose" in duty else "released"
        state = f"{calls} not called"
        if entry.by_finalizer:
            state = f"{calls} called by __del__ only"
        what = f"{entry.name} was never {done}: {state}" + ("" if entry.alive else ", and it is gone")
        return Resource(
            kind=self.kind, key=key, what=what, subject=entry.name, state=f"not {done}",
            fix=f"call {calls} on every path, in a `finally` or at the end of a `with` block",
            clues=(("tracked", key),), reason=entry.reason,
        )  # fmt: skip

    # -- what went -----------------------------------------------------------

    def _on_death(self, ref: weakref.ref[Any]) -> None:
        # runs wherever the object dies, inside a collection or while a dict of ours is read: note it only
        self._died.append(cast(_Ref, ref).key)

    def _bury(self) -> None:
        while self._died:
            self._end(self._died.popleft())

    def _end(self, key: int) -> None:
        entry = self._entries.get(key)
        if entry is None:
            return
        entry.alive = False
        if self._by_id.get(entry.identity) == key:
            del self._by_id[entry.identity]
        if not entry.duties:
            self._drop(key)

    def _drop(self, key: int) -> None:
        entry = self._entries.pop(key, None)
        self._pending.pop(key, None)
        self.records.pop(key, None)
        if entry is not None and self._by_id.get(entry.identity) == key:
            del self._by_id[entry.identity]

    def _ask(self) -> None:
        """Ask what tells of itself: whether it is closed, and, without a weak reference, whether it is there."""
        without = [entry for entry in self._pending.values() if entry.kind is not None]
        there = _found(without)
        for key, entry in tuple(self._pending.items()):
            if entry.kind is not None and entry.identity not in there:
                # whether it was closed can't be asked any more
                self._drop(key)
            elif entry.closed is not None and entry.alive:
                obj = there[entry.identity] if entry.kind is not None else entry.get()
                if obj is not None and entry.closed(obj):
                    entry.duties = ()
                    if not entry.must_go:
                        del self._pending[key]


def is_weakly_referenceable(kind: type) -> bool:
    """Whether instances of a class can be weakly referenced."""
    return kind.__weakrefoffset__ != 0


def _found(entries: list[Entry]) -> dict[int, Any]:
    """id -> object, of those that can only be found again on the heap."""
    wanted = {entry.identity: entry.kind for entry in entries}
    if not wanted:
        return {}
    import objgraph  # only here: most runs watch nothing that can't be weakly referenced

    return {id(obj): obj for obj in objgraph.at_addrs(wanted) if type(obj) is wanted[id(obj)]}
