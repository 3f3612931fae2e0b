"""One test, of the normal path."""

from __future__ import annotations

from pathlib import Path

from app import store


def test_save(tmp_path: Path) -> None:
    assert store.save(str(tmp_path / "a"), "frost") == 5
