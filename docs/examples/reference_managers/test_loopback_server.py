"""The examples of docs/reference-managers/loopback-server.md: accepted connections are never closed."""

from __future__ import annotations

import socket
import threading

import pytest

from pytest_leakguard import LeakError
from pytest_leakguard.reference import LoopbackServer


def leaky_serve_once(listener, accepted):
    connection, _ = listener.accept()
    accepted.append(connection)
    connection.sendall(connection.recv(100))  # and the connection stays


def fixed_serve(use):
    with LoopbackServer(lambda connection: connection.sendall(connection.recv(100))) as server:
        return use(server.address)


def ask(address):
    with socket.create_connection(address, 5) as client:
        client.sendall(b"x")
        return client.recv(1)


def test_leaky(leak_check):
    accepted = []
    with pytest.raises(LeakError), leak_check("socket"), socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=leaky_serve_once, args=(listener, accepted))
        thread.start()
        ask(listener.getsockname())
        thread.join()
    accepted[0].close()


def test_fixed(leak_check):
    with leak_check():
        assert fixed_serve(ask) == b"x"
