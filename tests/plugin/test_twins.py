"""Each kind x phase x owner scope: the leaky twin is told once and rightly, the clean one never."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from twins import FORKING, KINDS, ROWS, SCOPES, Row, junit_errors, line_marked, tree


@dataclass(frozen=True)
class Told:
    """What one run over the whole tree told."""

    report: dict[str, Any]
    text: str
    files: dict[str, str]
    rows: list[Row]
    junit: dict[str, str]

    def of(self, row: Row) -> list[dict[str, Any]]:
        """All findings, failing or not, that name the tests or the fixture of a row."""
        return [
            finding
            for finding in self.report["findings"]
            if row.name in f"{finding['test']} {finding['owner']['name']} {finding['subject']}"
        ]


@pytest.fixture(scope="module")
def runs(tmp_path_factory, run_tree):
    """Two runs, the second with what forks."""
    kinds = [kind for kind in KINDS if kind not in FORKING], FORKING
    return [
        ran_of([row for row in ROWS if row.kind in some], tmp_path_factory.mktemp("twins"), run_tree) for some in kinds
    ]


@pytest.fixture
def told(runs, row):
    """The run with the row of a test in it."""
    return runs[row.kind in FORKING]


def ran_of(rows: list[Row], root: Path, run_tree: Callable[..., Any]) -> Told:
    """One run over the tree of some rows."""
    files = tree(rows)
    data = {f"data/{row.name}.txt": "x" if row.kind == "mmap_file" else "" for row in rows}
    options = ("--leakguard-grace=0.05", "--junit-xml=junit.xml")
    ran = run_tree(root, {**files, **data}, *options, TWINS_DATA=str(root / "data"))
    assert ran.result.ret == 1, ran.text
    return Told(ran.report, ran.text, files, rows, junit_errors(root / "junit.xml"))


LEAKY = [row for row in ROWS if row.leaky]
CLEAN = [row for row in ROWS if not row.leaky]


@pytest.mark.parametrize("row", LEAKY, ids=lambda row: row.name)
def test_a_leaky_twin_is_told_once_and_rightly(told, row):
    """One finding, of the right kind, with owner, phase and the line that acquired."""
    (finding,) = told.of(row)
    kind = KINDS[row.kind]
    assert (finding["kind"], finding["verdict"]) == (kind.tells or row.kind, kind.verdict)
    assert (finding["disposition"], finding["count"]) == ("fails", 1)
    owner = finding["owner"]
    assert {name: owner[name] for name in row.owner} == row.owner
    assert finding["test"] == row.test
    assert finding["phase"] == row.phase
    origin = finding["origin"]
    assert (origin["file"], origin["line"]) == (row.file, line_marked(told.files[row.file], row.name))
    assert origin["function"].rpartition(".")[2] == row.function


@pytest.mark.parametrize(
    # of shared memory that has only a name left nothing is held
    "row",
    [row for row in LEAKY if row.kind not in ("temp", "unclosed") and not row.name.startswith("shm_name")],
    ids=lambda row: row.name,
)  # fmt: skip
def test_a_leaky_twin_tells_who_holds_it(told, row):
    """The list that each twin keeps its thing in, found at the end of whatever scope."""
    (finding,) = told.of(row)
    held = finding["held"]
    file = SCOPES[row.scope][1 if row.given == "plain" else 0]  # of the function that loses it
    name = file.removesuffix(".py").replace("/", ".")
    assert held["chain"][:1] == [f"module {name}, global `KEPT`"]
    assert held["chain"][1].startswith("list[")


@pytest.mark.parametrize(
    "row", [row for row in LEAKY if row.given == "plain"], ids=lambda row: row.name
)  # fmt: skip
def test_each_kind_of_leak_is_in_the_junit_report(told, row):
    """As an error of the test's own entry, with the whole message."""
    (finding,) = told.of(row)
    text = told.junit[f"test_{row.name}"]
    assert f"LEAK {KINDS[row.kind].tells or row.kind}  {row.test}" in text
    assert f"{row.file}:{line_marked(told.files[row.file], row.name)} in {row.function}" in text
    assert finding["due"] in text


@pytest.mark.parametrize("row", CLEAN, ids=lambda row: row.name)
def test_a_clean_twin_is_never_mentioned(told, row):
    """Released in time: not a finding of any kind, for no test and no fixture."""
    assert told.of(row) == []


@pytest.mark.parametrize(
    "row", [row for row in LEAKY if row.phase == "call" and row.given == "fixture" and row.scope != "function"
            and row.kind != "unclosed"], ids=lambda row: row.name
)  # fmt: skip
def test_what_was_handed_to_a_wider_fixture_is_told_when_that_is_over(told, row):
    """The message says which fixture the verdict waited for."""
    (finding,) = told.of(row)
    assert f"fixture 'fixture_{row.name}' ({row.scope} scope) might have released it" in finding["due"]


@pytest.mark.parametrize("index", [0, 1])
def test_nothing_else_is_told(runs, index):
    """As many findings as leaky twins, no test fails in any other way, and nothing of ours went wrong."""
    told = runs[index]
    leaky = [row for row in told.rows if row.leaky]
    assert len(told.report["findings"]) == len(leaky)
    assert told.report["summary"]["leaks"] == len(leaky)
    assert told.report["errors"] == []
    assert told.report["blind"] == {}
    tests = len(told.rows) + sum(row.scope != "function" for row in told.rows)
    assert told.report["summary"]["tests"] == tests
    assert f"{tests} passed" in told.text
    assert " failed" not in told.text
    assert " error" not in told.text


def test_the_tests_of_a_leaky_fixture_are_not_at_fault(runs):
    """No finding names the second user of a wider fixture."""
    findings = [finding for told in runs for finding in told.report["findings"]]
    again = [finding["test"] for finding in findings if finding["test"].endswith("_again")]
    assert again == []


def test_the_table_is_whole():
    """Each kind has a row for each phase and scope in which it can be had."""
    have = {(row.kind, row.scope, row.phase) for row in LEAKY}
    assert have == {(row.kind, row.scope, row.phase) for row in CLEAN}
    for kind in KINDS:
        wanted = {(scope, phase) for scope in SCOPES for phase in ("setup", "call", "teardown")}
        if KINDS[kind].needs:
            wanted = {(scope, phase) for scope, phase in wanted if scope == "function" or phase == "call"}
        assert {(scope, phase) for k, scope, phase in have if k == kind} == wanted
