"""TCP over real sockets: a client, and a server on the loopback interface to try it on."""

from __future__ import annotations

import socket
from contextlib import AbstractContextManager
from typing import Literal

from pytest_leakguard.reference._closing import ClosedOnExit
from pytest_leakguard.reference._expect import expect_positive
from pytest_leakguard.reference._loopback_server import LoopbackServer as LoopbackServer
from pytest_leakguard.reference._loopback_server import echo as echo
from pytest_leakguard.reference._unwind import add_note, undo
from pytest_leakguard.reference.errors import AlreadyOpen, NotOpen


class NetworkClient(ClosedOnExit):
    """One TCP connection at a time; by `with client.connect()`, or by `open()` and `close()`; usable again.

    Acquires: one connected socket. Releases: the same socket.
    Acquisition fails (name unknown, refused, timed out): nothing is left; the error is that of the socket, with a
    note that names host and port; it can be tried again.
    Body fails: the socket is closed, the body's error comes out.
    Release fails: its error comes out, or is a note on the body's.
    States: closed → connected → closed …; a connect when connected is refused with `AlreadyOpen`, and the
    connection that is there stays usable.
    One thread at a time, as with any socket that is not shared on purpose.

    Args:
        host, port: where to.
        timeout: seconds, of the connect and of each later operation; None waits for ever.
    """

    def __init__(self, host: str, port: int, *, timeout: float | None = 10.0) -> None:
        self.host = host
        self.port = port
        if timeout is not None:
            expect_positive(timeout, f"timeout of NetworkClient {host}:{port}", "seconds")
        self.timeout = timeout
        self._socket: socket.socket | None = None

    @property
    def state(self) -> Literal["closed", "connected"]:
        """Which of its two states it is in."""
        return "closed" if self._socket is None else "connected"

    @property
    def connection(self) -> socket.socket:
        """The connected socket.

        Raises:
            NotOpen: there is none.
        """
        if self._socket is None:
            raise NotOpen(f"client of {self.host}:{self.port} is not connected")
        return self._socket

    def open(self) -> socket.socket:
        """Connect, and give the socket.

        Raises:
            AlreadyOpen: it is connected; that connection is not touched.
            OSError: as `socket.create_connection` does, with a note that names host and port.
        """
        if self._socket is not None:
            raise AlreadyOpen(
                f"client of {self.host}:{self.port} is connected already; close it or use a second client"
            )
        try:
            self._socket = socket.create_connection((self.host, self.port), self.timeout)
            return self._socket
        except BaseException as error:
            add_note(error, f"while connecting to {self.host}:{self.port} (timeout {self.timeout} s)")
            undo(error, self._closing, self.close)
            raise

    def connect(self) -> AbstractContextManager[socket.socket]:
        """For `with client.connect() as connection`; connects at `with`, as `with client` does."""
        return self

    def close(self) -> None:
        """Close the connection; nothing when there is none."""
        if self._socket is None:
            return
        try:
            self._socket.close()
        finally:
            if self._socket.fileno() == -1:
                self._socket = None

    @property
    def _closing(self) -> str:
        return f"closing the connection to {self.host}:{self.port}"

    def __enter__(self) -> socket.socket:
        return self.open()

    def __repr__(self) -> str:
        return f"<NetworkClient {self.host}:{self.port} {self.state}>"
