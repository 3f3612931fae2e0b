"""A TCP server on the loopback interface: the listening socket, the thread that accepts, one thread a connection."""

from __future__ import annotations

import socket
import threading
from collections import deque
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Literal

from pytest_leakguard.reference._closing import ClosedOnExit
from pytest_leakguard.reference._expect import expect_callable, expect_positive
from pytest_leakguard.reference._unwind import add_note, close_all, undo
from pytest_leakguard.reference.errors import AlreadyOpen, NotOpen, ReleaseTimeout

if TYPE_CHECKING:
    from typing_extensions import Self


def echo(connection: socket.socket) -> None:
    """Send back what comes, until the other side ends."""
    while data := connection.recv(65536):
        connection.sendall(data)


class LoopbackServer(ClosedOnExit):
    """A listening socket with a thread that accepts, and a thread for each connection; for tests and demonstrations.

    Acquires: the listening socket, then the accepting thread; later one socket and one thread for each connection.
    Releases: listening stops, the accepting thread is joined, each connection is shut down and closed and its thread
    joined; then the port is free.
    Acquisition fails: what was there is closed, the error comes out.
    An accept fails: its error is kept in `errors`, the server goes on.
    A handler fails: its connection is closed, its error is kept in `errors`; the server goes on.
    Release fails (a handler that does not end): all others are released, then `ReleaseTimeout` comes out.
    States: closed → listening → closed …

    Locking: the threads share the table of connections and the errors, which are read and written under one lock that
    is never held during a call that blocks; and the stop event, which has its own.

    Args:
        handler: called with each accepted socket, in a thread of its own; the socket is closed after it.
        port: 0 lets the system choose.
        join_timeout: seconds that each thread gets to end.
    """

    def __init__(
        self, handler: Callable[[socket.socket], object] = echo, *, port: int = 0, join_timeout: float = 5.0
    ) -> None:
        expect_callable(handler, "handler of LoopbackServer", "a callable that takes a socket")
        expect_positive(join_timeout, "join_timeout of LoopbackServer", "seconds")
        self._handler = handler
        self._wanted_port = port
        self._join_timeout = join_timeout
        self._lock = threading.Lock()
        self._listener: socket.socket | None = None
        self._acceptor: threading.Thread | None = None
        self._connections: dict[threading.Thread, socket.socket] = {}
        self._stopping = threading.Event()
        self._errors: deque[BaseException] = deque(maxlen=100)

    @property
    def state(self) -> Literal["closed", "listening"]:
        """Which of its two states it is in."""
        return "closed" if self._listener is None else "listening"

    @property
    def address(self) -> tuple[str, int]:
        """Host and port to connect to.

        Raises:
            NotOpen: it does not listen.
        """
        if self._listener is None:
            raise NotOpen("LoopbackServer does not listen; open it first")
        host, port = self._listener.getsockname()
        return host, port

    @property
    def port(self) -> int:
        """The port it listens on. Raises `NotOpen` when it does not."""
        return self.address[1]

    @property
    def errors(self) -> tuple[BaseException, ...]:
        """What handlers and the accepting thread raised, oldest first; the last hundred."""
        with self._lock:
            return tuple(self._errors)

    def open(self) -> Self:
        """Listen and begin to accept.

        Raises:
            AlreadyOpen: it listens.
            OSError, RuntimeError: as `bind` and `Thread.start` do.
        """
        if self._listener is not None:
            raise AlreadyOpen(f"LoopbackServer listens on port {self.port} already")
        try:
            self._stopping.clear()
            self._listener = socket.create_server(("127.0.0.1", self._wanted_port))
            # a close must wake accept(): on Linux the shutdown does; elsewhere it may only notice at the next look
            self._listener.settimeout(0.2)
            self._acceptor = threading.Thread(
                target=self._accept, args=(self._listener,), name=f"LoopbackServer-{self.port}"
            )
            self._acceptor.start()
            return self
        except BaseException as error:
            add_note(error, f"while starting a LoopbackServer on port {self._wanted_port}")
            undo(error, self._closing, self.close)
            raise

    def close(self) -> None:
        """Stop listening, end the connections, join the threads; nothing when it does not listen.

        Raises:
            ReleaseTimeout: a thread did not end in time; all else is released.
        """
        close_all(
            ("joining the accepting thread", self._stop_accepting),
            ("closing the listening socket", self._close_listener),
            # no connection can come once the acceptor is joined, so they are ended after that
            ("ending the connections", self._close_connections),
        )

    def _stop_accepting(self) -> None:
        self._stopping.set()
        if self._listener is not None:
            try:
                self._listener.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass  # not connected, says every system but Linux: then the timeout of accept() ends the wait
        acceptor = self._acceptor
        # a thread whose start failed has no ident and can't be joined
        if acceptor is not None and acceptor.ident is not None:
            self._join(acceptor)
        self._acceptor = None

    def _close_listener(self) -> None:
        if self._listener is not None:
            self._listener.close()
            self._listener = None

    def _close_connections(self) -> None:
        with self._lock:
            connections = dict(self._connections)
        ends = [
            (f"ending {thread.name}", partial(_shut_down, connection)) for thread, connection in connections.items()
        ]
        joins = [(f"joining {thread.name}", partial(self._join, thread)) for thread in connections]
        close_all(*ends, *joins)

    def _join(self, thread: threading.Thread) -> None:
        thread.join(self._join_timeout)
        if thread.is_alive():
            raise ReleaseTimeout(f"thread {thread.name!r} of LoopbackServer did not end in {self._join_timeout} s")

    def _accept(self, listener: socket.socket) -> None:
        while True:
            if self._stopping.is_set():
                return
            try:
                connection, peer = listener.accept()
            except TimeoutError:
                continue
            except OSError as error:
                # a client that has gone again, or no descriptor just now: the next one may have more luck
                if not self._stopping.wait(0.02):
                    self._note(error)
                continue
            try:
                self._start_handler(connection, peer[1])
            except BaseException as error:
                connection.close()
                self._note(error)

    def _start_handler(self, connection: socket.socket, peer_port: int) -> None:
        connection.settimeout(None)
        thread = threading.Thread(target=self._serve, args=(connection,), name=f"LoopbackServer-peer-{peer_port}")
        with self._lock:
            self._connections[thread] = connection
        try:
            thread.start()
        except BaseException:
            with self._lock:
                del self._connections[thread]
            raise

    def _serve(self, connection: socket.socket) -> None:
        try:
            self._handler(connection)
        except BaseException as error:
            # a connection that we end ourselves is no error of its handler
            if not (self._stopping.is_set() and isinstance(error, OSError)):
                self._note(error)
        finally:
            connection.close()
            with self._lock:
                self._connections.pop(threading.current_thread(), None)

    def _note(self, error: BaseException) -> None:
        with self._lock:
            self._errors.append(error)

    @property
    def _closing(self) -> str:
        return "closing the LoopbackServer"

    def __enter__(self) -> Self:
        return self.open()


def _shut_down(connection: socket.socket) -> None:
    try:
        connection.shutdown(socket.SHUT_RDWR)
    except OSError:
        pass  # ended already: by the other side, or by its handler
