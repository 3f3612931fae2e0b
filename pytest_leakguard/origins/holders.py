"""The Python objects behind suspects, found on the heap. Only ever called for a suspect."""

from __future__ import annotations

import _io
import _socket
import io
import select
import sys
import threading
from collections.abc import Callable, Collection
from types import FunctionType
from typing import Any

from pytest_leakguard import _real

_EPOLL: Any = getattr(select, "epoll", None)


def descriptor_holders(numbers: Collection[int]) -> dict[int, Any]:
    """Descriptor -> the file, socket or epoll object that would close it.

    One pass over the heap; types are compared exactly or by C base class, and
    only C methods are called, so that no code of a user's class runs.
    """
    found: dict[int, Any] = {}
    if not numbers:
        return found
    # by id: a metaclass may refuse to hash its classes; all of them are alive while this runs
    readers: dict[int, Callable[[Any], int] | None] = {}
    pollers: list[Any] = []
    for obj in _not_plain(_real.gc_get_objects()):
        kind = type(obj)
        identity = _real.identity(kind)
        if identity not in readers:
            readers[identity] = _reader(kind)
        read = readers[identity]
        if read is _of_selector:
            pollers.append(obj)
        elif read is not None and (number := _number(obj, read)) in numbers:
            found[number] = obj
    # an epoll object is not tracked by the collector; its selector is
    for obj in pollers if len(found) < len(numbers) else ():
        number = _of_selector(obj)
        if number in numbers:
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
    except (ValueError, OSError, TypeError, KeyError):  # closed, or not initialised
        return -1


def _reader(kind: type) -> Callable[[Any], int] | None:
    """How objects of a class tell the descriptor that they hold, if they hold one."""
    if issubclass(kind, _io.FileIO):
        return _io.FileIO.fileno
    if issubclass(kind, _socket.socket):
        return _socket.socket.fileno
    if _EPOLL is not None and kind is _EPOLL:
        return lambda obj: int(obj.fileno())
    name = class_name(kind)
    if name == "multiprocessing.connection.Connection":
        return lambda obj: int(vars(obj)["_handle"])
    if name.endswith(".Popen"):
        # multiprocessing's, and loky's: the pipe that tells of the child's end
        return lambda obj: int(vars(obj)["sentinel"])
    return _of_selector if _EPOLL is not None and name == "selectors.EpollSelector" else None


def _of_selector(obj: Any) -> int:
    poller = vars(obj).get("_selector")
    return -1 if poller is None or poller.closed else int(poller.fileno())


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
        if issubclass(type(obj), popen) and object.__getattribute__(obj, "__dict__").get("pid") == pid:
            return obj
    return None


def pipes_of(popen: Any) -> set[int]:
    """The descriptors that subprocess's or multiprocessing's Popen keeps."""
    attributes = vars(popen)
    candidates: list[Any] = [attributes.get("sentinel")]
    for args in getattr(attributes.get("finalizer"), "_args", None) or ():
        candidates.extend(args if isinstance(args, (tuple, list)) else (args,))
    for name in ("stdin", "stdout", "stderr"):
        stream = attributes.get(name)
        if isinstance(stream, io.IOBase) and not stream.closed:
            candidates.append(stream.fileno())
    return {number for number in candidates if type(number) is int}
