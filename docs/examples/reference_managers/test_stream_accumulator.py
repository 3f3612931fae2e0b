"""The examples of docs/reference-managers/stream-accumulator.md: an abandoned generator keeps the source open."""

from __future__ import annotations

import pytest

from pytest_leakguard import LeakError
from pytest_leakguard.reference import accumulate


def leaky_chunks(source):
    for chunk in source:
        yield chunk
    source.close()  # never reached when the consumer stops early


def fixed_first(source):
    with accumulate(source) as stream:
        for _ in stream:
            break
    return stream.content


def test_leaky(leak_check, tmp_path):
    (tmp_path / "x").write_text("one\ntwo\n")
    with pytest.raises(LeakError), leak_check("fd"):
        source = open(tmp_path / "x")
        next(leaky_chunks(source))
    source.close()


def test_fixed(leak_check, tmp_path):
    (tmp_path / "x").write_text("one\ntwo\n")
    with leak_check():
        assert fixed_first(open(tmp_path / "x")) == "one\n"
