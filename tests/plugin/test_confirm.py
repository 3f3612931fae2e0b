"""--leakguard-confirm: what a first use starts for good is told and passes; what leaks again is a leak."""

from __future__ import annotations

import pytest

SUITE = """
import os
import threading

import pytest

KEPT = []
STARTED = []

def start_once():
    if not STARTED:
        STARTED.append(open(__file__))

def leak():
    KEPT.append(os.open(os.devnull, os.O_RDONLY))

def test_once():
    start_once()

def test_again():
    leak()

def test_both():
    if len(STARTED) == 1:
        STARTED.append(open(__file__))
    leak()

def test_clean(tmp_path):
    open(tmp_path / "x", "w").close()

def test_unclosed():
    open(__file__)

@pytest.mark.parametrize("number", [1, 2])
def test_parametrized(number):
    leak()

RUNS = []

def test_not_twice():
    leak()
    RUNS.append(1)
    assert len(RUNS) == 1

def test_failed():
    leak()
    assert not "own failure"

@pytest.fixture(scope="module")
def wide():
    leak()
    RUNS.append("wide")
    yield
    RUNS.append("wide is over")

def test_of_a_fixture(wide):
    assert RUNS.count("wide") == 1
    leak()
"""

OTHER = """
import test_it

def test_the_fixture_of_the_other_module_was_set_up_and_torn_down_once():
    assert test_it.RUNS[-2:] == ["wide", "wide is over"]
    assert test_it.RUNS.count("wide") == 1
"""


def told(run) -> dict[str, list[tuple[str, str]]]:
    found: dict[str, list[tuple[str, str]]] = {}
    for f in run.report["findings"]:
        name = f["owner"]["name"].rpartition("::")[2]
        note = next((note for note in f["notes"] if "repeated" in note or "again" in note), "")
        found.setdefault(name, []).append((f["disposition"], note.partition(":")[0]))
    return found


NOT_AGAIN = ("once", "did not leak again when the test was repeated")
AGAIN = ("fails", "leaked again when the test was repeated")


@pytest.mark.parametrize("workers", [(), ("-p", "xdist", "-n", "1")], ids=["one process", "xdist"])
def test_what_does_not_leak_again_is_told_and_passes(pytester, alone, workers):
    """Own leaks come again and fail; the first use is in a section of its own; fixtures are set up once."""
    if workers:
        pytest.importorskip("xdist")
    pytester.makepyfile(test_it=SUITE, test_z=OTHER)
    ran = alone("--leakguard-grace=0", "--leakguard-confirm", *workers)
    found = told(ran)
    assert found == {
        "test_once": [NOT_AGAIN],
        "test_again": [AGAIN],
        "test_both": found["test_both"],
        "test_unclosed": [AGAIN],
        "test_parametrized[1]": [AGAIN],
        "test_parametrized[2]": [AGAIN],
        "test_not_twice": [("fails", "can't be confirmed, the repeated test failed")],
        "test_failed": [("note", "")],
        "wide": [("fails", "")],
        "test_of_a_fixture": [("fails", "")],  # its verdict waited for the fixture: the test is over
    }, ran.text
    assert sorted(found["test_both"]) == [AGAIN, NOT_AGAIN]
    ran.result.assert_outcomes(passed=10, failed=1)
    assert "= leaked once, and not when repeated =" in ran.text
    assert "LEAKED ONCE fd  test_it.py::test_once" in ran.text
    assert ", 2 not confirmed, " in ran.text
    assert ran.report["summary"]["once"] == 2
    assert ran.report["summary"]["leaks"] == 8


def test_only_what_leaked_once_is_green(pytester, alone):
    """Exit status 0, no L, but told."""
    pytester.makepyfile(SUITE.partition("def test_again")[0])
    ran = alone("--leakguard-grace=0", "--leakguard-confirm")
    assert ran.result.ret == 0
    ran.result.assert_outcomes(passed=1)
    assert told(ran) == {"test_once": [NOT_AGAIN]}
    assert alone("--leakguard-grace=0").result.ret == 1


def test_the_test_is_reported_once(pytester, alone):
    """One passed test, what it prints and its properties once; its function fixtures are made anew."""
    pytester.makepyfile(
        """
        import os
        KEPT, SEEN = [], []

        def test_it(tmp_path, record_property):
            record_property("a", 1)
            print("printed")
            SEEN.append(tmp_path)
            assert len(set(SEEN)) == len(SEEN)
            KEPT.append(os.open(os.devnull, os.O_RDONLY))
        """
    )
    ran = alone("--leakguard-grace=0", "--leakguard-confirm", "-rP", "--junit-xml=x.xml")
    ran.result.assert_outcomes(passed=1)
    assert ran.text.count("\nprinted\n") == 1
    assert (pytester.path / "x.xml").read_text("utf-8").count('name="a"') == 1
    assert told(ran) == {"test_it": [AGAIN]}


def test_with_a_baseline(pytester, alone):
    """A known leak that does not come again is neither new nor gone."""
    pytester.makepyfile(SUITE.partition("def test_again")[0])
    use = ("--leakguard-grace=0", "--leakguard-baseline=b.toml")
    alone(*use, "--leakguard-baseline-update")
    ran = alone(*use, "--leakguard-confirm", "--leakguard-baseline-strict")
    assert ran.result.ret == 0
    assert ran.report["baseline"]["gone"] == []
    assert told(ran) == {"test_once": [NOT_AGAIN]}


def test_with_a_sweep_the_sweep_has_the_test(pytester, alone):
    """Only one of them repeats a test; the leak without a fault is told as ever."""
    pytester.makepyfile(SUITE.partition("def test_again")[0])
    ran = alone("--leakguard-grace=0", "--leakguard-confirm", "--leakguard-faults")
    assert told(ran) == {"test_once": [("fails", "")]}
