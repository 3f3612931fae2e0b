"""Waits for many sensors at once."""

from __future__ import annotations

import selectors
import socket

_watchers: list[Watcher] = []


class Watcher:
    """A selector over sensor sockets. The module remembers each watcher until it is closed."""

    def __init__(self) -> None:
        # epoll_create and kqueue raise no audit event: without --leakguard-trace the report
        # can say what was left, but not on which line it began.
        self._selector = selectors.DefaultSelector()
        _watchers.append(self)

    def add(self, sensor: socket.socket) -> None:
        self._selector.register(sensor, selectors.EVENT_READ)

    def ready(self) -> int:
        """How many sensors have something to say, without waiting."""
        return len(self._selector.select(timeout=0))

    def close(self) -> None:
        _watchers.remove(self)
        self._selector.close()
