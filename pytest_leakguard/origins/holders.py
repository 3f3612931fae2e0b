"""The Python objects behind suspects, found on the heap. Only ever called for a suspect."""

from __future__ import annotations

import _io
import _socket
import select
import threading
from collections.abc import Collection
from typing import Any

from pytest_leakguard import _real

_EPOLL = getattr(select, "epoll", None)


def descriptor_holders(numbers: Collection[int]) -> dict[int, Any]:
    """Descriptor -> the file, socket or epoll object that would close it.

    One pass over the heap; types are compared exactly or by C base class, and
    only C methods are called, so that no code of a user's class runs.
    """
    found: dict[int, Any] = {}
    if not numbers:
        return found
    for obj in _real.gc_get_objects():
        kind = type(obj)
        try:
            if kind is _io.FileIO:
                number = _io.FileIO.fileno(obj)
            elif _EPOLL is not None and kind is _EPOLL:
                number = obj.fileno()
            elif issubclass(kind, _socket.socket):
                number = _socket.socket.fileno(obj)
            elif issubclass(kind, _io.FileIO):
                number = _io.FileIO.fileno(obj)
            elif class_name(kind) == "multiprocessing.connection.Connection":
                number = vars(obj)["_handle"]
            else:
                continue
        except (ValueError, OSError, TypeError, KeyError):  # closed, or not initialised
            continue
        if number in numbers:
            found[number] = obj
    if _EPOLL is not None and len(found) < len(numbers):
        _add_untracked_pollers(found, numbers)
    return found


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


def object_with_id(identity: int, type_name: str) -> Any:
    """The live object with that id, when its type has the given qualified name."""
    if not identity:
        return None
    for obj in _real.gc_get_objects():
        if id(obj) == identity:
            return obj if class_name(type(obj)) == type_name else None
    return None
