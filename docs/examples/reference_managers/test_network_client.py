"""The examples of docs/reference-managers/network-client.md: a second connect overwrites the first socket."""

from __future__ import annotations

import socket

import pytest

from pytest_leakguard import LeakError
from pytest_leakguard.reference import LoopbackServer, NetworkClient
from pytest_leakguard.reference.errors import AlreadyOpen


class LeakyClient:
    def __init__(self, address):
        self.address = address

    def connect(self):
        self.socket = socket.create_connection(self.address)  # the second time, the first socket is lost

    def close(self):
        self.socket.close()


def fixed_ask(client, question):
    with client.connect() as connection:  # refused with a clear error while it is connected
        connection.sendall(question)
        return connection.recv(100)


def test_leaky(leak_check):
    with LoopbackServer() as server:
        client = LeakyClient(server.address)
        with pytest.raises(LeakError), leak_check("socket", grace=0.2):
            client.connect()
            first = client.socket
            client.connect()
            client.close()
        first.close()


def test_fixed(leak_check):
    with leak_check(), LoopbackServer() as server:
        client = NetworkClient(*server.address)
        assert fixed_ask(client, b"one") == b"one"
        with client.connect(), pytest.raises(AlreadyOpen):
            fixed_ask(client, b"two")
