"""The errors that are injected: such as the call can really give, and recognizable."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from typing import Any, TypeVar

E = TypeVar("E", bound=BaseException)

_MARK = "_leakguard_fault"


class InjectedFault(Exception):
    """An error of a call that is the project's own: which ones that gives, nobody can know."""


class InjectedInterrupt(KeyboardInterrupt):
    """An interrupt that no keyboard sent."""


def planned(error: E, point_id: str) -> E:
    """Mark an error as injected at that point, nothing when it was asked for by hand; gives it back."""
    setattr(error, _MARK, point_id)
    return error


def message(text: str, point_id: str) -> str:
    """What an injected error says."""
    return f"{text} (injected; repeat with --leakguard-fault={point_id})" if point_id else f"{text} (injected)"


def is_injected(error: BaseException | None) -> bool:
    """Whether an error was injected by the fault engine."""
    return error is not None and hasattr(error, _MARK)


def fault_of(error: BaseException | None) -> str:
    """The id of the point where an error was injected, or nothing."""
    return str(getattr(error, _MARK, ""))


def comes_from_injected(error: BaseException | None) -> bool:
    """Whether an error was injected, or raised because of one: cause, context, member of a group."""
    return any(is_injected(one) for one in related(error))


def related(error: BaseException | None) -> Iterator[BaseException]:
    """An error, its causes, its contexts, the members of groups; each once."""
    waiting, seen = [error], set()
    while waiting:
        one = waiting.pop()
        if one is None or id(one) in seen:
            continue
        seen.add(id(one))
        yield one
        waiting += [one.__cause__, one.__context__]
        members = getattr(one, "exceptions", ())
        if isinstance(members, (tuple, list)):
            waiting += [member for member in members if isinstance(member, BaseException)]


_EVENTS: dict[str, tuple[str, int]] = {
    "open": ("open", errno.EMFILE),
    "os.scandir": ("scandir", errno.EMFILE),
    "os.listdir": ("listdir", errno.EACCES),
    "os.mkdir": ("mkdir", errno.ENOSPC),
    "os.rename": ("rename", errno.EACCES),
    "os.link": ("link", errno.EACCES),
    "os.symlink": ("symlink", errno.EACCES),
    "os.truncate": ("truncate", errno.ENOSPC),
    "os.chmod": ("chmod", errno.EPERM),
    "os.chown": ("chown", errno.EPERM),
    "os.utime": ("utime", errno.EPERM),
    "os.fork": ("fork", errno.EAGAIN),
    "os.forkpty": ("forkpty", errno.EAGAIN),
    "os.posix_spawn": ("posix_spawn", errno.EAGAIN),
    "subprocess.Popen": ("Popen", errno.EAGAIN),
    "socket.__new__": ("socket", errno.EMFILE),
    "socket.connect": ("connect", errno.ECONNREFUSED),
    "socket.bind": ("bind", errno.EADDRINUSE),
    "socket.sendto": ("sendto", errno.EPIPE),
    "socket.sendmsg": ("sendmsg", errno.EPIPE),
    "mmap.__new__": ("mmap", errno.ENOMEM),
    "_posixshmem.shm_open": ("shm_open", errno.EMFILE),
    "fcntl.flock": ("flock", errno.EWOULDBLOCK),
    "fcntl.lockf": ("lockf", errno.EWOULDBLOCK),
    "tempfile.mkstemp": ("mkstemp", errno.ENOSPC),
    "tempfile.mkdtemp": ("mkdtemp", errno.ENOSPC),
}
_OTHERS = {
    "sqlite3.connect": "sqlite3.connect",
    "socket.getaddrinfo": "getaddrinfo",
    "_thread.start_new_thread": "thread",
    "_thread.start_joinable_thread": "thread",
}

WHAT = {**{event: name for event, (name, _) in _EVENTS.items()}, **_OTHERS}
"""Audit event -> short name, as points tell it, of the operations that can fail."""

EVENTS = tuple(WHAT)


def error_of(event: str, args: Any, point_id: str) -> BaseException:
    """A new error that the audited call can really give."""
    if event in _EVENTS:
        number = _EVENTS[event][1]
        if event == "open" and type(args[0]) is int:
            number = errno.ENOMEM  # a descriptor is there already: no new one is asked for
        path = args[0] if event in _WITH_PATH and isinstance(args[0], (str, bytes)) else None
        text = message(os.strerror(number), point_id)
        return planned(OSError(number, text, path) if path is not None else OSError(number, text), point_id)
    if event == "sqlite3.connect":
        import sqlite3

        return planned(sqlite3.OperationalError(message("unable to open database file", point_id)), point_id)
    if event == "socket.getaddrinfo":
        import socket

        error = socket.gaierror(socket.EAI_AGAIN, message("Temporary failure in name resolution", point_id))
        return planned(error, point_id)
    return planned(RuntimeError(message("can't start new thread", point_id)), point_id)


_WITH_PATH = frozenset({"open", "os.scandir", "os.listdir", "os.mkdir", "os.rename", "os.link", "os.symlink"})
