"""One recorded acquisition, and the small questions asked about what it may be."""

from __future__ import annotations

import _socket
import os
import pathlib
import threading
import time
import weakref
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any

from pytest_leakguard import _real, native
from pytest_leakguard.core.ledger import Context
from pytest_leakguard.core.model import How
from pytest_leakguard.origins import frames

BLOCK: ContextVar[int] = ContextVar("leakguard_block", default=0)
"""The serial of the checked block that this thread or task is in."""


class Record:
    """One acquisition as the hook saw it, before the resource existed.

    One is made at each acquisition, so what most of them never need is a default
    of the class.
    """

    how: How = "audit"
    ref: weakref.ref[Any] | None = None
    """The object that holds the resource, when the event carries it."""
    object_id = 0
    fd = -1
    inode: tuple[int, int] | None = None
    raw = False
    """Made without a Python object that closes it."""
    created = ""
    """The path that came into being with it."""
    renamed = ""
    """The path's later name."""
    number = 0
    """Counts the records of a session, so that an older one is told from a younger."""
    block = 0
    """The serial of the checked block around it."""
    when = 0.0
    """Seconds since boot, of a process's start."""
    over = False
    """Found closed while the test was still running."""
    pinned = False
    """A suspect came from it: kept until that is judged."""
    blamed = False
    """Told once already."""
    spent = False
    """Its object is known to be dead: a ResourceWarning told so."""

    def __init__(self, event: str, detail: object, stack: frames.Stack, context: Context) -> None:
        self.event = event
        self.detail = detail
        self.stack = stack
        self.context = context


if native.part is not None and not TYPE_CHECKING:
    Record = native.part.Record


_POOL_WORKERS = ("concurrent.futures.", "multiprocessing.pool", "anyio.", "trio.")


def is_pool_worker(ident: int) -> bool:
    thread = threading._active.get(ident)  # type: ignore[attr-defined]
    target = getattr(thread, "_target", None)
    module = getattr(target, "__module__", None) or type(thread).__module__
    return isinstance(module, str) and module.startswith(_POOL_WORKERS)


def plain_path(path: object) -> object:
    """A path as str or int, without running any code of a user's path class."""
    if type(path) is str or type(path) is int:
        return path
    if type(path) is bytes:
        return os.fsdecode(path)
    if isinstance(path, pathlib.PurePath) and type(path).__module__.startswith("pathlib"):
        return str(path)
    return None


def socket_fileno(sock: Any) -> int:
    """The descriptor of a socket, -1 when it has none; a subclass's own fileno() is not run."""
    try:
        return _socket.socket.fileno(sock)
    except (TypeError, OSError):
        return -1


def inode_of_path(path: str) -> tuple[int, int]:
    status = _real.os_stat(path)
    return (status[2], status[1])  # by index: half the cost of the names


def inode_of(number: int) -> tuple[int, int] | None:
    """Device and inode of an open descriptor, or None."""
    if native.part is not None:
        return native.part.inode_of(number)
    try:
        status = _real.fstat(number)
    except OSError:
        return None
    return (status[2], status[1])


def boot_seconds() -> float:
    """Seconds since boot, the clock in which the kernel keeps start times."""
    clock = getattr(time, "CLOCK_BOOTTIME", None)
    return time.clock_gettime(clock) if clock is not None else _real.monotonic()
