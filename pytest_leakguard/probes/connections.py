"""Connections to SQLite databases that were not closed, those in memory too.

The audit event carries the connection when it is there. A connection can't be
weakly referenced, but its statement cache can: it lives and dies with the
connection, which it knows. Before 3.11 the cache is of another make; then the
heap is searched for the connection, while one is open that may be told.

The descriptors on the database and on the files beside it belong to the
connection; which they are is told by their paths.
"""

from __future__ import annotations

import importlib.util
import os
import sys
import urllib.parse
import weakref
from collections.abc import Callable
from dataclasses import dataclass
from types import FrameType
from typing import Any, cast

from pytest_leakguard import _real
from pytest_leakguard.core.model import Key, Resource
from pytest_leakguard.origins import frames
from pytest_leakguard.origins.audit import Recorder
from pytest_leakguard.origins.record import Record

SIDE_FILES = ("", "-journal", "-wal", "-shm")
"""Endings of the files that SQLite keeps open for one database."""

EVENT = "sqlite3.connect"


@dataclass(slots=True)
class _Connection:
    """One connection, as far as it is known without holding it.

    Attributes:
        handle: gives the connection while it is alive; None where only the heap knows.
        identity: its id.
        path: absolute, of a database that is a file; else empty.
        name: what was given to connect.
    """

    record: Record
    handle: Callable[[], Any] | None
    identity: int
    path: str
    name: str


class ConnectionProbe:
    """Sees connections of `sqlite3` that are open."""

    kind = "sqlite"
    moves_are_recorded = True
    mechanism = "audit event sqlite3.connect/handle, then a weak reference to what lives as long as the connection"

    def __init__(self, recorder: Recorder, shorten: Callable[[str], str] = str) -> None:
        self._recorder = recorder
        self._shorten = shorten
        self._connections: dict[int, _Connection] = {}
        self.kept = (self._connections,)
        self._next = 0
        recorder.listen({"sqlite3.connect/handle": self._on_handle})

    def unavailable(self) -> str | None:
        return None if importlib.util.find_spec("_sqlite3") else "this Python has no sqlite3"

    def mark(self) -> int:
        return self._next

    def keys(self) -> frozenset[Key]:
        if not self._connections:
            return frozenset()
        found = _on_the_heap({c.identity for c in self._connections.values() if c.handle is None and _may_be_told(c)})
        for serial, connection in tuple(self._connections.items()):
            if connection.handle is not None:
                is_there = _is_open(connection.handle())
            else:
                is_there = not _may_be_told(connection) or _is_open(found.get(connection.identity))
            if not is_there:
                self._connections.pop(serial, None)
        found.clear()
        return frozenset(self._connections)

    def record(self, key: Key) -> Record | None:
        """The call that connected."""
        connection = self._connections.get(cast(int, key))
        return None if connection is None else connection.record

    def identity(self, key: Key) -> int:
        """The id of an open connection, -1 for one that is not known."""
        connection = self._connections.get(cast(int, key))
        return -1 if connection is None else connection.identity

    def live(self, key: Key) -> object | None:
        """The connection itself, for the search of what may close it."""
        connection = self._connections.get(cast(int, key))
        if connection is None:
            return None
        if connection.handle is not None:
            return cast("object", connection.handle())
        return _on_the_heap({connection.identity}).get(connection.identity)

    def key_of(self, record: Record) -> Key | None:
        """The connection that a record made, while it is open."""
        return next((serial for serial, c in self._connections.items() if c.record is record), None)

    def whole_of(self, resource: Resource) -> Key | None:
        """The connection that has a descriptor's path open; the latest, when there are several."""
        if resource.kind == self.kind:
            return resource.key
        path = next((str(value) for clue, value in resource.clues if clue == "path"), "")
        for serial, connection in reversed(tuple(self._connections.items()) if path else ()):
            if connection.path and path in [connection.path + ending for ending in SIDE_FILES]:
                return serial
        return None

    def describe(self, key: Key) -> Resource:
        connection = self._connections.get(cast(int, key))
        name = "a database" if connection is None else self._shorten(connection.path) or connection.name
        return Resource(
            kind=self.kind, key=key, what=f"sqlite3 connection to {name}, never closed", subject=name,
            fix="close it: `with contextlib.closing(...)`, or close() in a `finally`; `with connection:` only commits",
            clues=() if connection is None or not connection.path else (("path", connection.path),),
        )  # fmt: skip

    def _on_handle(self, args: Any, frame: FrameType | None) -> None:
        connection = args[0]
        code = None if frame is None else frame.f_code
        record = next(
            (
                record
                for record in reversed(tuple(self._recorder.records))
                if record.event == EVENT and not record.object_id and record.stack and record.stack[0][0] is code
            ),
            None,
        )
        if record is None:
            return
        record.object_id = identity = id(connection)
        # one of the same identity is dead
        for serial in [serial for serial, known in self._connections.items() if known.identity == identity]:
            del self._connections[serial]
        name = record.detail if type(record.detail) is str else "a database"
        self._next += 1
        self._connections[self._next] = _Connection(
            record, _handle_of(connection), identity, _path_of(name), name or "a temporary database"
        )


def _handle_of(connection: Any) -> Callable[[], Any] | None:
    """What gives a connection as long as it lives, and does not keep it alive."""
    for part in _real.gc_get_referents(connection):
        if type(part).__name__ == "_lru_cache_wrapper" and getattr(part, "__wrapped__", None) is connection:
            cache = weakref.ref(part)
            return lambda: getattr(cache(), "__wrapped__", None)
    try:
        return weakref.ref(connection)  # a subclass may allow it
    except TypeError:
        return None


def _is_open(connection: Any) -> bool:
    """Whether a connection is open, asked in any thread and without running anything in it."""
    if connection is None:
        return False
    try:
        # by the C class: a subclass may mean something else by that name
        sys.modules["_sqlite3"].Connection.total_changes.__get__(connection)
    except Exception:  # closed: ProgrammingError of the module
        return False
    return True


def _may_be_told(connection: _Connection) -> bool:
    record = connection.record
    return not record.blamed and record.context.owner.kind != "nobody" and not frames.is_import(record.stack)


def _on_the_heap(identities: set[int]) -> dict[int, Any]:
    """The connections with these ids."""
    if not identities:
        return {}
    base = sys.modules["_sqlite3"].Connection
    return {id(o): o for o in _real.gc_get_objects() if issubclass(type(o), base) and id(o) in identities}


def _path_of(name: str) -> str:
    """The file behind what was given to connect, links resolved; empty when there is none."""
    if name.startswith("file:"):
        parts = urllib.parse.urlsplit(name)
        if "mode=memory" in parts.query or parts.path == ":memory:":
            return ""
        name = urllib.parse.unquote(parts.path)
    if not name or name == ":memory:":
        return ""
    return os.path.realpath(name)
