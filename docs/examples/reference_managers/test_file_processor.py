"""The examples of docs/reference-managers/file-processor.md: an error of one unlink stops the rest of the cleanup."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from pytest_leakguard.reference import FileProcessor


def leaky_cleanup(scratch_paths):
    for path in scratch_paths:
        os.unlink(path)  # the first that fails is the last that is tried


def fixed_process(source, folder, work):
    with FileProcessor(source, folder=folder) as job:
        work(job)


def test_leaky(tmp_path):
    (tmp_path / "two").touch()
    with pytest.raises(FileNotFoundError):
        leaky_cleanup([tmp_path / "one", tmp_path / "two"])
    assert (tmp_path / "two").exists()


def test_fixed(tmp_path):
    source, folder = tmp_path / "in.txt", tmp_path / "scratch"
    source.touch()
    folder.mkdir()

    def work(job):
        first, second = Path(job.scratch().name), Path(job.scratch().name)
        second.unlink()
        second.mkdir()  # its unlink will fail
        assert first.exists()

    with pytest.raises(OSError):
        fixed_process(source, folder, work)
    assert [path.is_dir() for path in folder.iterdir()] == [True]  # only the one that could not be removed
