"""The examples of docs/howto/inject-an-error.md."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest


class Journal:
    """Writes to a file beside the real one, and moves it there at the end."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._draft = path.with_suffix(".draft")

    def __enter__(self) -> Any:
        self._file = open(self._draft, "w", encoding="utf-8")
        return self._file

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        self._file.close()
        if kind is None:
            self._draft.replace(self._path)
        else:
            self._draft.unlink()


def test_journal(inject_error: Any, tmp_path: Path) -> None:
    try:
        with Journal(tmp_path / "journal") as journal:
            journal.write("frost\n")
            inject_error.here()
    finally:
        assert list(tmp_path.iterdir()) == []


@pytest.mark.no_leaks(errors=[OSError, "KeyboardInterrupt"])
def test_two_errors(inject_error: Any, tmp_path: Path) -> None:
    with Journal(tmp_path / "journal"):
        inject_error.here()
