"""Lends out open files, so that many readers share few of them."""

from __future__ import annotations

from pathlib import Path
from typing import TextIO


class Pool:
    """Opens a file the first time one is asked for; `close` closes those that came back."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._idle: list[TextIO] = []
        self._lent: list[TextIO] = []

    def borrow(self) -> TextIO:
        source = self._idle.pop() if self._idle else open(self._path, encoding="utf-8")
        self._lent.append(source)
        return source

    def give_back(self, source: TextIO) -> None:
        self._lent.remove(source)
        self._idle.append(source)

    def close(self) -> None:
        while self._idle:
            self._idle.pop().close()
