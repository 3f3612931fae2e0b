"""socket: listeners and connections, on loopback only."""

from __future__ import annotations

import socket
from collections.abc import Iterator

import pytest
from app import uplink


@pytest.fixture
def base() -> Iterator[tuple[str, int]]:
    """The address of a base that takes connections for the length of one test."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server.getsockname()


def test_leaky_listener() -> None:
    assert uplink.listen("hill").getsockname()[1] > 0


def test_clean_listener() -> None:
    with uplink.listening("valley") as receiver:
        assert receiver.getsockname()[1] > 0


def test_leaky_connection(base: tuple[str, int]) -> None:
    """The connection sits in a functools.cache."""
    assert uplink.uplink(*base).getpeername() == base


def test_clean_connection(base: tuple[str, int]) -> None:
    with uplink.connected(*base) as connection:
        assert connection.getpeername() == base
