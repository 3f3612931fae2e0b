"""What a leak does to the outcome of its test, and what it leaves alone."""

from __future__ import annotations

import xml.etree.ElementTree as ET
from typing import Any

import pytest
from late import LINGERS

QUICK = "--leakguard-grace=0.05"


def told(report: dict[str, Any]) -> dict[str, list[tuple[str, str]]]:
    """Test -> kind and disposition of each of its findings, the file's name left out."""
    tests: dict[str, list[tuple[str, str]]] = {}
    for finding in report["findings"]:
        name = finding["test"].partition("::")[2]
        tests.setdefault(name, []).append((finding["kind"], finding["disposition"]))
    return {name: sorted(found) for name, found in tests.items()}


def cases(path: Any) -> dict[str, list[ET.Element]]:
    """JUnit's entries by the name of the test."""
    entries: dict[str, list[ET.Element]] = {}
    for entry in ET.parse(path).getroot().iter("testcase"):
        entries.setdefault(entry.get("name", ""), []).append(entry)
    return entries


LEAK = """
import os
import unittest

import pytest

KEPT = []

def leak():
    KEPT.append(os.open(os.devnull, os.O_RDONLY))

def use():
    os.close(os.open(os.devnull, os.O_RDONLY))

"""

OUTCOMES = (
    LEAK
    + """
@pytest.fixture(params=[leak, use], ids=["leaky", "clean"])
def act(request):
    return request.param

def test_passed(act):
    act()

@pytest.mark.allow_leaks("fd:*", reason="a twin")
def test_allowed(act):
    act()

def test_failed(act):
    act()
    assert not "own failure"

@pytest.mark.xfail(raises=AssertionError)
def test_xfailed(act):
    act()
    assert not "expected"

@pytest.mark.xfail(reason="may fail")
def test_xpassed(act):
    act()

@pytest.mark.xfail(strict=True, reason="has to fail")
def test_xpassed_strictly(act):
    act()

def test_skipped_in_call(act):
    act()
    pytest.skip("in call")

def test_import_skipped_in_call(act):
    act()
    pytest.importorskip("no_such_module_anywhere")

@pytest.fixture
def skips(act):
    act()
    pytest.skip("in setup")

def test_skipped_in_setup(skips):
    raise AssertionError("not reached")

@pytest.mark.skipif(True, reason="never runs")
def test_skipped_by_mark(act):
    raise AssertionError("not reached")

@pytest.fixture
def breaks_in_setup(act):
    act()
    raise RuntimeError("own setup error")

def test_failed_in_setup(breaks_in_setup):
    raise AssertionError("not reached")

@pytest.fixture
def breaks_in_teardown(act):
    yield
    act()
    raise RuntimeError("own teardown error")

def test_failed_in_teardown(breaks_in_teardown):
    pass

@pytest.fixture
def leaves_after_teardown(act):
    yield
    act()

def test_passed_leaving_it_in_teardown(leaves_after_teardown):
    pass

@pytest.mark.parametrize("number", [1, 2])
def test_parametrized(act, number):
    act()
"""
)

FINDING_OF = {
    "test_passed": "fails",
    "test_allowed": "allowed",
    "test_failed": "note",
    "test_xfailed": "note",
    "test_xpassed": "note",  # an xfail mark excuses all of its test, as it does an error in teardown
    "test_xpassed_strictly": "note",
    "test_skipped_in_call": "fails",
    "test_import_skipped_in_call": "fails",
    "test_skipped_in_setup": "fails",
    "test_failed_in_setup": "note",
    "test_failed_in_teardown": "note",
    "test_passed_leaving_it_in_teardown": "fails",
}


def test_each_outcome_has_its_disposition_and_keeps_itself(pytester, alone):
    """A leak counts unless its test failed or allows it, and no outcome is lost; the clean twins tell nothing."""
    pytester.makepyfile(OUTCOMES)
    ran = alone(QUICK, "--junit-xml=junit.xml")
    expected = {f"{name}[leaky]": [("fd", disposition)] for name, disposition in FINDING_OF.items()}
    expected |= {f"test_parametrized[leaky-{number}]": [("fd", "fails")] for number in (1, 2)}
    assert told(ran.report) == expected
    # the counts of plain pytest, plus one for each leak that fails
    ran.result.assert_outcomes(passed=12, failed=4, skipped=8, xfailed=2, xpassed=2, errors=4)
    ran.result.stdout.fnmatch_lines(["*= *, 7 leaked in *"])
    assert ran.result.ret == 1
    summary = ran.report["summary"]
    assert (summary["leaks"], summary["notes"], summary["allowed"]) == (7, 6, 1)
    assert (summary["tests"], summary["findings"]) == (30, 14)
    assert ran.report["unused_allows"] == []  # one parameter used the mark, the other had no need to
    entries = cases(pytester.path / "junit.xml")
    for name, disposition in FINDING_OF.items():
        marks = [
            (child.tag, child.get("message", ""))
            for entry in entries[f"{name}[leaky]"]
            for child in entry
            if child.tag in ("failure", "error")
        ]
        tells = [tag for tag, message in marks if "LEAK fd" in message]
        assert len(tells) == (disposition == "fails"), (name, marks)
        clean = [child.tag for entry in entries[f"{name}[clean]"] for child in entry]
        assert len(marks) - len(tells) == sum(tag in ("failure", "error") for tag in clean), (name, marks)


def test_a_failed_tests_own_failure_comes_first_and_the_leak_is_readable_below(pytester, alone):
    """The leak of a test that failed in setup, call or teardown is a section on the failure, not in the leaks."""
    pytester.makepyfile(
        LEAK
        + """
def test_call():
    leak()
    assert not "own failure"

@pytest.fixture
def setup():
    leak()
    raise RuntimeError("own setup error")

def test_setup(setup):
    pass

@pytest.fixture
def teardown():
    yield
    leak()
    raise RuntimeError("own teardown error")

def test_teardown(teardown):
    pass
"""
    )
    ran = alone(QUICK)
    ran.result.assert_outcomes(failed=1, passed=1, errors=2)
    assert ran.result.ret == 1
    for test, failure in (
        ("test_call", "AssertionError"),
        ("test_setup", "own setup error"),
        ("test_teardown", "own teardown error"),
    ):
        ran.result.stdout.fnmatch_lines(
            [f"*_ *{test} _*", f"E *{failure}*", "*leakguard*left behind*", f"LEAK fd  *::{test}", "  what  *"]
        )
    assert "= leaks =" not in ran.text
    assert "leaked" not in ran.result.outlines[-1]
    ran.result.stdout.fnmatch_lines(["leakguard: 3 tests, 0 leaks, 3 in failed tests, peak *"])


ONE_LEAK = LEAK + "def test_leaks():\n    leak()\n\ndef test_clean():\n    use()\n"


def test_leaked_is_an_outcome_of_its_own(pytester, alone):
    """A leak shows as the letter L, as LEAKED with -v, as its own count, section and exit status 1."""
    pytester.makepyfile(test_it=ONE_LEAK)
    ran = alone(QUICK)
    ran.result.stdout.fnmatch_lines(
        [
            "test_it.py .L. *",
            "*= leaks =*",
            "LEAK fd  test_it.py::test_leaks",
            "leakguard: 2 tests, 1 leak, peak * of * descriptors (test_it.py::*), +* s",
            "*= 2 passed, 1 leaked in *",
        ]
    )
    assert ran.result.ret == 1
    ran = alone(QUICK, "-v")
    ran.result.stdout.fnmatch_lines(
        ["*::test_leaks PASSED *", "*::test_leaks LEAKED *", "*::test_clean PASSED *", "*= 2 passed, 1 leaked in *"]
    )
    ran.result.stdout.no_fnmatch_line("*::test_clean LEAKED*")


def test_the_action_warn_shows_and_fails_nothing(pytester, alone):
    """The action warn shows what fail shows, but for the exit status, JUnit and warnings as errors."""
    pytester.makepyfile(test_it=ONE_LEAK)
    ran = alone(QUICK, "--leakguard-action=warn", "--junit-xml=junit.xml", "-W", "error")
    ran.result.stdout.fnmatch_lines(
        [
            "test_it.py .L. *",
            "*= leaks =*",
            "LEAK fd  test_it.py::test_leaks",
            "leakguard: 2 tests, 1 leak, *",
            "*= 2 passed, 1 leaked in *",
        ]
    )
    assert ran.result.ret == 0
    assert told(ran.report) == {"test_leaks": [("fd", "warned")]}
    assert ran.report["summary"]["leaks"] == 1
    tags = [child.tag for entry in cases(pytester.path / "junit.xml")["test_leaks"] for child in entry]
    assert not {"failure", "error"} & set(tags)


def test_the_action_report_only_writes(pytester, alone):
    """The action report leaves letters, sections and exit status alone: files and one line."""
    pytester.makepyfile(test_it=ONE_LEAK)
    ran = alone(QUICK, "--leakguard-action=report")
    assert ran.result.ret == 0
    ran.result.stdout.fnmatch_lines(["test_it.py .. *", "leakguard: 2 tests, 1 leak, *", "*= 2 passed in *"])
    assert "LEAK fd" not in ran.text
    assert "= leaks =" not in ran.text
    ((test, findings),) = told(ran.report).items()
    assert (test, findings[0][0], ran.report["summary"]["leaks"]) == ("test_leaks", "fd", 1)


def test_x_stops_after_a_leak(pytester, alone):
    """With -x no test runs after the leaking one; a note and a warned leak stop nothing."""
    pytester.makepyfile(
        LEAK
        + """
@pytest.mark.xfail
def test_note():
    leak()
    assert 0

def test_leaks():
    leak()

def test_never_runs():
    leak()
"""
    )
    ran = alone(QUICK, "-x")
    ran.result.assert_outcomes(passed=1, xfailed=1)
    ran.result.stdout.fnmatch_lines(["*stopping after 1 failures*"])
    assert told(ran.report) == {"test_note": [("fd", "note")], "test_leaks": [("fd", "fails")]}
    assert ran.result.ret == 1
    ran = alone(QUICK, "-x", "--leakguard-action=warn")
    ran.result.assert_outcomes(passed=2, xfailed=1)
    assert ran.result.ret == 0


def test_lf_runs_the_leaking_test_again(pytester, monkeypatch):
    """--lf selects the test that leaked, as any that failed."""
    pytester.makepyfile(test_it=LEAK + "def test_clean():\n    use()\n\ndef test_leaks():\n    leak()\n")
    monkeypatch.setenv("PYTEST_DISABLE_PLUGIN_AUTOLOAD", "1")
    common = ("-p", "leakguard", "--leakguard", QUICK)
    assert pytester.runpytest(*common).ret == 1
    result = pytester.runpytest(*common, "--lf", "-v")
    result.stdout.fnmatch_lines(["*::test_leaks LEAKED*", "*= 1 passed, 1 *leaked* in *"])
    result.stdout.no_fnmatch_line("*::test_clean *")
    assert result.ret == 1


def test_junit_has_the_failure_on_the_right_test_case(pytester, alone):
    """JUnit XML fails the leaking test's entry, gives the fingerprint as a property and leaves the others alone."""
    pytester.makepyfile(
        test_it=LEAK
        + """
def test_clean():
    use()

def test_leaks():
    leak()

def test_failed():
    leak()
    assert not "own failure"

@pytest.fixture(scope="module")
def store():
    kept = []
    yield kept
    kept.clear()

def test_suspect(store):
    number = os.open(os.devnull, os.O_RDONLY)

def test_between():
    use()

def test_last(store):
    use()
"""
    )
    ran = alone(QUICK, "--junit-xml=junit.xml")
    assert told(ran.report) == {
        "test_leaks": [("fd", "fails")],
        "test_failed": [("fd", "note")],
        "test_suspect": [("fd", "fails")],
    }
    entries = cases(pytester.path / "junit.xml")

    def children(name: str) -> list[list[str]]:
        return [[child.tag for child in entry if child.tag in ("failure", "error")] for entry in entries[name]]

    def properties(name: str) -> list[str]:
        return [
            p.get("value", "")
            for entry in entries[name]
            for p in entry.iter("property")
            if p.get("name") == "leakguard"
        ]

    for name in ("test_clean", "test_between", "test_last"):
        assert children(name) == [[]]
        assert properties(name) == []
    assert [tag for tags in children("test_leaks") for tag in tags] == ["error"]
    assert properties("test_leaks") == ["fd:test_it.py:leak"]
    assert [tag for tags in children("test_failed") for tag in tags] == ["failure"]
    assert properties("test_failed") == ["fd:test_it.py:leak"]
    # the verdict comes with the teardown of the fixture, after the test's own entry: a second one, as documented
    assert children("test_suspect") == [[], ["error"]]
    assert properties("test_suspect") == ["fd:test_it.py:test_suspect"]
    suspect = entries["test_suspect"][1]
    assert suspect.get("classname") == entries["test_suspect"][0].get("classname")
    assert "LEAK fd  test_it.py::test_suspect" in "".join(suspect.itertext())


LATE = (
    LINGERS
    + """
def test_late():
    lingers("lingers")

def test_joined():
    thread = threading.Thread(target=threading.Event().wait, args=(0.1,), daemon=True)
    thread.start()
    thread.join()
"""
)


def test_late_is_told_only_when_asked_for(pytester, alone):
    """A thread that ends within the grace is no leak; with --leakguard-late it is told and still fails nothing."""
    pytester.makepyfile(LATE)
    ran = alone("-v")
    ran.result.assert_outcomes(passed=2)
    assert (ran.report["findings"], ran.result.ret) == ([], 0)
    ran = alone("--leakguard-late", "-v", "--junit-xml=junit.xml")
    ran.result.assert_outcomes(passed=2)
    assert told(ran.report) == {"test_late": [("thread", "late")]}
    (finding,) = ran.report["findings"]
    assert (finding["verdict"], finding["origin"]["function"]) == ("late", "lingers")
    assert ran.report["summary"]["leaks"] == 0
    assert ran.result.ret == 0
    ran.result.stdout.fnmatch_lines(["LATE thread  *::test_late", "leakguard: 2 tests, 0 leaks, 1 late, *"])
    assert "LEAKED" not in ran.text
    # its still-catches twin: a grace that is too short for it
    ran = alone("--leakguard-late", "--leakguard-grace=0")
    assert told(ran.report)["test_late"] == [("thread", "fails")]


def test_an_interrupt_keeps_its_exit_status_and_the_findings_so_far(pytester, alone):
    """Ctrl-C in a test or in a teardown ends with status 2, and what was found before is written and shown."""
    pytester.makepyfile(
        test_it=LEAK
        + """
def test_leaks():
    leak()

@pytest.fixture
def interrupts():
    yield
    if os.environ["WHERE"] == "teardown":
        raise KeyboardInterrupt

def test_interrupted(interrupts):
    leak()
    if os.environ["WHERE"] == "call":
        raise KeyboardInterrupt

def test_never_runs():
    leak()
"""
    )
    for where in ("call", "teardown"):
        pytester._monkeypatch.setenv("WHERE", where)
        ran = alone(QUICK)
        assert ran.result.ret == pytest.ExitCode.INTERRUPTED, where
        assert told(ran.report)["test_leaks"] == [("fd", "fails")]
        assert "test_never_runs" not in told(ran.report)
        ran.result.stdout.fnmatch_lines(["*= leaks =*", "LEAK fd  test_it.py::test_leaks", "leakguard: * leak*, *"])
        ran.result.stdout.fnmatch_lines(["*KeyboardInterrupt*"])


def test_a_fork_in_a_test(pytester, alone):
    """A child that exits tells nothing, nor does one that runs on through pytest; the parent tells its own leaks."""
    pytester.makepyfile(
        test_it=LEAK
        + """
JSON = os.path.join(os.path.dirname(__file__), "leakguard.json")

def test_before():
    leak()

def test_child_leaks_and_exits():
    child = os.fork()
    if not child:
        leak()
        os._exit(0)
    os.waitpid(child, 0)

def test_parent_leaks():
    leak()
    child = os.fork()
    if not child:
        os._exit(0)
    os.waitpid(child, 0)

def test_child_runs_on():
    child = os.fork()
    if not child:
        leak()
        return
    os.waitpid(child, 0)
    assert not os.path.exists(JSON)

def test_after():
    leak()
"""
    )
    ran = alone(QUICK, "-v")
    assert told(ran.report) == {
        "test_before": [("fd", "fails")],
        "test_parent_leaks": [("fd", "fails")],
        "test_after": [("fd", "fails")],
    }
    assert ran.report["summary"]["tests"] == 5
    assert ran.result.ret == 1
    # the child prints the session's end too, as it does without the plugin, but nothing of ours
    assert ran.text.count("= leaks =") == 1
    assert "test_child_runs_on LEAKED" not in ran.text
    ran.result.assert_outcomes(passed=5)
    # header, what it means, closing line
    assert len([line for line in ran.result.outlines if line.startswith("leakguard: ")]) == 3
    assert ran.text.count("::test_after LEAKED") == 1


def test_reruns(pytester, alone):
    """Attempts that failed give notes; a leak of the attempt that passed fails, also when that was a later one."""
    pytest.importorskip("pytest_rerunfailures")
    pytester.makepyfile(
        LEAK
        + """
ATTEMPTS = {}

@pytest.fixture
def attempt(request):
    ATTEMPTS[request.node.name] = ATTEMPTS.get(request.node.name, 0) + 1
    return ATTEMPTS[request.node.name]

def test_clean(attempt):
    use()
    assert attempt > 1

def test_each_attempt_leaks(attempt):
    leak()
    assert attempt > 1

def test_first_attempt_leaks(attempt):
    if attempt == 1:
        leak()
    assert attempt > 1

def test_passing_attempt_leaks(attempt):
    if attempt > 1:
        leak()
    assert attempt > 1

def test_never_passes(attempt):
    leak()
    assert 0

@pytest.fixture
def breaks_once(attempt):
    yield
    leak()
    assert attempt > 1

def test_teardown_breaks_once(breaks_once):
    pass

def test_only_leaks(attempt):
    leak()
"""
    )
    ran = alone(QUICK, "-p", "rerunfailures", "--reruns=1")
    assert told(ran.report) == {
        "test_each_attempt_leaks": [("fd", "fails"), ("fd", "note")],
        "test_first_attempt_leaks": [("fd", "note")],
        "test_passing_attempt_leaks": [("fd", "fails")],
        "test_never_passes": [("fd", "note"), ("fd", "note")],
        "test_teardown_breaks_once": [("fd", "fails"), ("fd", "note")],
        "test_only_leaks": [("fd", "fails")],
    }
    # pytest's own count has one passed more: the attempt of which the teardown broke
    ran.result.stdout.fnmatch_lines(["*= 1 failed, 7 passed, 6 rerun, 4 leaked in *"])
    assert ran.result.ret == 1


def test_a_report_that_is_dropped_takes_no_finding_with_it(pytester, alone):
    """A plugin may run a test again and never log the first attempt: what that left comes with the next report."""
    pytester.makeconftest(
        """
        from _pytest.runner import runtestprotocol

        def pytest_runtest_protocol(item, nextitem):
            reports = runtestprotocol(item, nextitem=nextitem, log=False)
            if not all(report.passed for report in reports):
                reports = runtestprotocol(item, nextitem=nextitem, log=False)
            for report in reports:
                item.ihook.pytest_runtest_logreport(report=report)
            return True
        """
    )
    pytester.makepyfile(
        LEAK
        + """
RUNS = []

def test_it():
    RUNS.append(1)
    if len(RUNS) == 1:
        leak()
    assert len(RUNS) > 1
"""
    )
    ran = alone(QUICK)
    assert told(ran.report) == {"test_it": [("fd", "note")]}
    ran.result.assert_outcomes(passed=1)


def test_doctests(pytester, alone):
    """Doctests of modules and of text files are judged like tests; an example that fails keeps its failure."""
    pytester.makepyfile(
        test_it=LEAK
        + '''
def leaky():
    """
    >>> leak()
    """

def leaky_in_the_example():
    """
    >>> import os
    >>> number = os.open(os.devnull, os.O_RDONLY)
    """

def clean():
    """
    >>> use()
    """

def failed():
    """
    >>> leak()
    >>> 1 + 1
    3
    """
'''
    )
    pytester.maketxtfile(
        test_leaky=">>> import os\n>>> number = os.open(os.devnull, os.O_RDONLY)\n",
        test_clean=">>> import os\n>>> os.close(os.open(os.devnull, os.O_RDONLY))\n",
    )
    ran = alone(QUICK, "--doctest-modules", "--doctest-glob=*.txt")
    assert told(ran.report) == {
        "test_it.leaky": [("fd", "fails")],
        "test_it.leaky_in_the_example": [("fd", "fails")],
        "test_it.failed": [("fd", "note")],
        "test_leaky.txt": [("fd", "fails")],
    }
    (inside,) = ran.of("test_it.leaky")
    assert (inside["origin"]["file"], inside["origin"]["function"]) == ("test_it.py", "leak")
    (text,) = ran.of("::test_leaky.txt")
    assert text["origin"]["how"] == "audit"
    assert text["origin"]["line"] is not None
    ran.result.assert_outcomes(passed=5, failed=1)


def test_unittest_items(pytester, alone):
    """Each place in which a unittest test can leak is told on that test, and the clean twins are clean."""
    pytester.makepyfile(
        LEAK
        + """
class Leaky(unittest.TestCase):
    def test_body(self):
        leak()

    def test_cleanup(self):
        self.addCleanup(leak)

    def test_clean(self):
        use()

    def test_closed_by_cleanup(self):
        self.addCleanup(os.close, os.open(os.devnull, os.O_RDONLY))

    def test_skipped(self):
        leak()
        self.skipTest("in call")

    def test_failed(self):
        leak()
        self.fail("own failure")

    @unittest.expectedFailure
    def test_expected(self):
        leak()
        self.fail("expected")

class InSetUp(unittest.TestCase):
    def setUp(self):
        leak()

    def test_it(self):
        pass

class InTearDown(unittest.TestCase):
    def tearDown(self):
        leak()

    def test_it(self):
        pass

class Clean(unittest.TestCase):
    def setUp(self):
        self.number = os.open(os.devnull, os.O_RDONLY)

    def tearDown(self):
        os.close(self.number)

    def test_it(self):
        use()

class Asynchronous(unittest.IsolatedAsyncioTestCase):
    async def test_leaks(self):
        leak()

    async def test_clean(self):
        use()
"""
    )
    ran = alone(QUICK)
    assert told(ran.report) == {
        "Leaky::test_body": [("fd", "fails")],
        "Leaky::test_cleanup": [("fd", "fails")],
        "Leaky::test_skipped": [("fd", "fails")],
        "Leaky::test_failed": [("fd", "note")],
        "Leaky::test_expected": [("fd", "note")],
        "InSetUp::test_it": [("fd", "fails")],
        "InTearDown::test_it": [("fd", "fails")],
        "Asynchronous::test_leaks": [("fd", "fails")],
    }
    ran.result.assert_outcomes(passed=9, failed=1, skipped=1, xfailed=1)


def test_unittest_subtests(pytester, alone):
    """Subtests of unittest are parts of their test: told once on it, a note when one of them failed."""
    pytester.makepyfile(
        LEAK
        + """
class Parts(unittest.TestCase):
    def test_leaky(self):
        for number in range(3):
            with self.subTest(number=number):
                leak()

    def test_failed(self):
        for number in range(3):
            with self.subTest(number=number):
                leak()
                self.assertNotEqual(number, 1)

    def test_clean(self):
        for number in range(3):
            with self.subTest(number=number):
                use()
"""
    )
    ran = alone(QUICK)
    expected = {"Parts::test_leaky": [("fd", "fails")], "Parts::test_failed": [("fd", "note")]}
    assert told(ran.report) == expected
    if pytest.version_tuple >= (9,):  # before, the first that fails ends its test
        assert [finding["count"] for finding in ran.report["findings"]] == [3, 3]


@pytest.mark.skipif(pytest.version_tuple < (9,), reason="the subtests fixture came with pytest 9")
def test_subtests(pytester, alone):
    """Subtests of pytest are parts of their test: told once on it, a note when one of them failed."""
    pytester.makepyfile(
        LEAK
        + """
def test_leaky(subtests):
    for number in range(3):
        with subtests.test(number=number):
            leak()

def test_failed(subtests):
    for number in range(3):
        with subtests.test(number=number):
            leak()
            assert number != 1

def test_clean(subtests):
    for number in range(3):
        with subtests.test(number=number):
            use()
"""
    )
    ran = alone(QUICK)
    assert told(ran.report) == {"test_leaky": [("fd", "fails")], "test_failed": [("fd", "note")]}
    assert [finding["count"] for finding in ran.report["findings"]] == [3, 3]
    ran.result.stdout.fnmatch_lines(["*= 2 failed, 2 passed*, 1 leaked in *"])


def test_nothing_is_told_where_nothing_ran(pytester, monkeypatch):
    """Under --collect-only no line of ours stands among the ids of the tests, and bad markers are still refused."""
    monkeypatch.setenv("PYTEST_DISABLE_PLUGIN_AUTOLOAD", "1")
    pytester.makepyfile(test_it=ONE_LEAK)
    result = pytester.runpytest("-p", "leakguard", "--leakguard", "--collect-only", "-q")
    assert result.ret == 0
    assert [line for line in result.outlines if line][:-1] == ["test_it.py::test_leaks", "test_it.py::test_clean"]
    pytester.makepyfile(test_it='import pytest\n\n@pytest.mark.no_leaks("fsd")\ndef test_it():\n    pass\n')
    result = pytester.runpytest("-p", "leakguard", "--leakguard", "--collect-only", "-q")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines(["*unknown kind 'fsd'; did you mean 'fd'?*"])
