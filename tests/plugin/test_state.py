"""State: each watched value, left changed, is told once and rightly; put back, it is never mentioned."""

from __future__ import annotations

from fnmatch import fnmatchcase

import pytest
from state_twins import CHANGES, ROWS, tree
from twins import line_marked


@pytest.fixture(scope="module")
def told(tmp_path_factory, run_tree):
    root = tmp_path_factory.mktemp("state")
    # the filters are watched only where pytest does not put them back itself; the streams likewise
    ran = run_tree(
        root, tree(), "--leakguard-probes=state", "-p", "no:warnings", "-s", GIVEN="before", TZ="UTC", LC_ALL="C"
    )
    return ran


LEAKY = [row for row in ROWS if row.leaky]
CLEAN = [row for row in ROWS if not row.leaky]


def of(told, row):
    return [f for f in told.report["findings"] if row.name in f"{f['test']} {f['owner']['name']} {f['subject']}"]


@pytest.mark.parametrize("row", LEAKY, ids=lambda row: row.name)
def test_a_leaky_twin_is_told_once_and_rightly(told, row):
    """One finding with before and after, its owner, and its phase; the line where an event tells it."""
    (finding,) = of(told, row)
    assert (finding["kind"], finding["verdict"], finding["disposition"]) == ("state", "leaked", "fails")
    assert (finding["subject"], finding["count"]) == (row.subject, 1)
    assert fnmatchcase(finding["what"], row.told), finding["what"]
    assert {name: finding["owner"][name] for name in row.owner} == row.owner
    assert finding["phase"] == ("call" if row.phase == "plain" else row.phase)
    if "#" in CHANGES[row.change][1]:
        assert (finding["origin"]["file"], finding["origin"]["line"]) == (
            row.file, line_marked(tree()[row.file], row.name)
        )  # fmt: skip
    else:
        assert finding["origin"]["file"] is None
        assert finding["origin"]["reason"]


@pytest.mark.parametrize("row", CLEAN, ids=lambda row: row.name)
def test_a_clean_twin_is_never_mentioned(told, row):
    """Put back by the end of its owner: not a finding of any kind."""
    assert of(told, row) == []


def test_nothing_else_is_told(told):
    """As many findings as leaky twins, all tests pass, and nothing of ours went wrong."""
    assert len(told.report["findings"]) == len(LEAKY)
    assert " failed" not in told.text
    assert " error" not in told.text
