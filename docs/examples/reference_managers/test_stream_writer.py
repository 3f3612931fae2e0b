"""The examples of docs/reference-managers/stream-writer.md: returns True for everything."""

from __future__ import annotations

import io

import pytest

from pytest_leakguard.reference import StreamWriter


class LeakyWriter:
    def __init__(self, stream):
        self.stream = stream

    def __enter__(self):
        return self.stream

    def __exit__(self, kind, error, traceback):
        self.stream.close()
        return True  # meant for BrokenPipeError; hides every bug of the body


def fixed_write(stream, lines):
    with StreamWriter(stream) as out:
        for line in lines:
            out.write(line)


def test_leaky():
    with LeakyWriter(io.StringIO()) as out:
        out.write(5)  # a TypeError that nobody sees


def test_fixed():
    with pytest.raises(TypeError):
        fixed_write(io.StringIO(), [5])
