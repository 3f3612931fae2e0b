"""Writes readings to a file that somebody else picks up."""

from __future__ import annotations

import contextlib
import tempfile
from collections.abc import Iterable, Iterator
from pathlib import Path


def write_export(readings: Iterable[float]) -> Path:
    """Write the readings to a temporary file. Careless: `mkstemp` leaves removal to the caller."""
    number, name = tempfile.mkstemp(prefix="station-", suffix=".csv")
    with open(number, "w", encoding="utf-8") as out:
        out.writelines(f"{reading}\n" for reading in readings)
    return Path(name)


@contextlib.contextmanager
def exported(readings: Iterable[float]) -> Iterator[Path]:
    """The same file, there for the length of the `with` block."""
    path = write_export(readings)
    try:
        yield path
    finally:
        path.unlink()
