"""The examples of docs/reference-managers/temporary-resource-manager.md: unlink errors swallowed and forgotten."""

from __future__ import annotations

import os

import pytest

from pytest_leakguard.reference import TemporaryResourceManager


def leaky_cleanup(paths):
    for path in paths:
        try:
            os.unlink(path)
        except OSError:
            pass  # nobody will ever know, and nobody tries again


def fixed_work(folder, work):
    with TemporaryResourceManager("work-", folder) as temp:
        work(temp)


def test_leaky(tmp_path):
    (tmp_path / "x").mkdir()
    leaky_cleanup([tmp_path / "x"])
    assert (tmp_path / "x").exists()


def test_fixed(tmp_path):
    def work(temp):
        path = temp.file()
        path.unlink()
        path.mkdir()
        raise ValueError

    with pytest.raises(ValueError):
        fixed_work(tmp_path, work)
    assert list(tmp_path.iterdir()) == []
