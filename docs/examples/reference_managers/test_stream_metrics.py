"""The examples of docs/reference-managers/stream-metrics.md: the numbers are lost on an error."""

from __future__ import annotations

import pytest

from pytest_leakguard.reference import stream_metrics


def leaky_count(source, report):
    count = 0
    for _ in source:
        count += 1
    report(count)  # not after an error, when it matters most


def fixed_count(source, report):
    with stream_metrics(source, report) as stream:
        for _ in stream:
            pass


def failing():
    yield b"ab"
    raise ConnectionError("lost")


def test_leaky():
    told = []
    with pytest.raises(ConnectionError):
        leaky_count(failing(), told.append)
    assert told == []


def test_fixed():
    told = []
    with pytest.raises(ConnectionError):
        fixed_count(failing(), told.append)
    assert (told[0].chunks, told[0].size, told[0].error) == (1, 2, "ConnectionError: lost")
