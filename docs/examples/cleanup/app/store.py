"""A small store with three cleanup paths."""

from __future__ import annotations

import os


class Store:
    def __init__(self, path: str) -> None:
        self._path = path

    def __enter__(self) -> int:
        self._fd = os.open(self._path, os.O_RDWR | os.O_CREAT)
        return self._fd

    def __exit__(self, *error: object) -> None:
        os.close(self._fd)


def save(path: str, text: str) -> int:
    with Store(path) as store:
        return os.write(store, text.encode())


def replace(path: str, text: str) -> None:
    draft = path + ".draft"
    try:
        save(draft, text)
        os.replace(draft, path)
    finally:
        if os.path.exists(draft):
            os.unlink(draft)
