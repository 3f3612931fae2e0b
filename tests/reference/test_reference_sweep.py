"""Each manager at every fault point of every family: clean, and as the table in the docs has it."""

from __future__ import annotations

import json
import shutil
import socket
import tempfile
from collections import Counter
from pathlib import Path

import pytest
import sweep_table
from subjects import make_subjects
from sweep_table import FAMILIES

from pytest_leakguard import reference

MANAGERS = sorted(set(reference.__all__) - {"secondary_errors"})
OF_ONE_VERSION = {"release"}
"""Which calls of C functions are seen to return is not the same on each Python."""


@pytest.fixture(scope="module")
def address():
    with socket.create_server(("127.0.0.1", 0), backlog=1000) as listener:
        yield listener.getsockname()


@pytest.fixture
def folder():
    # not below tmp_path: there a file that is left is no leak
    folder = Path(tempfile.mkdtemp(prefix="sweep-"))
    yield folder
    shutil.rmtree(folder)


def test_each_manager_has_a_subject(folder, address):
    """The sweeps leave none out, nor does the table."""
    assert sorted(make_subjects(folder, address)) == MANAGERS
    assert sorted(sweep_table.read().rows) == MANAGERS
    assert sweep_table.read().families == FAMILIES


@pytest.mark.parametrize("name", MANAGERS)
def test_clean_at_every_point(name, folder, address, leak_faults, record_property):
    """No finding that fails, nothing skipped or cut short; points in the families where the table has some."""
    subject = make_subjects(folder, address)[name]
    before = sorted(folder.iterdir())
    result = leak_faults.sweep(subject, targets=["pytest_leakguard.reference"])
    refused = [why for why, _ in result.skipped if ": " in why]
    if refused:
        pytest.skip(refused[0])
    assert result.stopped == ""
    assert {why for why, _ in result.skipped} <= {"not reached again"}
    assert not [finding for finding in result.findings if finding.fault == "leak"]
    assert sorted(folder.iterdir()) == before
    points = Counter(point.family for point in result.points)
    record_property("points", json.dumps(points))
    record_property("trials", len(result.trials))
    table = sweep_table.read().rows.get(name, {})
    assert points["call"] > 0
    assert {family for family in FAMILIES if points[family]} ^ {f for f in FAMILIES if table.get(f)} <= OF_ONE_VERSION
