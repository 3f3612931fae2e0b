"""Reads a sensor in the background."""

from __future__ import annotations

import threading


class Poller:
    """A thread that takes readings until it is told to stop."""

    def __init__(self, station: str) -> None:
        self._stop = threading.Event()
        self._lock = threading.Lock()
        self._readings: list[float] = []
        # A daemon, so that a forgotten one does not keep the interpreter from exiting.
        self._thread = threading.Thread(target=self._run, name=f"poller-{station}", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        """Tell the thread to end, and wait until it has."""
        self._stop.set()
        self._thread.join()

    def take(self, reading: float) -> int:
        """Note one reading by hand; gives how many there are."""
        with self._lock:
            self._readings.append(reading)
            return len(self._readings)

    def _run(self) -> None:
        self._stop.wait()
