"""Which Python object owns a descriptor: the one that closes it. Only C methods run, none of a user's class."""

from __future__ import annotations

import _io
import _socket
from typing import Any

from pytest_leakguard import _real
from pytest_leakguard.origins.record import socket_fileno

_BUFFERED = (_io.BufferedReader, _io.BufferedWriter, _io.BufferedRandom)


def number_of(obj: object) -> int:
    """The descriptor that a file or socket object will close, or -1."""
    if isinstance(obj, _socket.socket):
        return socket_fileno(obj)
    raw: Any = obj
    if type(raw) is _io.TextIOWrapper:
        raw = raw.buffer
    if type(raw) in _BUFFERED:
        raw = raw.raw
    # what was detached has None there
    return _number_of_file(raw) if isinstance(raw, _io.FileIO) else -1


def owner_of(number: int) -> str | None:
    """What owns a descriptor at this moment: ``file`` or ``socket``. One pass over the heap."""
    # by id: a metaclass may refuse to hash its classes; all of them are alive while this runs
    words: dict[int, str] = {}
    for obj in _real.gc_get_objects():
        kind = id(type(obj))
        word = words.get(kind)
        if word is None:
            word = words[kind] = _word(type(obj))
        if word and (_number_of_file(obj) if word == "file" else socket_fileno(obj)) == number:
            return word
    return None


def _word(kind: type) -> str:
    return "file" if issubclass(kind, _io.FileIO) else "socket" if issubclass(kind, _socket.socket) else ""


def _number_of_file(file: Any) -> int:
    """-1 where it is closed, or leaves the descriptor to somebody else."""
    try:
        return _io.FileIO.fileno(file) if _CLOSES(file) else -1
    except ValueError:
        return -1


_CLOSES: Any = _io.FileIO.closefd.__get__
