"""A rain gauge that several threads read."""

from __future__ import annotations

import threading


class RainGauge:
    def __init__(self, lock: threading.Lock) -> None:
        self.total = 0.0
        self._lock = lock

    def add_carelessly(self, millimetres: float) -> None:
        """Careless: the error leaves with the lock held, and the next reader waits for ever."""
        self._lock.acquire()
        self._add(millimetres)
        self._lock.release()

    def add(self, millimetres: float) -> None:
        """The same, releasing the lock on every path."""
        with self._lock:
            self._add(millimetres)

    def _add(self, millimetres: float) -> None:
        if millimetres < 0:
            raise ValueError("rain does not fall upwards")
        self.total += millimetres
