"""Sockets: the same table as descriptors, with family, addresses and state for a suspect."""

from __future__ import annotations

import stat
from collections.abc import Callable
from typing import Any, cast

from pytest_leakguard.core.model import Key, Resource
from pytest_leakguard.probes.descriptors import DescriptorKey, DescriptorTable


class SocketProbe:
    """Sees sockets in the descriptor table; psutil only describes a suspect."""

    kind = "socket"

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
        connection = _connection(number)
        name, addresses = _in_words(connection)
        return Resource(
            kind=self.kind,
            key=key,
            what=f"fd {number}, {name}{addresses and ', ' + addresses}",
            subject=self._subject(connection),
            fix="close it on every path: a `with` block, or close() in a `finally`",
            clues=(("fd", number), ("inode", (device, inode))),
            reason="it was made outside Python's socket module; try --leakguard-trace",
        )

    def _subject(self, connection: Any) -> str:
        if connection is None:
            return "socket"
        for address in (connection.raddr, connection.laddr):
            if address:
                return self._shorten(address) if isinstance(address, str) else f"{address.ip}:{address.port}"
        return "socket"


def _connection(number: int) -> Any:
    import psutil

    try:
        process = psutil.Process()
        read = getattr(process, "net_connections", None) or process.connections
        return next((c for c in read(kind="all") if c.fd == number), None)
    except (psutil.Error, OSError):
        return None


def _in_words(connection: Any) -> tuple[str, str]:
    if connection is None:
        return "socket, not connected", ""
    import socket

    if connection.family == getattr(socket, "AF_UNIX", None):
        path = connection.laddr or connection.raddr
        return "Unix socket", f"at {path}" if path else "without a name"
    protocol = {socket.SOCK_STREAM: "TCP socket", socket.SOCK_DGRAM: "UDP socket"}.get(connection.type, "socket")
    local = f"{connection.laddr.ip}:{connection.laddr.port}" if connection.laddr else ""
    remote = f"{connection.raddr.ip}:{connection.raddr.port}" if connection.raddr else ""
    if connection.status == "LISTEN":
        return protocol, f"listening on {local}"
    if remote:
        return protocol, f"{local} to {remote}, {connection.status.lower()}"
    return protocol, f"bound to {local}, not connected" if local else "not connected"
