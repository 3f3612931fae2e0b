"""socket: a descriptor that is closed under the object which owns it."""

from __future__ import annotations

import socket
from collections.abc import Iterator

import pytest
from app import probe


@pytest.fixture(scope="module")
def lent_beacon() -> Iterator[socket.socket]:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as beacon:
        yield beacon
        beacon.detach()  # by now the number may be somebody else's


@pytest.fixture(scope="module")
def beacon() -> Iterator[socket.socket]:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as beacon:
        yield beacon


def test_clean_probe(beacon: socket.socket) -> None:
    """What is closed is the copy."""
    assert probe.is_socket_by_copy(beacon.fileno())


def test_leaky_probe(lent_beacon: socket.socket) -> None:
    """Closed twice in the end, once here and once by the fixture. With --leakguard-trace the line is known."""
    assert probe.is_socket(lent_beacon.fileno())


def test_clean_beacon(beacon: socket.socket) -> None:
    """The other one is still there."""
    assert beacon.fileno() >= 0
