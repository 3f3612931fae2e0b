"""temp: a file that the test put outside pytest's own tmp tree, and left there."""

from __future__ import annotations

from collections.abc import Callable

from app import export


def test_leaky_export(after_run: Callable[..., object]) -> None:
    path = export.write_export([3.5, 4.0])
    after_run(path.unlink)
    assert path.read_text(encoding="utf-8") == "3.5\n4.0\n"


def test_clean_export() -> None:
    with export.exported([3.5, 4.0]) as path:
        assert path.read_text(encoding="utf-8") == "3.5\n4.0\n"
