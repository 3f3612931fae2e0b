"""What the census and the comparison make of what they measured; that they run is shown by running them."""

from __future__ import annotations

import importlib
import re
import sys
import xml.etree.ElementTree as ElementTree
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).parents[1]


def program(folder: str, name: str, monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """A module that lies in no package, beside those that it imports."""
    monkeypatch.syspath_prepend(str(ROOT / folder))
    return importlib.import_module(name)


# -- the census


@pytest.fixture
def census(monkeypatch):
    if sys.version_info < (3, 11):
        pytest.importorskip("tomli")
    return program(".ci", "census", monkeypatch)


def test_the_outcomes_of_a_run(census, tmp_path):
    """The worst of a test counts, and an error that is a report of ours is told from others."""
    junit = tmp_path / "junit.xml"
    junit.write_text(
        """<testsuites><testsuite>
        <testcase classname="t" name="good"/>
        <testcase classname="t" name="left_out"><skipped/></testcase>
        <testcase classname="t" name="leaky"><error message='failed on teardown with "LEAK fd  t.py::leaky'/></testcase>
        <testcase classname="t" name="broken"><error message="failed on teardown with &quot;OSError"/></testcase>
        <testcase classname="t" name="bad"><failure message="LEAK is a word"/></testcase>
        </testsuite></testsuites>"""
    )
    found = {name.partition("::")[2]: outcome for name, outcome in census.outcomes(junit).items()}
    assert found == {"good": "passed", "left_out": "skipped", "leaky": "leaked", "broken": "error", "bad": "failed"}


def finding(kind: str, test: str) -> dict[str, str]:
    return {"kind": kind, "test": test, "what": "it"}


def result(**changed: object) -> dict[str, object]:
    told = {"name": "pkg", "version": "1", "passed": 3, "changed": {}, "reported": [], "blind": {}, "errors": []}
    return {**told, **changed}


def test_what_makes_the_census_fail(census):
    """A false report, one that nobody judged, and an outcome that no report explains; a true report does not."""
    known = [
        census.Judgement(suite="pkg", kind="fd", tests=("t.py::test_a*",), verdict="true", why="never closed"),
        census.Judgement(suite="pkg", kind="thread", tests=("*",), verdict="false", why="it ends by itself"),
    ]
    fine = result(reported=[finding("fd", "t.py::test_a1")], changed={"t::test_a1": ["passed", "leaked"]})
    assert list(census.troubles(fine, known)) == []
    for bad, word in (
        (result(reported=[finding("thread", "t.py::test_b")]), "false"),
        (result(reported=[finding("fd", "t.py::test_b")]), "unknown"),
        (result(changed={"t::test_c": ["passed", "error"]}), "changed without a report"),
        (result(blind={"fd": "nothing was seen"}), "blind"),
        (result(errors=["an error"]), "error of the plugin"),
    ):
        (trouble,) = census.troubles(bad, known)
        assert trouble.startswith(word)
    assert "| pkg | 1 | 3 | 1 | 1 | 1 | 0 |" in list(census.table([fine], known))


def test_every_judgement_is_of_a_suite_and_says_why(census, tmp_path):
    """All of our own suites, and those of the corpus by name, which is not here."""
    own = {suite.name for suite in census.read_suites(tmp_path)}
    corpus = {"anyio", "execnet", "paramiko", "starlette", "waitress", "werkzeug"}
    for judgement in census.read_judgements():
        assert judgement.suite in own | corpus
        assert judgement.verdict in ("true", "false")
        assert judgement.why
    assert len(own) >= 4


def test_the_page_tells_the_judgements(census):
    """Each cause of `census.toml` whose suite is on the page stands there in the same words."""
    page = (ROOT / "docs" / "explanation" / "census.md").read_text("utf-8")
    causes = [judgement.why for judgement in census.read_judgements() if f"| {judgement.suite} |" in page]
    assert [why for why in causes if why not in page] == []


# -- the comparison


@pytest.fixture
def compare(monkeypatch):
    pytest.importorskip("psutil")
    if sys.version_info < (3, 11):
        pytest.importorskip("tomli")
    return program("benchmarks", "compare", monkeypatch)


def measured(compare, benchmark: str, size: int, plain: float, guarded: float):
    """Six rounds in which a run of 10 tests takes that many milliseconds, and a little more each time."""
    rounds = [1 + step / 1000 for step in range(6)]
    seconds = {
        compare.PLAIN.name: [plain / 1e3 * each for each in rounds],
        compare.GUARD.name: [guarded / 1e3 * each for each in rounds],
    }
    return compare.Measured(benchmark=benchmark, size=size, tests=10, seconds=seconds)


@pytest.mark.parametrize(("guarded", "holds"), [(20.0 + 9_990 * 0.019, True), (20.0 + 9_990 * 0.021, False)])
def test_the_cost_of_an_open_descriptor(compare, guarded, holds):
    """2 us for each test and descriptor are in the budget: 10 tests, 9,990 more descriptors, 1.9 and 2.1 us."""
    points = [measured(compare, "descriptors", 10, 10, 20), measured(compare, "descriptors", 10_000, 10, guarded)]
    assert [verdict for verdict, _ in compare.checks(points)] == [holds, None]


@pytest.mark.parametrize(("guarded", "holds"), [(12.1, True), (13.0, False)])
def test_the_cost_by_the_size_of_the_heap(compare, guarded, holds):
    """What is added may be a quarter more beside the largest heap, not more."""
    points = [measured(compare, "objects", 10_000, 10, 12), measured(compare, "objects", 10**7, 10, guarded)]
    assert [verdict for verdict, _ in compare.checks(points)] == [None, holds]


def test_tables_and_curves(compare, tmp_path):
    """The page keeps what stands before the results; the picture is well-formed and has a curve for each tool."""
    points = [
        measured(compare, "trivial", 0, 10, 11),
        measured(compare, "threads", 1, 10, 12),
        measured(compare, "threads", 10, 10, 14),
    ]
    page = tmp_path / "page.md"
    page.write_text("# Before\n\n## Results\n\nold\n", "utf-8")
    compare.write_page(page, "Python 3.11", points)
    text = page.read_text("utf-8")
    assert text.startswith("# Before\n\n## Results\n")
    assert "old" not in text
    assert "| leakguard | 1.10 (1.10 to 1.10) |" in text
    assert re.search(r"^\| leakguard \| 200 \(\d+ to \d+\) \| 401 \(\d+ to \d+\) \|$", text, re.MULTILINE)
    root = ElementTree.parse(tmp_path / "page-growth.svg").getroot()
    lines = [part.get("stroke") for part in root.iter() if part.get("fill") == "none"]
    assert len(lines) == len(set(lines)) == 2
