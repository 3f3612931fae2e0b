"""The Python objects behind suspects, found on the heap. Only ever called for a suspect."""

from __future__ import annotations

import _io
import _socket
import select
import sys
import threading
from collections.abc import Callable, Collection
from types import FunctionType, GetSetDescriptorType, MemberDescriptorType
from typing import Any

from pytest_leakguard import _real
from pytest_leakguard.origins.owners import number_of

_EPOLL: Any = getattr(select, "epoll", None)
_OF_C = (GetSetDescriptorType, MemberDescriptorType)
"""Descriptors that no class of a user can derive from: to ask them runs no code of his."""


def descriptor_holders(numbers: Collection[int]) -> dict[int, Any]:
    """Descriptor -> the file, socket, selector, connection or child process object that would close it.

    One pass over the heap; types are compared exactly or by C base class, and
    only C methods are called, so that no code of a user's class runs.
    """
    found: dict[int, Any] = {}
    if not numbers:
        return found
    # by id: a metaclass may refuse to hash its classes; all of them are alive while this runs
    readers: dict[int, Callable[[Any], int] | None] = {}
    for obj in _not_plain(_real.gc_get_objects()):
        kind = type(obj)
        identity = _real.identity(kind)
        if identity not in readers:
            readers[identity] = _reader(kind)
        read = readers[identity]
        if read is not None and (number := _number(obj, read)) in numbers:
            found[number] = obj
    return found


def _not_plain(objects: list[Any]) -> list[Any]:
    """Without what four fifths of a heap are: each step of the search itself costs ten times as much."""
    return [
        obj
        for obj in objects
        if (kind := type(obj)) is not dict and kind is not tuple and kind is not list and kind is not FunctionType
    ]


def _number(obj: Any, read: Callable[[Any], int]) -> int:
    try:
        return read(obj)
    except (ValueError, TypeError, KeyError):  # closed, or not initialised
        return -1


def _reader(kind: type) -> Callable[[Any], int] | None:
    """How objects of a class tell the descriptor that they hold, if they hold one."""
    if issubclass(kind, _io.FileIO):
        return _io.FileIO.fileno
    if issubclass(kind, _socket.socket):
        return _socket.socket.fileno
    name = class_name(kind)
    if name == "multiprocessing.connection.Connection":
        return lambda obj: int(_attributes(obj)["_handle"])
    if name.endswith(".Popen"):
        return _sentinel
    if name == "selectors.EpollSelector":
        # the collector does not know the epoll object inside
        return lambda obj: int(_EPOLL.fileno(_attributes(obj)["_selector"]))
    return None


def _sentinel(obj: Any) -> int:
    """Of multiprocessing's Popen, and loky's: the pipe that tells of the child's end, unless it was closed."""
    attributes = _attributes(obj)
    finalizer = attributes.get("finalizer")
    return -1 if finalizer is not None and not getattr(finalizer, "_args", ()) else int(attributes["sentinel"])


def attributes_of(obj: Any) -> dict[str, Any] | None:
    """The dict of an object's attributes; None where it has none, or its class has a ``__dict__`` of its own making."""
    for kind in type.__getattribute__(type(obj), "__mro__"):
        descriptor = type.__getattribute__(kind, "__dict__").get("__dict__")
        if descriptor is not None:
            found = descriptor.__get__(obj) if type(descriptor) in _OF_C else None
            return found if type(found) is dict else None
    return None


def _attributes(obj: Any) -> dict[str, Any]:
    return attributes_of(obj) or {}


def class_name(kind: type) -> str:
    """Module and qualified name of a class, without running code of its metaclass."""
    module = type.__getattribute__(kind, "__module__")
    return f"{module}.{type.__getattribute__(kind, '__qualname__')}"


def thread_object(ident: int) -> threading.Thread | None:
    """The thread object with that ident."""
    return next((thread for thread in _real.enumerate_threads() if thread.ident == ident), None)


def popen_of(pid: int) -> Any:
    """The object that subprocess, or a class derived from its Popen, made for a child that is still there."""
    popen = getattr(sys.modules.get("subprocess"), "Popen", None)
    if not isinstance(popen, type):
        return None
    for obj in _real.gc_get_objects():
        if issubclass(type(obj), popen) and _attributes(obj).get("pid") == pid:
            return obj
    return None


def pipes_of(popen: Any) -> set[int]:
    """The descriptors that subprocess's or multiprocessing's Popen keeps."""
    attributes = _attributes(popen)
    candidates = [attributes.get("sentinel"), *(getattr(attributes.get("finalizer"), "_args", None) or ())]
    candidates += [number_of(attributes.get(name)) for name in ("stdin", "stdout", "stderr")]
    return {number for number in candidates if type(number) is int and number >= 0}
