"""Objects, each way to be watched x phase x scope: the leaky twin is told once and rightly, the clean one never."""

from __future__ import annotations

import pytest
from track_twins import ROWS, WHAT, line_marked, tree

LEAKY = [row for row in ROWS if row.leaky]
CLEAN = [row for row in ROWS if not row.leaky]


@pytest.fixture(scope="module")
def told(tmp_path_factory, run_tree):
    ran = run_tree(tmp_path_factory.mktemp("track"), tree(), "--leakguard-grace=0")
    assert ran.result.ret == 1, ran.text
    return ran


def of(told, row):
    """All findings, failing or not, that name the test or the fixture of a row."""
    return [f for f in told.report["findings"] if row.name in f"{f['test']} {f['owner']['name']}"]


@pytest.mark.parametrize("row", LEAKY, ids=lambda row: row.name)
def test_a_leaky_twin_is_told_once_and_rightly(told, row):
    """One finding of kind object, with what is wrong, owner, phase and the line that made it."""
    (finding,) = of(told, row)
    assert (finding["kind"], finding["verdict"], finding["disposition"]) == ("object", "leaked", "fails")
    assert finding["what"] == WHAT[row.kind]
    assert {name: finding["owner"][name] for name in row.owner} == row.owner
    assert (finding["test"], finding["phase"]) == (row.test, row.phase)
    origin = finding["origin"]
    assert (origin["file"], origin["line"]) == (row.file, line_marked(tree()[row.file], row.name))
    assert origin["how"] == {"track": "track", "c": "audit"}.get(row.kind, "wrap")


@pytest.mark.parametrize("row", CLEAN, ids=lambda row: row.name)
def test_a_clean_twin_is_never_mentioned(told, row):
    """Gone, or closed in time: no finding, for no test and no fixture."""
    assert of(told, row) == []


def test_nothing_else_is_told(told):
    """As many findings as leaky twins; no test fails in any other way."""
    assert len(told.report["findings"]) == len(LEAKY)
    assert " failed" not in told.text
    assert " error" not in told.text
