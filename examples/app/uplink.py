"""The network side: a station listens, or connects to its base."""

from __future__ import annotations

import contextlib
import functools
import socket
from collections.abc import Iterator

_receivers: dict[str, socket.socket] = {}


def listen(station: str) -> socket.socket:
    """Listen for readings on a free loopback port. Careless: stays open until someone asks."""
    receiver = socket.create_server(("127.0.0.1", 0))
    _receivers[station] = receiver
    return receiver


@contextlib.contextmanager
def listening(station: str) -> Iterator[socket.socket]:
    """Listen inside the `with` block."""
    receiver = listen(station)
    try:
        yield receiver
    finally:
        _receivers.pop(station).close()


@functools.cache
def uplink(host: str, port: int) -> socket.socket:
    """The connection to the base. Careless: a cache has no end, and nobody else closes it."""
    return socket.create_connection((host, port), timeout=5.0)


@contextlib.contextmanager
def connected(host: str, port: int) -> Iterator[socket.socket]:
    """A connection to the base for the length of the `with` block."""
    with socket.create_connection((host, port), timeout=5.0) as connection:
        yield connection
