"""Keeps readings in an SQLite database."""

from __future__ import annotations

import contextlib
import functools
import sqlite3
from collections.abc import Iterator
from pathlib import Path


def open_archive(path: Path) -> sqlite3.Connection:
    connection = sqlite3.connect(path)
    connection.execute("CREATE TABLE IF NOT EXISTS reading (value REAL)")
    return connection


@functools.cache
def shared_archive(path: Path) -> sqlite3.Connection:
    """One connection per file. Careless: a cache has no end, and nobody else closes it."""
    return open_archive(path)


@contextlib.contextmanager
def archive(path: Path) -> Iterator[sqlite3.Connection]:
    """A connection for the length of the block. Note that `with connection:` does not close it."""
    with contextlib.closing(open_archive(path)) as connection:
        yield connection


def store(connection: sqlite3.Connection, reading: float) -> int:
    """Store one reading; gives how many there are."""
    with connection:  # commits, or rolls back
        connection.execute("INSERT INTO reading VALUES (?)", (reading,))
    (count,) = connection.execute("SELECT count(*) FROM reading").fetchone()
    return int(count)
