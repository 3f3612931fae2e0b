"""One path again and again: what is left of it belongs to the block that opened or made it."""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path

import pytest

from pytest_leakguard import LeakError


class Pair:
    """Two opens of one file; in a circle, so that both die in one collection."""

    def __init__(self, path):
        self.circle = self
        self.first = open(path)
        self.second = open(path)

    def close(self):
        self.first.close()
        self.second.close()


def left_behind(leak_check, call):
    try:
        with leak_check():
            call()
    except LeakError as error:
        return sum(finding.count for finding in error.findings)
    return 0


@pytest.mark.parametrize("closed_before", [0, 1, 3])
def test_both_are_found(closed_before, tmp_path, leak_check):
    """Also when the same places have opened and closed the same file before, with the same descriptors."""
    path = tmp_path / "readings.csv"
    path.touch()
    for _ in range(closed_before):
        assert left_behind(leak_check, lambda: Pair(path).close()) == 0
    assert left_behind(leak_check, lambda: Pair(path)) == 2
    assert left_behind(leak_check, lambda: Pair(path).close()) == 0


def test_a_file_that_is_made_again_is_found_again(leak_check):
    """What made it the first time, and what removed or renamed it, says nothing of the second time."""
    folder = Path(tempfile.mkdtemp(prefix="again-"))
    new, old = folder / "new", folder / "old"

    def make(last):
        new.touch()
        last()

    try:
        with leak_check():
            make(new.unlink)
            make(lambda: new.replace(old))
            old.unlink()
        with pytest.raises(LeakError) as caught, leak_check():
            make(lambda: None)
        assert [(finding.kind, finding.origin.function.rpartition(".")[2]) for finding in caught.value.findings] == [
            ("temp", "make")
        ]
    finally:
        shutil.rmtree(folder)
