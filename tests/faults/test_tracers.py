"""A debugger, a profiler or coverage goes on while tests are swept; a family that it is in the way of is left out."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import pytest

HAS_ROOM = sys.version_info >= (3, 12)
APP = """
import contextlib
import os


def step():
    pass


def work(deep=False):
    with contextlib.nullcontext():
        step()
    os.close(os.open(os.devnull, os.O_RDONLY))
    if deep:
        step()


def leaky():
    fd = os.open(os.devnull, os.O_RDONLY)
    step()
    os.close(fd)
"""
TEST = """
from app import work

def test_work():
    work()
"""
BEHIND = """
import sys

seen = set()

def look(frame, event, arg):
    if frame.f_code.co_name in ("work", "step"):
        seen.add(event)
    return look

def pytest_runtestloop(session):
    sys.set{kind}(look)

def pytest_runtest_logreport(report):
    assert sys.get{kind}() is look, sys.get{kind}()

def pytest_unconfigure():
    sys.set{kind}(None)
    assert {{{events}}} <= seen, seen
    print("SEEN")
"""


@pytest.mark.parametrize(
    ("kind", "events", "families"),
    [
        ("trace", "'call', 'line', 'return'", {"body", "interrupt"}),
        ("profile", "'call', 'return'", {"call", "release"}),
    ],
)
def test_a_function_of_the_users_stays(pytester, alone, kind, events, families):
    """It hears of the code to the end; before Python 3.12 there is no room for ours, and the totals say so."""
    pytester.makepyfile(app=APP, test_it=TEST)
    pytester.makeconftest(BEHIND.format(kind=kind, events=events))
    ran = alone("-s", "--leakguard-faults", flag=())
    ran.result.assert_outcomes(passed=1)
    ran.result.stdout.fnmatch_lines(["*SEEN*"])
    faults = ran.report["faults"]
    assert faults["stopped"] == []
    assert faults["points"]["acquire"] == 1
    if HAS_ROOM:
        assert faults["skipped"] == {}
        return
    assert not families & set(faults["points"])
    assert sorted(text.partition(":")[0] for text in faults["skipped"]) == sorted(families)
    assert all(f"a {kind} function is installed (function: a debugger," in text for text in faults["skipped"])
    assert all(text.endswith("run without it, or on 3.12") for text in faults["skipped"])


CORES = ["ctrace", "pytrace", *(["sysmon"] if HAS_ROOM else [])]


@pytest.mark.parametrize("core", CORES)
def test_coverage_measures_the_same(pytester, core):
    """The lines that the sweep reaches are those of the test; what never runs stays missing."""
    pytest.importorskip("coverage")
    pytester.makepyfile(app=APP, test_it=TEST)
    measured = {}
    for name, options in (("plain", ()), ("swept", ("--leakguard-faults", "--leakguard-json=leakguard.json"))):
        environment = {
            **os.environ, "COVERAGE_CORE": core, "COVERAGE_FILE": name, "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"
        }  # fmt: skip
        for command in (
            ("run", "--include=app.py", "-m", "pytest", "-p", "leakguard", "-p", "no:cacheprovider", *options),
            ("json", "-q", "-o", f"{name}.json"),
        ):
            ended = subprocess.run(
                [sys.executable, "-m", "coverage", *command], cwd=pytester.path, env=environment, timeout=120,
                capture_output=True, text=True, check=False,
            )  # fmt: skip
            assert ended.returncode == 0, ended.stdout + ended.stderr
        found = json.loads((pytester.path / f"{name}.json").read_text("utf-8"))["files"]["app.py"]
        measured[name] = (found["executed_lines"], found["missing_lines"])
    assert measured["swept"] == measured["plain"]
    assert len(measured["plain"][1]) == 4
    faults = json.loads((pytester.path / "leakguard.json").read_text("utf-8"))["faults"]
    left_out = set() if HAS_ROOM else {"body", "interrupt"}
    assert {text.partition(":")[0] for text in faults["skipped"]} == left_out
    assert set(faults["points"]) == {"acquire", "call", "body", "interrupt", "release"} - left_out


def test_without_the_lines_the_leak_is_found_and_the_reason_is_told(pytester, alone):
    """The second look has no trace function to look with, where another has it."""
    pytester.makepyfile(app=APP, test_it=TEST.replace("work", "leaky"))
    pytester.makeconftest(BEHIND.format(kind="trace", events="'line'").replace('"step"', '"step", "leaky"'))
    ran = alone("--leakguard-faults", "--leakguard-fault-families=call", flag=())
    (finding,) = [one for one in ran.findings if one["kind"] == "fd"]
    assert finding["held_then"]
    if HAS_ROOM:
        assert finding["cleanups"] == ["no with, except or finally of the code under test was around it"]
    else:
        (why,) = finding["cleanups"]
        assert why.startswith("a trace function is installed (function: a debugger,")
