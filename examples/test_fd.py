"""fd: open files, selectors, pipes, folders: whatever has a number in the process."""

from __future__ import annotations

import contextlib
import socket
from pathlib import Path

from app import journal
from app.watcher import Watcher


def test_leaky_journal(tmp_path: Path) -> None:
    """The handler stays on the logger, and the handler's file stays open."""
    journal.open_journal(tmp_path / "station.log")
    journal.log.warning("frost")
    assert "frost" in (tmp_path / "station.log").read_text(encoding="utf-8")


def test_clean_journal(tmp_path: Path) -> None:
    with journal.journal(tmp_path / "station.log"):
        journal.log.warning("frost")
    assert "frost" in (tmp_path / "station.log").read_text(encoding="utf-8")


def test_leaky_watcher() -> None:
    """Nothing tells where a selector began; run with --leakguard-trace to see the line."""
    near, far = socket.socketpair()
    with near, far:
        watcher = Watcher()
        watcher.add(near)
        far.send(b"frost")
        assert watcher.ready() == 1


def test_clean_watcher() -> None:
    near, far = socket.socketpair()
    with near, far, contextlib.closing(Watcher()) as watcher:
        watcher.add(near)
        far.send(b"frost")
        assert watcher.ready() == 1
