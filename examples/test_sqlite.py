"""sqlite: a connection that nobody closes. The files of its database are part of the same finding."""

from __future__ import annotations

from pathlib import Path

from app import archive


def test_leaky_archive(tmp_path: Path) -> None:
    """The connection sits in a functools.cache."""
    assert archive.store(archive.shared_archive(tmp_path / "readings.db"), 3.5) == 1


def test_clean_archive(tmp_path: Path) -> None:
    with archive.archive(tmp_path / "readings.db") as connection:
        assert archive.store(connection, 3.5) == 1
