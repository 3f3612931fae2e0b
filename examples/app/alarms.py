"""Tells listeners about alarms."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator

Listener = Callable[[str], None]
_listeners: list[Listener] = []


def subscribe(listener: Listener) -> None:
    """Call `listener` for each alarm. Careless: a bound method keeps its object alive for good."""
    _listeners.append(listener)


@contextlib.contextmanager
def subscribed(listener: Listener) -> Iterator[None]:
    """Call `listener` for each alarm inside the `with` block."""
    subscribe(listener)
    try:
        yield
    finally:
        _listeners.remove(listener)


def ring(alarm: str) -> None:
    for listener in list(_listeners):
        listener(alarm)


class Dashboard:
    """Shows alarms on a screen."""

    def __init__(self) -> None:
        self.shown: list[str] = []

    def show(self, alarm: str) -> None:
        self.shown.append(alarm)
