"""The examples of docs/reference-managers/atomic-write.md: the temporary file is left beside the target."""

from __future__ import annotations

import os

import pytest

from pytest_leakguard.reference import atomic_write


def leaky_save(path, rows):
    temporary = path.with_suffix(".tmp")
    with open(temporary, "w") as file:
        for row in rows:
            file.write(f"{row:.1f}\n")  # fails: the file is closed, and stays
    os.replace(temporary, path)


def fixed_save(path, rows):
    with atomic_write(path) as file:
        for row in rows:
            file.write(f"{row:.1f}\n")


@pytest.mark.parametrize(("save", "left"), [(leaky_save, ["rows.csv", "rows.tmp"]), (fixed_save, ["rows.csv"])])
def test_what_is_left(save, left, tmp_path):
    path = tmp_path / "rows.csv"
    path.write_text("1.0\n")
    with pytest.raises(ValueError):
        save(path, [2, "three"])
    assert path.read_text() == "1.0\n"
    assert sorted(file.name for file in tmp_path.iterdir()) == left
