"""mmap: a memory map that nobody closes. The descriptor that it keeps is part of the same finding."""

from __future__ import annotations

from pathlib import Path

from app import relief


def test_leaky_relief(tmp_path: Path) -> None:
    path = tmp_path / "hill.dat"
    path.write_bytes(bytes([12, 40, 31]))
    assert max(relief.shared_relief(path)[:]) == 40


def test_clean_relief(tmp_path: Path) -> None:
    path = tmp_path / "hill.dat"
    path.write_bytes(bytes([12, 40, 31]))
    with relief.relief(path) as heights:
        assert max(heights[:]) == 40
