"""The Python objects behind suspects, found on the heap. Only ever called for a suspect."""

from __future__ import annotations

import _io
import _socket
import io
import select
import sys
import threading
from collections.abc import Callable, Collection
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
    for obj in _real.gc_get_objects():
        kind = type(obj)
        identity = _real.identity(kind)
        if identity not in readers:
            readers[identity] = _reader(kind)
        read = readers[identity]
        if read is not None:
            try:
                number = read(obj)
            except (ValueError, OSError, TypeError, KeyError):  # closed, or not initialised
                continue
            if number in numbers:
                found[number] = obj
    if _EPOLL is not None and len(found) < len(numbers):
        _add_untracked_pollers(found, numbers)
    return found


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
    return None


def _add_untracked_pollers(found: dict[int, Any], numbers: Collection[int]) -> None:
    # an epoll object is not tracked by the collector; its selector is
    import selectors

    for obj in _real.gc_get_objects():
        if type(obj) is getattr(selectors, "EpollSelector", None):
            poller = vars(obj).get("_selector")
            if poller is not None and not poller.closed and poller.fileno() in numbers:
                found[poller.fileno()] = obj


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
