"""The examples of docs/reference-managers/best-practices.md."""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path

import pytest

from pytest_leakguard.reference import ManagedFile, secondary_errors


def promised_first(path):
    with ExitStack() as stack:
        file = ManagedFile(path)
        stack.callback(file.close)  # does nothing while it is closed
        return file.open().read()


class Pair:
    def __init__(self, first, second):
        with ExitStack() as stack:
            self.first = stack.enter_context(ManagedFile(first))
            self.second = stack.enter_context(ManagedFile(second))  # fails: the first is closed
            self._stack = stack.pop_all()

    def close(self):
        self._stack.close()


def told_in_full(path):
    try:
        with ManagedFile(path, "w") as file:
            file.write("more than fits")
            raise KeyError("body")
    except KeyError as error:
        return [type(second) for second in secondary_errors(error)]


def test_promised_first(leak_check, tmp_path):
    (tmp_path / "x").write_text("x")
    with leak_check():
        assert promised_first(tmp_path / "x") == "x"
        with pytest.raises(FileNotFoundError):
            promised_first(tmp_path / "y")


def test_all_or_none(leak_check, tmp_path):
    (tmp_path / "x").touch()
    with leak_check():
        with pytest.raises(FileNotFoundError):
            Pair(tmp_path / "x", tmp_path / "y")
        Pair(tmp_path / "x", tmp_path / "x").close()


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no /dev/full here: a disk that is always full")
def test_told_in_full(leak_check):
    with leak_check():
        assert told_in_full("/dev/full") == [OSError]
