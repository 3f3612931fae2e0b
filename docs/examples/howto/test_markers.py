"""The examples of docs/reference/markers.md and docs/howto/allow-a-leak.md: all pass."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest


@pytest.mark.no_leaks
def test_checked_without_the_flag(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("frost", encoding="utf-8")


@pytest.mark.no_leaks("fd", "socket")
def test_only_these_kinds() -> None:
    pass


@pytest.mark.no_leaks(add=("object",), allow=("thread:poller-* -- ends by itself",), grace=0.2)
def test_more_kinds_less_patience() -> None:
    pass


@pytest.mark.allow_leaks("thread:poller-roof", reason="the roof station runs to the end")
def test_known_leak() -> None:
    threading.Thread(target=threading.Event().wait, name="poller-roof", daemon=True).start()
