"""What is left x runner x scope x phase: the leaky twin is told once and rightly, the clean one never."""

from __future__ import annotations

import pytest
from task_twins import ROWS, Row, tree
from twins import line_marked

pytest.importorskip("pytest_asyncio")
pytest.importorskip("anyio")
pytest.importorskip("trio")

PLUGINS = ("-p", "pytest_asyncio.plugin", "-p", "anyio.pytest_plugin")
LEAKY = [row for row in ROWS if row.leaky]
CLEAN = [row for row in ROWS if not row.leaky]


@pytest.fixture(scope="module")
def told(tmp_path_factory, run_tree):
    ran = run_tree(tmp_path_factory.mktemp("tasks"), tree(), *PLUGINS)
    assert ran.result.ret == 1, ran.text
    return ran


def of(told, row: Row):
    """All findings, failing or not, that name the test or the fixture of a row."""
    return [f for f in told.report["findings"] if row.name in f"{f['test']} {f['owner']['name']}"]


@pytest.mark.parametrize("row", LEAKY, ids=lambda row: row.name)
def test_a_leaky_twin_is_told_once_and_rightly(told, row):
    """One finding of kind task, with owner, phase and the line that began it."""
    (finding,) = of(told, row)
    assert (finding["kind"], finding["verdict"]) == ("task", "leaked")
    assert (finding["disposition"], finding["count"]) == ("fails", 1)
    assert {name: finding["owner"][name] for name in row.owner} == row.owner
    assert finding["test"] == row.test
    assert finding["phase"] == row.told_phase
    origin = finding["origin"]
    assert (origin["file"], origin["line"]) == (row.file, line_marked(tree()[row.file], row.name))


@pytest.mark.parametrize("row", CLEAN, ids=lambda row: row.name)
def test_a_clean_twin_is_never_mentioned(told, row):
    """Ended in time: not a finding of any kind."""
    assert of(told, row) == []


def test_nothing_else_is_told(told):
    """As many findings as leaky twins, and no test fails in any other way."""
    assert len(told.report["findings"]) == len(LEAKY)
    assert f"{len(ROWS)} passed" in told.text
    assert " failed" not in told.text
    assert " error" not in told.text


@pytest.mark.parametrize("row", [row for row in LEAKY if row.phase == "handed"], ids=lambda row: row.name)
def test_what_was_handed_to_a_wider_fixture_waited_for_it(told, row):
    """The message says which fixture might have ended it, unless its loop's runner did so first."""
    (finding,) = of(told, row)
    assert "might have released it" in finding["due"] or "only the runner" in finding["due"]
