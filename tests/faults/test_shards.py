"""A suite shared out by pytest-xdist is swept as in one process: each test where it runs, all told in one place."""

from __future__ import annotations

import re

import pytest

APP = """
import os


def step():
    pass


def hasty():
    fd = os.open(os.devnull, os.O_RDONLY)
    step()
    os.close(fd)


def careful():
    fd = os.open(os.devnull, os.O_RDONLY)
    try:
        step()
    finally:
        os.close(fd)


def silent():
    try:
        step()
    except Exception:
        pass
"""
TEST = """
import pytest
from app import shapes

@pytest.mark.parametrize("name", ["hasty", "careful", "silent"])
@pytest.mark.parametrize("number", [1, 2])
def test_it(name, number):
    getattr(shapes, name)()
"""


def told(ran):
    """What a run came to, less what differs from process to process."""
    findings = [
        (
            one["test"], one["kind"], one["disposition"], one["point"], one["cleanups"], one["repeat"],
            [re.sub(r"fd \d+", "fd N", line) for line in one["held_then"]],
        )
        for one in ran.report["findings"]
    ]  # fmt: skip
    faults = ran.report["faults"]
    totals = {name: faults[name] for name in ("tests", "points", "tried", "trials", "skipped", "stopped")}
    swept = sorted((one["test"], [point["id"] for point in one["points"]]) for one in faults["sweeps"])
    return sorted(findings), totals, swept


def test_two_workers_find_what_one_process_finds(pytester, alone):
    """The same findings, points, trials and totals; each test is swept once."""
    pytest.importorskip("xdist")
    pytester.mkpydir("app").joinpath("shapes.py").write_text(APP)
    pytester.makepyfile(TEST)
    options = ("--leakguard-faults", "--leakguard-fault-families=acquire,call", "--leakguard-grace=0")
    single = alone(*options, flag=())
    shared = alone(*options, "-p", "xdist", "-n", "2", flag=())
    assert told(shared) == told(single)
    assert {one["kind"]: one["disposition"] for one in single.report["findings"]} == {
        "fd": "fails",
        "swallowed": "told",
    }
    assert single.report["faults"]["tests"] == 6
    assert [len(ran.report["faults"]["seeds"]) for ran in (single, shared)] == [1, 1]
