"""After some tests in which nothing moved the hook on reports is away: the next that leaks is judged the same."""

from __future__ import annotations

import pytest

from pytest_leakguard.plugin.reports import QUIET_TESTS

HEAD = f"""
import os, pytest
KEPT = []

@pytest.mark.parametrize("n", range({QUIET_TESTS + 5}))
def test_quiet(n):
    pass

@pytest.fixture
def path(tmp_path):
    path = tmp_path / "a.txt"
    path.write_text("a")
    return path
"""
BODIES = {
    "passes": ("def test_it(path): KEPT.append(open(path))", "fails", "call"),
    "fails": ("def test_it(path):\n    KEPT.append(open(path))\n    assert 0", "note", "call"),
    "xfail in the body": (
        "def test_it(path):\n    KEPT.append(open(path))\n    pytest.xfail('known')",
        "note",
        "call",
    ),
    "xfail by mark": (
        "@pytest.mark.xfail\ndef test_it(path):\n    KEPT.append(open(path))\n    assert 0",
        "note",
        "call",
    ),
    "fails in setup": (
        "@pytest.fixture\ndef broken(path):\n    KEPT.append(open(path))\n    raise OSError\n\n"
        "def test_it(broken): pass",
        "note",
        "setup",
    ),
    "leaks in teardown": (
        "@pytest.fixture\ndef late(path):\n    yield\n    KEPT.append(open(path))\n\ndef test_it(late): pass",
        "fails",
        "teardown",
    ),
    "raises in teardown": (
        "@pytest.fixture\ndef late(path):\n    yield\n    KEPT.append(open(path))\n    raise OSError\n\n"
        "def test_it(late): pass",
        "note",
        "teardown",
    ),
    "skips in the body": (
        "def test_it(path):\n    KEPT.append(open(path))\n    pytest.skip('no')",
        "fails",
        "call",
    ),
}


@pytest.mark.parametrize("quiet", [True, False], ids=["after quiet tests", "at once"])
@pytest.mark.parametrize("body", BODIES)
def test_the_verdict_is_the_same(pytester, alone, body, quiet):
    """One finding, of that test, with its phase, a note where the test failed by itself."""
    text, disposition, phase = BODIES[body]
    pytester.makepyfile(test_a=HEAD + "\n" + text + "\n\ndef test_after(): pass\n")
    ran = alone(*(() if quiet else ("-k", "not quiet")))
    (finding,) = ran.report["findings"]
    assert finding["test"] == "test_a.py::test_it"
    assert (finding["kind"], finding["disposition"], finding["phase"]) == ("fd", disposition, phase)


SWAPS = """
import os, pytest
ENDS = os.pipe()  # there before the first test

def swap():
    for end in ENDS:
        os.close(end)
    assert os.pipe() == ENDS  # the same numbers, no event

@pytest.mark.parametrize("n", range(250))
def test_quiet(n):
    if n == AT:
        swap()

def test_moves():
    os.close(os.open(os.devnull, os.O_RDONLY))

def test_leaks():
    os.dup(ENDS[0])
"""


@pytest.mark.parametrize(
    ("at", "stretch"),
    [
        (120, "between test_a.py::test_first and test_a.py::test_quiet[199]"),
        (230, "between test_a.py::test_quiet[199] and test_a.py::test_moves"),
    ],
    ids=["found by the look made every so often", "found by a look for another reason"],
)
def test_what_only_a_later_look_finds_is_no_single_tests(pytester, alone, at, stretch):
    """No number changed and no event came: told as between two tests; what changes a number is its test's."""
    text = SWAPS.replace("AT", str(at)).replace(
        "@pytest.mark", "def test_first(): open(__file__).close()\n@pytest.mark"
    )
    pytester.makepyfile(test_a=text)
    ran = alone()
    swapped, dup = ran.report["findings"]
    assert (swapped["owner"]["kind"], swapped["owner"]["name"], swapped["count"]) == ("stretch", stretch, 2)
    assert (swapped["kind"], swapped["phase"], swapped["origin"]["file"]) == ("fd", None, None)
    assert "a stretch of tests" in swapped["fingerprint"]
    assert f"LEAK fd  {stretch}" in ran.text
    assert (dup["owner"]["kind"], dup["test"]) == ("test", "test_a.py::test_leaks")


def test_after_a_look_a_single_test_is_blamed(pytester, alone):
    """The very next test after one that was looked at: nobody else can have done it."""
    pytester.makepyfile(
        test_a=SWAPS.replace("AT", "0")
        .replace("@pytest.mark", "def test_first(): open(__file__).close()\n@pytest.mark")
        .replace("        swap()", "        swap()\n        open(__file__).close()")
    )
    swapped, _ = alone().report["findings"]
    assert (swapped["owner"]["kind"], swapped["test"]) == ("test", "test_a.py::test_quiet[0]")


CYCLES = """
import gc, warnings
gc.disable()  # nothing but the guard collects

class Session:
    def __init__(self):
        self.me = self
    def __del__(self):
        warnings.warn("unclosed session", ResourceWarning)

def moves():
    open(__file__).close()

def test_first(): moves()
def test_makes_garbage_and_moves():
    Session()
    moves()
def test_makes_garbage(): Session()
def test_moves(): moves()
"""


def test_garbage_of_a_test_that_was_not_looked_at_is_no_single_tests(pytester, alone):
    """Nothing moved in the test that made it: told as between two tests, not on the one that was collected after."""
    pytester.makepyfile(test_a=CYCLES)
    own, older = sorted(alone().report["findings"], key=lambda finding: finding["owner"]["kind"], reverse=True)
    assert (own["kind"], own["owner"]["name"]) == ("unclosed", "test_a.py::test_makes_garbage_and_moves")
    stretch = "between test_a.py::test_makes_garbage_and_moves and test_a.py::test_moves"
    assert (older["kind"], older["owner"]["kind"], older["owner"]["name"]) == ("unclosed", "stretch", stretch)


COROUTINES = """
import gc, pytest
from pytest_leakguard import LeakError
gc.disable()  # nothing but the guard collects
KEPT = []

async def never(): pass

def make():
    ring = [never()]
    ring.append(ring)

def moves():
    open(__file__).close()

def test_first(): moves()
def test_makes_garbage(): make()
def test_moves(): moves()
def test_block(leak_check):
    with pytest.raises(LeakError) as raised, leak_check():
        KEPT.append(open(__file__))
        make()
    assert {finding.kind for finding in raised.value.findings} == {"fd", "task"}
def test_makes_and_moves():
    make()
    moves()
"""


def test_a_coroutine_that_may_be_an_earlier_tests_is_left_to_python(pytester, alone):
    """A test that moved nothing may have made it: no test is blamed. One made since the last look is told."""
    pytester.makepyfile(test_a=COROUTINES)
    ran = alone()
    assert [(f["kind"], f["test"]) for f in ran.report["findings"]] == [("task", "test_a.py::test_makes_and_moves")]
    ran.result.assert_outcomes(passed=5, warnings=1)


BLOCK = """
import pytest
from pytest_leakguard import LeakError

KEPT = []
async def never(): pass

def test_makes_coroutine_and_garbage():
    ring = [never()]
    ring.append(ring)
    Session()
def test_block(leak_check):
    with leak_check():
        pass
    with pytest.raises(LeakError) as raised, leak_check():
        KEPT.append(open(__file__))
        Session()
    assert {finding.kind for finding in raised.value.findings} == {"fd", "unclosed"}
"""


def test_garbage_that_is_there_before_a_block_is_no_single_tests(pytester, alone):
    """The block collects it first: it may be of the test before, which was not looked at."""
    pytester.makepyfile(test_a=CYCLES.partition("def test_makes_garbage_and")[0] + BLOCK)
    ran = alone()
    ran.result.assert_outcomes(passed=3, warnings=1)  # Python's own, of the coroutine
    (finding,) = ran.report["findings"]
    assert (finding["kind"], finding["owner"]["name"]) == (
        "unclosed",
        "between test_a.py::test_first and test_a.py::test_block",
    )
