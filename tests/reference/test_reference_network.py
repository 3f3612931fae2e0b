"""TCP: sockets closed and threads joined on every path, against real peers on the loopback interface."""

from __future__ import annotations

import resource
import socket
import threading
from contextlib import suppress

import leaky
import pytest

from pytest_leakguard.reference import LoopbackServer, NetworkClient, secondary_errors
from pytest_leakguard.reference.errors import AlreadyOpen, NotOpen, ReleaseTimeout


class Boom(Exception):
    """The error of a body."""


@pytest.fixture
def server():
    with LoopbackServer() as server:
        yield server


def free_port():
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return listener.getsockname()[1]


@pytest.mark.parametrize("kind", [Boom, KeyboardInterrupt, GeneratorExit, SystemExit])
def test_a_connection_is_closed_on_every_path_and_can_be_made_again(server, kind, leak_check):
    """Normal end and any error; by `connect()`, by the client itself and by hand."""
    client = NetworkClient("127.0.0.1", server.port, timeout=5)
    with leak_check("fd", "socket"):
        for manager in (client.connect(), client):
            with manager as connection:
                connection.sendall(b"ping")
                assert connection.recv(4) == b"ping"
                assert client.state == "connected"
                assert client.connection is connection
            assert client.state == "closed"
            with pytest.raises(kind), manager:
                raise kind
        client.open().sendall(b"x")
        client.close()
        client.close()
        with pytest.raises(NotOpen, match=r"127\.0\.0\.1"):
            client.connection
        server.close()  # its side of the connections


def test_a_second_connect_is_refused_not_lost(server):
    """A clear error, and the first connection goes on working."""
    client = NetworkClient("127.0.0.1", server.port)
    with client.connect() as connection:
        with pytest.raises(AlreadyOpen, match=rf"127\.0\.0\.1:{server.port} is connected already"):
            client.open()
        with pytest.raises(AlreadyOpen), client.connect():
            pass
        connection.sendall(b"x")
        assert connection.recv(1) == b"x"


def test_a_refused_connect_leaves_nothing(leak_check):
    """The error is the socket's own; a note names where it was to go; it can be tried again."""
    port = free_port()
    client = NetworkClient("127.0.0.1", port, timeout=5)
    with leak_check():
        for _ in range(2):
            with pytest.raises(ConnectionRefusedError) as caught:
                client.open()
            assert caught.value.__notes__ == [f"while connecting to 127.0.0.1:{port} (timeout 5 s)"]
            assert client.state == "closed"
    with LoopbackServer(port=port), client.connect() as connection:
        connection.sendall(b"x")
        assert connection.recv(1) == b"x"


def test_a_connect_that_times_out_leaves_nothing(leak_check):
    """A listener whose backlog is full never answers."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen(0)
        queued = [socket.socket() for _ in range(4)]
        for one in queued:
            one.setblocking(False)
            one.connect_ex(listener.getsockname())
        client = NetworkClient(*listener.getsockname(), timeout=0.1)
        with leak_check(), pytest.raises(TimeoutError) as caught:
            client.open()
        assert "timeout 0.1 s" in caught.value.__notes__[0]
        for one in queued:
            one.close()


def test_no_descriptor_left_for_a_socket(leak_check):
    """EMFILE for real: nothing is left, and with descriptors again it connects."""
    with LoopbackServer() as server:
        client = NetworkClient("127.0.0.1", server.port)
        soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        with leak_check():
            used = len([None for number in range(64) if is_open(number)])
            resource.setrlimit(resource.RLIMIT_NOFILE, (min(3, used), hard))
            try:
                with pytest.raises(OSError, match="Too many open files"):
                    client.open()
            finally:
                resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
        with client.connect():
            pass


def is_open(number):
    import os

    try:
        os.fstat(number)
    except OSError:
        return False
    return True


def test_a_bad_timeout_is_told():
    """It names the client."""
    with pytest.raises(ValueError, match=r"NetworkClient localhost:1: 0 is not above zero seconds"):
        NetworkClient("localhost", 1, timeout=0)


def test_the_twin_that_overwrites_its_socket(server, left_behind, is_marked):
    """Nested connects leave the first one open; the reference refuses the second."""

    def nested(client):
        with suppress(AlreadyOpen), client.connect(), client.connect():
            pass

    def only_sockets(findings):
        # the server's side of each connection ends in a thread of its own
        return [finding for finding in findings if is_marked(finding)]

    assert only_sockets(left_behind(lambda: nested(NetworkClient("127.0.0.1", server.port)))) == []
    (finding,) = only_sockets(left_behind(lambda: nested(leaky.LeakyNetworkClient("127.0.0.1", server.port))))
    assert finding.kind == "socket"


# -- LoopbackServer


def test_a_server_leaves_nothing(leak_check):
    """Threads joined, accepted connections closed, the port free at once; usable again."""
    server = LoopbackServer()
    with leak_check():
        for _ in range(2):
            with server:
                port = server.port
                clients = [socket.create_connection(server.address, 5) for _ in range(5)]
                for client in clients:
                    client.sendall(b"x")
                    assert client.recv(1) == b"x"
            for client in clients:
                assert client.recv(1) == b""
                client.close()
            with pytest.raises(ConnectionRefusedError):
                socket.create_connection(("127.0.0.1", port), 5)
        server.close()
    leak_check.releases(LoopbackServer)
    assert server.state == "closed"
    with pytest.raises(NotOpen):
        server.address
    assert server.errors == ()


def test_a_server_is_not_started_twice(server):
    """The second is refused; a port that is taken is an error that names it, and leaves nothing."""
    with pytest.raises(AlreadyOpen, match=str(server.port)):
        server.open()
    other = LoopbackServer(port=server.port)
    with pytest.raises(OSError, match="in use") as caught:
        other.open()
    assert f"port {server.port}" in caught.value.__notes__[0]
    assert other.state == "closed"


def test_an_error_of_a_handler_is_kept(leak_check):
    """Its connection is closed, the server goes on, the error can be read."""

    def handler(connection):
        if connection.recv(1) == b"!":
            raise Boom("handler")
        connection.sendall(b"ok")

    with leak_check(), LoopbackServer(handler) as server:
        for sent, answer in ((b"!", b""), (b"?", b"ok")):
            with socket.create_connection(server.address, 5) as client:
                client.sendall(sent)
                assert client.recv(2) == answer
    assert [str(error) for error in server.errors] == ["handler"]


def test_a_handler_that_does_not_end_is_told(leak_check):
    """The close says which thread, and has released all else; the body's error still comes out."""
    entered, end = threading.Event(), threading.Event()

    def handler(connection):
        entered.set()
        end.wait(10)

    with leak_check():
        server = LoopbackServer(handler, join_timeout=0.05)
        with pytest.raises(Boom) as caught, server:
            client = socket.create_connection(server.address, 5)
            assert entered.wait(5)
            raise Boom
        (second,) = secondary_errors(caught.value)
        assert isinstance(second, ReleaseTimeout)
        assert "did not end in 0.05 s" in str(second)
        assert server.state == "closed"
        client.close()
        end.set()


def test_a_thread_that_cannot_start(monkeypatch, leak_check):
    """The port is free again."""
    port = free_port()

    def start(self):
        raise RuntimeError("can't start new thread")

    with monkeypatch.context() as patched:
        patched.setattr(threading.Thread, "start", start)
        with leak_check(), pytest.raises(RuntimeError), LoopbackServer(port=port):
            pass
    with LoopbackServer(port=port):
        pass


def test_the_twin_that_forgets_accepted_connections(left_behind, is_marked):
    """Its side of the connection stays open after the close."""

    def use(server):
        with server:
            with socket.create_connection(server.address, 5) as client:
                client.sendall(b"x")
                assert client.recv(1) == b"x"

    assert left_behind(lambda: use(LoopbackServer())) == []
    (finding,) = left_behind(lambda: use(leaky.LeakyLoopbackServer()))
    assert finding.kind == "socket"
    assert is_marked(finding)


def test_what_is_not_callable_is_refused():
    """With what was given."""
    with pytest.raises(TypeError, match=r"handler of LoopbackServer: 5 is of type int; expected a callable"):
        LoopbackServer(5)
