"""The examples of docs/howto/session-fixtures.md."""

from __future__ import annotations

import socket
from collections.abc import Iterator

import pytest


@pytest.fixture(scope="session")
def server() -> Iterator[socket.socket]:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        yield listener


class Client:
    """Connects when it is first used, and keeps the connection."""

    def __init__(self, address: tuple[str, int]) -> None:
        self._address = address
        self._connection: socket.socket | None = None

    def send(self, text: str) -> None:
        if self._connection is None:
            self._connection = socket.create_connection(self._address, timeout=5.0)
        self._connection.sendall(text.encode())

    def close(self) -> None:
        if self._connection is not None:
            self._connection.close()


@pytest.fixture(scope="session")
def client(server: socket.socket) -> Iterator[Client]:
    client = Client(server.getsockname())
    yield client
    client.close()


def test_first_use(client: Client) -> None:
    client.send("hello")  # opens the socket: during this test, but it is the client's to close


def test_second_use(client: Client) -> None:
    client.send("hello again")
