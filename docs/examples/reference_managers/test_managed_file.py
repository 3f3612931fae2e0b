"""The examples of docs/reference-managers/managed-file.md: closes only after a successful write."""

from __future__ import annotations

import pytest

from pytest_leakguard import LeakError
from pytest_leakguard.reference import ManagedFile


def leaky_save(path, rows):
    file = open(path, "w")
    for row in rows:
        file.write(f"{row:.1f}\n")  # fails for what is no number: the file stays open
    file.close()
    return file


def fixed_save(path, rows):
    with ManagedFile(path, "w") as file:
        for row in rows:
            file.write(f"{row:.1f}\n")
    return file


def save(function, path):
    with pytest.raises(ValueError) as caught:
        function(path, [1, "two"])
    return caught.traceback[-1].frame  # as a debugger or an error report does: the file lives on


def test_leaky(leak_check, tmp_path):
    with pytest.raises(LeakError), leak_check("fd"):
        frame = save(leaky_save, tmp_path / "rows")
    frame.f_locals["file"].close()


def test_fixed(leak_check, tmp_path):
    with leak_check():
        save(fixed_save, tmp_path / "rows")
