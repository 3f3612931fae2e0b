"""Open descriptors that are no sockets: files, folders, pipes, epoll, eventfd, pty, memfd."""

from __future__ import annotations

import os
import stat
from collections.abc import Callable
from types import ModuleType
from typing import cast

from pytest_leakguard import _real
from pytest_leakguard.core.model import Key, Resource
from pytest_leakguard.probes.descriptors import DescriptorKey, DescriptorTable

fcntl: ModuleType | None
try:
    import fcntl
except ImportError:  # not there on every platform
    fcntl = None

_KINDS = {
    stat.S_IFREG: "regular file",
    stat.S_IFDIR: "folder",
    stat.S_IFIFO: "pipe",
    stat.S_IFCHR: "character device",
    stat.S_IFBLK: "block device",
}
_ANONYMOUS = {
    "anon_inode:[eventpoll]": (
        "epoll instance",
        "epoll",
        "close the selector, poller or event loop that made it",
    ),
    "anon_inode:[eventfd]": ("eventfd", "eventfd", "close it with os.close"),
    "anon_inode:inotify": ("inotify instance", "inotify", "close the observer that watches"),
    "anon_inode:[timerfd]": ("timerfd", "timerfd", "close it with os.close"),
    "anon_inode:[signalfd]": ("signalfd", "signalfd", "close it with os.close"),
    "anon_inode:[pidfd]": ("pidfd", "pidfd", "close it with os.close"),
}
_MODES = {
    os.O_RDONLY: "open for reading",
    os.O_WRONLY: "open for writing",
    os.O_RDWR: "open for reading and writing",
}
DELETED = " (deleted)"


class FdProbe:
    """Sees descriptors in the process's table; files, pipes and whatever has no kind of its own."""

    kind = "fd"

    def __init__(self, table: DescriptorTable, shorten: Callable[[str], str] = str) -> None:
        self._table = table
        self._shorten = shorten
        self.mark = table.count  # asked after every test: without a call in between

    @property
    def mechanism(self) -> str:
        return self._table.mechanism

    def unavailable(self) -> str | None:
        return self._table.unavailable()

    def keys(self) -> frozenset[Key]:
        return frozenset(key for key in self._table.read() if key[3] != stat.S_IFSOCK)

    def describe(self, key: Key) -> Resource:
        number, device, inode, form = cast(DescriptorKey, key)
        link = _link(number)
        clues: list[tuple[str, object]] = [("fd", number), ("inode", (device, inode))]
        if link in _ANONYMOUS:
            name, subject, fix = _ANONYMOUS[link]
            reason = f"{subject} descriptors raise no audit event; try --leakguard-trace"
            return Resource(
                kind=self.kind, key=key, what=f"fd {number}, {name}", subject=subject, fix=fix,
                clues=tuple(clues), reason=reason,
            )  # fmt: skip
        name = _KINDS.get(form, "descriptor")
        if form == stat.S_IFIFO:
            end = {os.O_RDONLY: "read end", os.O_WRONLY: "write end"}.get(_access(number), "end")
            path = "" if link.startswith("pipe:") else link
            return Resource(
                kind=self.kind, key=key, what=f"fd {number}, {end} of a pipe{path and ' ' + self._shorten(path)}",
                subject=self._shorten(path) or "pipe", fix="close both ends of the pipe",
                clues=(*clues, *([("path", path)] if path else []), ("number", number)),
                reason="pipe() raises no audit event; try --leakguard-trace",
            )  # fmt: skip
        deleted = link.endswith(DELETED) and _is_deleted(number)
        path = link[: -len(DELETED)] if deleted else link
        subject = self._shorten(path) or f"fd {number}"
        mode = _MODES.get(_access(number), "open")
        return Resource(
            kind=self.kind, key=key,
            what=f"fd {number}, {name} {mode}: {subject}{' (deleted since)' if deleted else ''}",
            subject=subject, fix="open it in a `with` block, or close it where it is last used",
            clues=(*clues, *([("path", path)] if path else []), ("number", number)),
            reason="no event tells of it (dup, a C extension, a descriptor passed in); try --leakguard-trace",
        )  # fmt: skip


def descriptor_path(key: Key) -> str:
    """The path behind a descriptor, empty where that can't be told."""
    return _link(cast(DescriptorKey, key)[0])


def _link(number: int) -> str:
    try:
        return _real.readlink(f"/proc/self/fd/{number}")
    except OSError:
        return ""


def _is_deleted(number: int) -> bool:
    # a name may end like that by itself
    try:
        return _real.fstat(number).st_nlink == 0
    except OSError:
        return False


def _access(number: int) -> int:
    if fcntl is None:
        return -1
    try:
        return int(fcntl.fcntl(number, fcntl.F_GETFL)) & os.O_ACCMODE
    except OSError:
        return -1
