"""Heights around the station, read through a memory map."""

from __future__ import annotations

import contextlib
import mmap
from collections.abc import Iterator
from pathlib import Path

_maps: dict[Path, mmap.mmap] = {}


def open_relief(path: Path) -> mmap.mmap:
    """Map a file of heights, one byte each."""
    with open(path, "rb") as file:
        return mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)


def shared_relief(path: Path) -> mmap.mmap:
    """One map per file. Careless: closing the file does not close the map, and nobody else does."""
    if path not in _maps:
        _maps[path] = open_relief(path)
    return _maps[path]


@contextlib.contextmanager
def relief(path: Path) -> Iterator[mmap.mmap]:
    """A map for the length of the block."""
    with open_relief(path) as heights:
        yield heights
