"""Sockets: the same table as descriptors, with family, addresses and state for a suspect."""

from __future__ import annotations

import _socket
import os
import socket
import stat
from collections.abc import Callable
from typing import Any, cast

from pytest_leakguard.core.model import Key, Resource
from pytest_leakguard.probes.descriptors import DescriptorKey, DescriptorTable


class SocketProbe:
    """Sees sockets in the descriptor table, and asks the kernel about a suspect."""

    kind = "socket"
    moves_are_recorded = True

    def __init__(self, table: DescriptorTable, shorten: Callable[[str], str] = str) -> None:
        self._table = table
        self._shorten = shorten

    @property
    def mechanism(self) -> str:
        return self._table.mechanism

    def unavailable(self) -> str | None:
        return self._table.unavailable()

    def mark(self) -> int:
        return 0  # the descriptors' count covers it; the audit hook sees each new one

    def keys(self) -> frozenset[Key]:
        return frozenset(key for key in self._table.read() if key[3] == stat.S_IFSOCK)

    def describe(self, key: Key) -> Resource:
        number, device, inode, _ = cast(DescriptorKey, key)
        name, address = _in_words(number)
        return Resource(
            kind=self.kind,
            key=key,
            what=f"fd {number}, {name}",
            subject=self._shorten(address) if address.startswith("/") else address or "socket",
            fix="close it on every path: a `with` block, or close() in a `finally`",
            clues=(("fd", number), ("inode", (device, inode))),
            reason="its socket object was detached, or C code made it; try --leakguard-trace",
        )


def _in_words(number: int) -> tuple[str, str]:
    """What a socket is, and the address that tells it apart: the peer's, else its own.

    The kernel is asked through a socket object around the descriptor itself, which
    takes no descriptor, and gives it back untouched.
    """
    try:
        sock = _socket.socket(fileno=number)
    except OSError:
        return "socket", ""
    try:
        family, kind = sock.family, sock.type
        local, remote = _ask(sock.getsockname), _ask(sock.getpeername)
        listening = bool(_ask(lambda: sock.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN)))
    finally:
        sock.detach()
    if family == getattr(socket, "AF_UNIX", None):
        name = "Unix socket"
    else:
        name = "TCP socket" if kind == socket.SOCK_STREAM else "UDP socket" if kind == socket.SOCK_DGRAM else "socket"
    here, there = _address(local), _address(remote)
    if listening:
        return f"{name}, listening on {here}", here
    if there:
        return f"{name}, {here or 'unnamed'} to {there}, connected", there
    if remote is not None:
        return f"{name}, connected to an unnamed one", here
    if here and not here.endswith(":0"):
        return f"{name}, bound to {here}, not connected", here
    return f"{name}, not bound, not connected", ""


def _ask(question: Callable[[], Any]) -> Any:
    try:
        return question()
    except OSError:
        return None


def _address(address: Any) -> str:
    if isinstance(address, tuple) and len(address) >= 2:
        return f"{address[0]}:{address[1]}"
    if isinstance(address, bytes):
        return os.fsdecode(address).replace("\0", "@")
    return address.replace("\0", "@") if isinstance(address, str) else ""
