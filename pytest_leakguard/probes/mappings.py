"""Memory maps that were not closed, and names of POSIX shared memory left in the system.

The audit event comes before there is an object, so the object is looked for
afterwards: among the youngest that the collector knows, when the next
acquisition starts or the census is taken. From then on a weak reference tells
whether it lives, and the object itself whether it is closed.

A mapping of a file keeps a descriptor of its own, and shared memory one more:
they are parts of it. The name of shared memory outlives every mapping; it is
looked for in the system, so that what nobody unlinked is seen without any object.
"""

from __future__ import annotations

import gc
import os
import re
import sys
import weakref
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from types import FrameType
from typing import Any, cast

from pytest_leakguard import _real
from pytest_leakguard.core.model import Key, Resource
from pytest_leakguard.origins.audit import Recorder
from pytest_leakguard.origins.record import Record, inode_of
from pytest_leakguard.probes.descriptors import DescriptorTable
from pytest_leakguard.probes.fds import DELETED, descriptor_path

MappingKey = tuple[str, int]
"""``"mapping"`` or ``"name"``, and a serial number."""

SHARED_MEMORY = "/dev/shm"
_ACCESS = {1: ", read only", 3: ", copy on write"}
_NAMED_AT_RANDOM = re.compile(r"psm_[0-9a-f]{8}")


@dataclass(slots=True)
class _Mapping:
    """One call of ``mmap.mmap``.

    Attributes:
        given: the descriptor it was given, -1 for anonymous memory; `inode` is what that led to.
        number: the descriptor that the mapping keeps for itself.
        name: of shared memory, without the slash; `created` when this call made it.
        thread: who called.
        collections: how often the collector had moved young objects to the old ones by then.
    """

    record: Record
    given: int
    length: int
    access: int
    inode: tuple[int, int] | None
    name: str
    created: bool
    thread: int
    collections: int
    ref: weakref.ref[Any] | None = None
    number: int = -1
    path: str = ""

    def mapped(self) -> Any:
        """The object while it is alive and open, else None."""
        mapping = self.ref() if self.ref is not None else None
        return None if mapping is None or _is_closed(mapping) else mapping

    def is_named(self) -> bool:
        """Whether the shared memory that this call made can still be opened by its name."""
        if not self.created:
            return False
        if not os.path.isdir(SHARED_MEMORY):
            return _opens(self.name)
        try:
            status = _real.os_stat(f"{SHARED_MEMORY}/{self.name}")
        except (OSError, ValueError):
            return False
        # another may have taken the name since
        return (status.st_dev, status.st_ino) == self.inode


_NONE: frozenset[Key] = frozenset()


class MappingProbe:
    """Sees mappings that are open and shared memory that has a name."""

    kind = "mmap"
    moves_are_recorded = True
    mechanism = "audit event mmap.__new__, then weak references; names of shared memory are asked for in the system"

    def __init__(self, recorder: Recorder, shorten: Callable[[str], str] = str) -> None:
        self._recorder = recorder
        self._shorten = shorten
        self._table = DescriptorTable()
        self._mappings: dict[int, _Mapping] = {}
        self._pending: list[_Mapping] = []
        self.kept = (self._mappings, self._pending)
        self._next = 0
        recorder.listen({"mmap.__new__": self._on_new})

    def unavailable(self) -> str | None:
        return None

    def mark(self) -> int:
        return self._next

    def keys(self) -> frozenset[Key]:
        if not self._mappings and not self._pending:
            return _NONE
        self.resolve()
        self._pending.clear()
        keys: set[Key] = set()
        for serial, mapping in tuple(self._mappings.items()):
            is_mapped, is_named = mapping.mapped() is not None, mapping.is_named()
            if is_mapped:
                keys.add(("mapping", serial))
            if is_named:
                keys.add(("name", serial))
            if not is_mapped and not is_named:
                del self._mappings[serial]
        return frozenset(keys)

    def record(self, key: Key) -> Record | None:
        """The call that made it."""
        mapping = self._of(key)
        return None if mapping is None else mapping.record

    def live(self, key: Key) -> object | None:
        """The mapping; for a name, one that is still open on it."""
        mapping = self._of(key)
        return None if mapping is None else mapping.mapped()

    def whole_of(self, resource: Resource) -> Key | None:
        """The mapping that a descriptor or a name is a part of."""
        if resource.kind == self.kind:
            return ("mapping", cast(MappingKey, resource.key)[1])
        if resource.kind != "fd" or not self._mappings:
            return None
        number, device, inode, _ = cast("tuple[int, int, int, int]", resource.key)
        for serial, mapping in self._mappings.items():
            if mapping.inode == (device, inode) and (
                number == mapping.number or (mapping.name and number == mapping.given)
            ):
                return ("mapping", serial)
        return None

    def describe(self, key: Key) -> Resource:
        mapping = self._of(key)
        if mapping is None:
            return Resource(kind=self.kind, key=key, what="mapping, gone", subject="mapping", fix="nothing to do")
        size = f"{self._length(mapping):,} bytes{_ACCESS.get(mapping.access, '')}"
        if mapping.name:
            return self._describe_shared(key, mapping, size)
        clues: tuple[tuple[str, str], ...] = ()
        if mapping.given < 0:
            what, subject = f"anonymous memory map, {size}", "anonymous memory"
        else:
            subject = self._shorten(mapping.path) or "file"
            what = f"memory map of {subject}, {size}"
            if not mapping.path.endswith(DELETED):
                clues = (("path", mapping.path),)
        return Resource(
            kind=self.kind, key=key, what=f"{what}, not closed", subject=subject, clues=clues,
            fix="close it on every path: `with mmap.mmap(...)`, or close() in a `finally`",
        )  # fmt: skip

    def _describe_shared(self, key: Key, mapping: _Mapping, size: str) -> Resource:
        is_mapped, is_named = mapping.mapped() is not None, mapping.is_named()
        if is_mapped and is_named:
            state, fix = "neither closed nor unlinked", "call close(), then unlink(), in a `finally`"
        elif is_mapped:
            state, fix = "not closed", "call close() in a `finally`, in each process that opened it"
        else:
            state, fix = "closed, but its name was left in the system", "call unlink() once, in a `finally`"
        return Resource(
            kind=self.kind, key=key, what=f"shared memory {mapping.name!r}, {size}, {state}",
            subject="shared memory" if _NAMED_AT_RANDOM.fullmatch(mapping.name) else mapping.name, fix=fix,
        )  # fmt: skip

    @staticmethod
    def _length(mapping: _Mapping) -> int:
        obj = mapping.mapped()
        try:
            return mapping.length if obj is None else int(_mmap_type().__len__(obj))
        except ValueError:
            return mapping.length

    def _of(self, key: Key) -> _Mapping | None:
        return self._mappings.get(cast(MappingKey, key)[1])

    # -- from the event to the object ----------------------------------------

    def _on_new(self, args: Any, frame: FrameType | None) -> None:
        given, length, access = args[:3]
        self.resolve()
        name, created = _shared_memory_name(frame)
        self._pending.append(
            _Mapping(
                record=self._recorder.note("mmap.__new__", frame), given=given, length=length, access=access,
                inode=inode_of(given) if given >= 0 else None, name=name, created=created,
                thread=_real.get_ident(), collections=_collections(),
            )
        )  # fmt: skip
        self._recorder.waiting.append(self.resolve)

    def resolve(self) -> None:
        """Find the objects of the calls that have returned since; what is not there any more was closed or failed."""
        if not self._pending:
            return
        pending = self._pending.copy()
        del self._pending[: len(pending)]  # another thread may have added to it
        for mapping in pending:
            self._find_descriptor(mapping)
        known = {id(obj) for m in self._mappings.values() if m.ref is not None and (obj := m.ref()) is not None}
        _assign(pending, known)
        for mapping in pending:
            if mapping.ref is not None or mapping.is_named():
                self._next += 1
                self._mappings[self._next] = mapping
            elif mapping.thread != _real.get_ident():
                self._pending.append(mapping)  # it may be between the event and the object

    def _find_descriptor(self, mapping: _Mapping) -> None:
        """Which descriptor it keeps, and the path behind that. Whatever was opened since comes after this."""
        if mapping.inode is None:
            return
        taken = {m.number for m in self._mappings.values() if m.mapped() is not None} | {mapping.given}
        self._table.forget()
        numbers = [key[0] for key in self._table.read() if key[1:3] == mapping.inode and key[0] not in taken]
        mapping.number = min(numbers, default=-1)
        for number in (mapping.number, mapping.given):
            if not mapping.path and number >= 0 and inode_of(number) == mapping.inode:
                mapping.path = descriptor_path((number, *mapping.inode, 0))


def _assign(pending: list[_Mapping], known: set[int]) -> None:
    """Give each call its object: youngest call first, youngest object first, of the length that was asked for."""
    base = _mmap_type()
    wanted = pending[::-1]
    for generation in (0, 1, 2):
        if generation == 2:
            # an old object can be one of these only if the collector has made young ones old since;
            # without a descriptor on it, a mapping of a file is gone for certain
            wanted = [m for m in wanted if m.collections != _collections() and (m.inode is None or m.number >= 0)]
        if not wanted:
            return
        for obj in _youngest_first(generation, base):
            if id(obj) in known:
                continue
            length = base.__len__(obj) if not _is_closed(obj) else -1
            found = next((m for m in wanted if m.length in (0, length)), None)
            if found is not None:
                found.ref = weakref.ref(obj)
                known.add(id(obj))
                wanted.remove(found)
                if not wanted:
                    return


def _youngest_first(generation: int, base: type) -> Iterator[Any]:
    # a class is asked whether the other is a subclass of it: no code of a user's metaclass runs
    return (obj for obj in reversed(_real.gc_get_objects(generation)) if issubclass(type(obj), base))


def _collections() -> int:
    """How many collections have made young objects old ones."""
    stats = gc.get_stats()
    return int(stats[1]["collections"] + stats[2]["collections"])


def _mmap_type() -> Any:
    # who made a mapping has loaded it
    return sys.modules["mmap"].mmap


def _is_closed(mapping: Any) -> bool:
    # by the C class: a user's subclass may mean something else by `closed`
    return bool(_mmap_type().closed.__get__(mapping))


def _shared_memory_name(frame: FrameType | None) -> tuple[str, bool]:
    """The name of the shared memory whose set-up makes a mapping, and whether it is new; empty for any other."""
    if frame is None or not frame.f_code.co_filename.endswith(f"multiprocessing{os.sep}shared_memory.py"):
        return "", False
    names = frame.f_locals
    name = vars(names["self"]).get("_name") if "self" in names else None
    if type(name) is not str:
        return "", False
    return name.lstrip("/"), bool(names.get("create"))


def _opens(name: str) -> bool:
    """Whether shared memory of that name exists, where there is no folder to look into."""
    opener = getattr(sys.modules.get("_posixshmem"), "shm_open", None)
    if opener is None:
        return False
    try:
        number = opener(f"/{name}", os.O_RDONLY, mode=0)
    except OSError:
        return False
    _real.close(number)
    return True
