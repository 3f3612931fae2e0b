"""The examples of docs/reference-managers/mapped-file.md: the descriptor is left when mmap raises."""

from __future__ import annotations

import mmap

import pytest

from pytest_leakguard import LeakError
from pytest_leakguard.reference import MappedFile


def leaky_first_byte(path, opened):
    file = open(path, "rb")
    opened.append(file)
    view = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)  # fails for an empty file
    try:
        return view[0]
    finally:
        view.close()
        file.close()


def fixed_first_byte(path):
    with MappedFile(path, writable=False) as view:
        return view[0]


def test_leaky(leak_check, tmp_path):
    (tmp_path / "empty").touch()
    opened = []
    with pytest.raises(LeakError), leak_check("fd"):
        try:
            leaky_first_byte(tmp_path / "empty", opened)
        except ValueError:
            pass
    opened[0].close()


def test_fixed(leak_check, tmp_path):
    (tmp_path / "empty").touch()
    with leak_check(), pytest.raises(ValueError, match="is empty and can't be mapped"):
        fixed_first_byte(tmp_path / "empty")
