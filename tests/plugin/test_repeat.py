"""`--leakguard-repeat` and `no_leaks(repeat=...)`: what grows is told, and nothing else changes."""

from __future__ import annotations

import pytest

HEAD = """
import functools, pathlib, unittest
import pytest

KEPT, CACHE, RUNS = [], {}, []

class Thing:
    pass
"""


def told(ran) -> dict[str, list[tuple[str, str]]]:
    found: dict[str, list[tuple[str, str]]] = {}
    for finding in ran.report["findings"]:
        found.setdefault(finding["test"].partition("::")[2], []).append((finding["verdict"], finding["what"]))
    return found


def grows(name: str, *counts: int) -> tuple[str, str]:
    return ("growth", f"{name} objects grow with every repetition: {', '.join(f'+{count}' for count in counts)}")


def test_what_grows_is_told_and_a_cache_is_not(pytester, alone):
    """Leaky and clean twins: a list, a class, in a test, a fixture, a class of tests, unittest, parameters."""
    pytester.makepyfile(
        HEAD
        + """
@pytest.fixture
def thing():
    yield Thing()

@pytest.fixture
def leaky_thing():
    KEPT.append(Thing())

def test_grows(): KEPT.append(Thing())
def test_grows_by_two(): KEPT.extend([Thing(), Thing()])
def test_list_grows(): KEPT.append([[]])
def test_fixture_grows(leaky_thing, tmp_path): pass
class TestClass:
    def test_method_grows(self): KEPT.append(Thing())
class TestOld(unittest.TestCase):
    def test_old_grows(self): KEPT.append(Thing())
    def test_old_clean(self): self.thing = Thing()
@pytest.mark.parametrize("leak", [True, False])
def test_parameter(leak): leak and KEPT.append(Thing())
class Part: pass
def test_two_types_are_one_leak():
    it = Thing()
    it.parts = [Part(), Part()]
    KEPT.append(it)

def test_clean(thing, tmp_path, capsys, caplog, monkeypatch, recwarn, record_property):
    record_property("a", "b")
    print("told")
def test_cache_fills_once(): CACHE.setdefault("key", Thing())
def test_last_one_is_kept(): CACHE["last"] = Thing()
@functools.lru_cache(maxsize=None)
def squared(n): return Thing()
def test_cache_of_a_function(): squared(3)
def test_cycle():
    it = Thing()
    it.me = it
def test_nothing(): pass
"""
    )
    ran = alone("--leakguard-repeat=4", "--leakguard-grace=0")
    module = "test_what_grows_is_told_and_a_cache_is_not"
    one = [grows(f"{module}.Thing", 1, 1, 1, 1)]
    assert told(ran) == {
        "test_grows": one,
        "test_grows_by_two": [grows(f"{module}.Thing", 2, 2, 2, 2)],
        "test_list_grows": [grows("builtins.list", 2, 2, 2, 2)],
        "test_fixture_grows": one,
        "TestClass::test_method_grows": one,
        "TestOld::test_old_grows": one,
        "test_parameter[True]": one,
        "test_two_types_are_one_leak": [
            ("growth", f"{one[0][1]}; with them {module}.Part (+2, +2, +2, +2)"),
        ],
    }
    finding = ran.findings[0]
    assert finding["due"] == "end of each of 4 repetitions; one before them was left out as warm-up"
    assert finding["allow"] == f'@pytest.mark.allow_leaks("object:{module}.Thing", reason="...")'
    ran.result.assert_outcomes(passed=16)
    assert ran.report["summary"]["tests"] == 16
    assert ran.result.ret == 1


def test_each_test_runs_as_often_as_asked_with_fresh_fixtures(pytester, alone):
    """Its own run, a warm-up, N repetitions, and one more where wider fixtures end: these are set up only once."""
    pytester.makepyfile(
        HEAD
        + """
@pytest.fixture(scope="module")
def wide():
    RUNS.append("up")
    yield
    RUNS.append("down")

@pytest.fixture
def narrow(wide):
    RUNS.append("(")
    yield
    RUNS.append(")")

def test_one(narrow): RUNS.append("1")
@pytest.mark.no_leaks(repeat=2)
def test_two(narrow): RUNS.append("2")
""",
        test_z="from test_each_test_runs_as_often_as_asked_with_fresh_fixtures import RUNS\n"
        "def test_order():\n    assert ''.join(RUNS) == 'up' + '(1)' * 5 + '(2)' * 5 + 'down'",
    )
    ran = alone("--leakguard-repeat=3")
    ran.result.assert_outcomes(passed=3)
    assert ran.report["findings"] == []


def test_by_marker_alone(pytester, alone):
    """Without the flag only the marked test is repeated."""
    pytester.makepyfile(
        HEAD
        + """
@pytest.mark.no_leaks(repeat=3)
def test_marked(): KEPT.append(Thing())
def test_other(): KEPT.append(Thing()); RUNS.append(1)
def test_once(): assert len(RUNS) == 1
"""
    )
    ran = alone(flag=())
    assert told(ran) == {"test_marked": [grows("test_by_marker_alone.Thing", 1, 1, 1)]}
    ran.result.assert_outcomes(passed=3)


def test_the_option_repeats_what_is_checked(pytester, alone):
    """Without the flag that is the marked test; pytest's reporters hear of it once."""
    pytester.makeconftest(
        """
        TOLD = []

        def pytest_runtest_logstart(nodeid):
            TOLD.append(("start", nodeid.partition("::")[2]))

        def pytest_runtest_logfinish(nodeid):
            TOLD.append(("finish", nodeid.partition("::")[2]))

        def pytest_sessionfinish():
            assert TOLD == [(what, test) for test in ("test_marked", "test_other") for what in ("start", "finish")]
        """
    )
    pytester.makepyfile(
        """
        import pytest
        MARKED, OTHER = [], []

        @pytest.mark.no_leaks
        def test_marked(): MARKED.append(1)

        def test_other():
            OTHER.append(1)
            assert len(MARKED) > 2
            assert len(OTHER) == 1
        """
    )
    ran = alone("--leakguard-repeat=2", flag=())
    ran.result.assert_outcomes(passed=2)
    assert ran.result.ret == 0


def test_what_the_repetitions_leave_is_no_other_tests(pytester, alone):
    """Of the test's own run it is told; nothing tells of a copy of a descriptor when it was made."""
    pytester.makepyfile(
        """
        import os

        def test_copies(): os.dup(0)

        def test_after(): open(__file__).close()
        """
    )
    ran = alone("--leakguard-repeat=2")
    assert ran.report["summary"]["tests"] == 2
    (finding,) = ran.report["findings"]
    assert (finding["test"].partition("::")[2], finding["kind"], finding["count"]) == ("test_copies", "fd", 1)


def test_results_stay_what_they_are(pytester, alone):
    """Failed, skipped and xfailed tests are run once; one that can't be repeated passes, and that is told."""
    pytester.makepyfile(
        HEAD
        + """
def test_fails(): RUNS.append("f"); assert 0
def test_skipped(): RUNS.append("s"); pytest.skip()
@pytest.mark.xfail
def test_expected(): RUNS.append("x"); assert 0
@pytest.fixture
def broken(): RUNS.append("b"); assert 0
def test_error(broken): pass
def test_only_once(): assert "o" not in RUNS; RUNS.append("o"); KEPT.append(Thing())
def test_runs(): assert RUNS == ["f", "s", "x", "b", "o"]
"""
    )
    ran = alone("--leakguard-repeat=3", errors=True)
    ran.result.assert_outcomes(passed=2, failed=1, skipped=1, xfailed=1, errors=1)
    assert ran.report["findings"] == []
    name = "test_results_stay_what_they_are.py::test_only_once"
    assert ran.report["errors"] == [
        f"{name} can't be repeated: repetition 1 ended as failed in its call phase, so its growth is not known"
    ]


def test_an_error_of_a_wider_fixtures_teardown_is_not_lost(pytester, alone):
    """It comes after the last repetition, and is told as the error it would be without."""
    pytester.makepyfile(
        HEAD
        + """
@pytest.fixture(scope="module")
def wide():
    yield
    raise RuntimeError("the door was open")

def test_it(wide): pass
"""
    )
    ran = alone("--leakguard-repeat=2")
    ran.result.assert_outcomes(passed=1, errors=1)
    ran.result.stdout.fnmatch_lines(["E*RuntimeError: the door was open"])


def test_other_leaks_are_judged_on_the_tests_own_run(pytester, alone):
    """A file that each run leaves is one leak of the test, no growth of its types; the next test is not blamed."""
    pytester.makepyfile(
        HEAD
        + """
@pytest.fixture(scope="module")
def wide():
    KEPT.append(open(__file__))
    yield

def test_leaks(): KEPT.append(open(__file__))
def test_after(): pass
def test_wide(wide): pass
"""
    )
    ran = alone("--leakguard-repeat=2", "--leakguard-grace=0")
    kinds = [(f["test"].rpartition("::")[2], f["kind"], f["owner"]["kind"], f["count"]) for f in ran.findings]
    assert sorted(kinds) == [
        ("test_leaks", "fd", "test", 1),
        ("test_wide", "fd", "fixture", 1),
    ]


def test_what_was_told_as_leaked_is_not_told_as_growth(pytester, alone):
    """A class of leakguard_track that leaks is one finding, with its line."""
    pytester.makeini("[pytest]\nleakguard_track = test_what_was_told_as_leaked_is_not_told_as_growth.Thing")
    pytester.makepyfile(HEAD + "def test_it(): KEPT.append(Thing())")
    ran = alone("--leakguard-repeat=3", "--leakguard-grace=0")
    (finding,) = ran.findings
    assert (finding["verdict"], finding["origin"]["line"]) == ("leaked", 8)


def test_allowed_and_left_out(pytester, alone):
    """An allow rule lets a type grow; a test that is not checked for objects is not repeated."""
    pytester.makepyfile(
        HEAD
        + """
@pytest.mark.allow_leaks("object:*.Thing", reason="a log")
def test_allowed(): KEPT.append(Thing())
@pytest.mark.no_leaks("fd")
def test_only_fds(): RUNS.append(1); KEPT.append(Thing())
def test_runs(): assert RUNS == [1]
"""
    )
    ran = alone("--leakguard-repeat=2")
    ran.result.assert_outcomes(passed=3)
    assert [f["disposition"] for f in ran.report["findings"]] == ["allowed"]
    assert ran.result.ret == 0


def test_the_collector_is_as_it_was(pytester, alone):
    """Nothing stays frozen; a heap that the user froze stays so, and growth is found there too."""
    pytester.makepyfile(
        HEAD
        + """
import gc

def test_grows(): KEPT.append(Thing())
@pytest.mark.no_leaks("fd")
def test_thawed():
    assert gc.get_freeze_count() < 1000
    gc.collect()
    gc.freeze()
@pytest.mark.no_leaks(repeat=2)
def test_grows_frozen(): KEPT.append(Thing())
@pytest.mark.no_leaks("fd")
def test_frozen():
    assert gc.get_freeze_count() > 1000
    gc.unfreeze()
"""
    )
    ran = alone("--leakguard-repeat=2")
    ran.result.assert_outcomes(passed=4)
    assert set(told(ran)) == {"test_grows", "test_grows_frozen"}


def test_cost_follows_what_the_runs_make(pytester, alone):
    """With 300,000 objects on the heap a count visits what the repetitions made, not the heap."""
    pytester.makeconftest(
        """
        from pytest_leakguard.plugin import repeat

        class Counted(repeat.HeapCount):
            def count(self):
                super().count()
                open("visited.txt", "w").write(str(self.visited))

        def pytest_collection_finish():
            repeat.HeapCount = Counted
        """
    )
    pytester.makepyfile("HEAP = [[n] for n in range(300_000)]\ndef test_it(): HEAP.append([])")
    ran = alone("--leakguard-repeat=3")
    assert [f["subject"] for f in ran.findings] == ["builtins.list"]
    assert int((pytester.path / "visited.txt").read_text()) < 20_000


@pytest.mark.parametrize("value", ["1", "0", "-3", "two", "2.5", ""])
def test_a_bad_count_is_refused(pytester, monkeypatch, value):
    """Source, value and what is allowed."""
    monkeypatch.setenv("PYTEST_DISABLE_PLUGIN_AUTOLOAD", "1")
    pytester.makepyfile("def test_it(): raise SystemExit")
    ran = pytester.runpytest("-p", "leakguard", "--leakguard", f"--leakguard-repeat={value}")
    assert ran.ret == pytest.ExitCode.USAGE_ERROR
    given = f"bad count {value!r}" if value else "empty value"
    ran.stderr.fnmatch_lines([f"ERROR: --leakguard-repeat: {given}. Allowed: a whole number, 2 or more."])


@pytest.mark.parametrize("value", ["1", "True", "2.5", "'x'"])
def test_a_bad_count_of_a_marker_is_refused(pytester, monkeypatch, value):
    """Source, value and what is allowed."""
    monkeypatch.setenv("PYTEST_DISABLE_PLUGIN_AUTOLOAD", "1")
    pytester.makepyfile(
        test_it=f"import pytest\n@pytest.mark.no_leaks(repeat={value})\ndef test_it(): raise SystemExit"
    )
    ran = pytester.runpytest("-p", "leakguard")
    assert ran.ret == pytest.ExitCode.USAGE_ERROR
    ran.stderr.fnmatch_lines(["ERROR: @pytest.mark.no_leaks on test_it.py::test_it: bad count *. Allowed: a whole *"])


def test_junit_and_xdist(pytester, run, monkeypatch):
    """One test case with one failure; the same findings from a worker."""
    pytest.importorskip("xdist")
    pytester.makepyfile(HEAD + "def test_it(): KEPT.append(Thing())\ndef test_clean(): pass")
    ran = run("--leakguard-repeat=3", "-n1", "--junit-xml=junit.xml", "-p", "no:rerunfailures")
    assert [f["verdict"] for f in ran.findings] == ["growth"]
    xml = (pytester.path / "junit.xml").read_text("utf-8")
    assert xml.count("<testcase ") == 2
    assert "objects grow with every repetition" in xml
