"""The examples of docs/reference/fixtures.md."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any, ClassVar, TextIO

import pytest

from pytest_leakguard import LeakError


@contextlib.contextmanager
def careful(path: Path) -> Iterator[TextIO]:
    with open(path, encoding="utf-8") as source:
        yield source


class Careless:
    """Closes its file only when the body went well."""

    kept: ClassVar[list[TextIO]] = []

    def __init__(self, path: Path) -> None:
        self._path = path

    def __enter__(self) -> TextIO:
        self.kept.append(open(self._path, encoding="utf-8"))
        return self.kept[-1]

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        if kind is None:
            self.kept.pop().close()


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "readings.csv"
    path.write_text("3.5\n", encoding="utf-8")
    return path


def test_block(leak_check: Any, path: Path) -> None:
    with leak_check(), open(path, encoding="utf-8") as source:
        assert source.readline() == "3.5\n"


def test_block_that_leaks(leak_check: Any, path: Path) -> None:
    kept: list[TextIO] = []
    with pytest.raises(LeakError), leak_check("fd"):
        kept.append(open(path, encoding="utf-8"))
    kept.pop().close()


def test_by_hand(leak_check: Any, path: Path) -> None:
    before = leak_check.snapshot()
    source = open(path, encoding="utf-8")
    assert len(leak_check.diff(before, leak_check.snapshot())) == 1
    source.close()
    assert not leak_check.diff(before, leak_check.snapshot())


def test_releases(leak_check: Any, path: Path) -> None:
    leak_check.releases(lambda: careful(path))


def test_releases_that_leaks(leak_check: Any, path: Path) -> None:
    with pytest.raises(LeakError):
        leak_check.releases(lambda: Careless(path))
    Careless.kept.pop().close()


def test_track(leak_check: Any) -> None:
    class Dashboard:
        pass

    leak_check.track(Dashboard())
