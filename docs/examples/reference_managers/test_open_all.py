"""The examples of docs/reference-managers/open-all.md: the second open fails, the first file stays open."""

from __future__ import annotations

import pytest

from pytest_leakguard import LeakError
from pytest_leakguard.reference import open_all


def leaky_heads(paths, opened):
    for path in paths:
        opened.append(open(path))  # the second fails: nobody closes the first
    heads = [file.readline() for file in opened]
    for file in opened:
        file.close()
    return heads


def fixed_heads(paths):
    with open_all(paths) as files:
        return [file.readline() for file in files]


def test_leaky(leak_check, tmp_path):
    (tmp_path / "one").touch()
    opened = []
    with pytest.raises(LeakError), leak_check("fd"):
        try:
            leaky_heads([tmp_path / "one", tmp_path / "two"], opened)
        except FileNotFoundError:
            pass
    opened[0].close()


def test_fixed(leak_check, tmp_path):
    (tmp_path / "one").touch()
    with leak_check(), pytest.raises(FileNotFoundError):
        fixed_heads([tmp_path / "one", tmp_path / "two"])
