"""What the page on other tools says of this one, done: the suites that the benchmark gives to all tools."""

from __future__ import annotations

import importlib.util
import re
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
CONFTEST = """
import sys

def pytest_unconfigure():
    for name in [name for name in sys.modules if name.startswith("test_case_")]:
        sys.modules[name].stop.set()
        for each in sys.modules[name].kept:
            if hasattr(each, "kill"):
                each.kill()
                each.wait()
"""


@pytest.fixture(scope="module")
def peers():
    """`benchmarks/peers.py`, which lies in no package."""
    spec = importlib.util.spec_from_file_location("leakguard_peers", ROOT / "benchmarks" / "peers.py")
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # dataclasses look their module up
    try:
        spec.loader.exec_module(module)
        yield module
    finally:
        del sys.modules[spec.name]
        sys.path.remove(str(ROOT))


def test_our_column_of_the_table_is_true(peers, run_tree, tmp_path):
    """Each suite that leaks is one finding of the right kind, owner and line; of the others nothing is told."""
    asyncio_plugin = importlib.util.find_spec("pytest_asyncio") is not None
    cases = [case for case in peers.CASES if asyncio_plugin or "asyncio" not in case.leak]
    files = {f"test_case_{number}.py": peers.source_of(case) for number, case in enumerate(cases)}
    options = ("-p", "pytest_asyncio.plugin") if asyncio_plugin else ()
    ran = run_tree(tmp_path, {**files, "conftest.py": CONFTEST, "pytest.ini": "[pytest]\n"}, *options)
    page = (ROOT / "docs" / "explanation" / "other-tools.md").read_text("utf-8")
    rows = dict(re.findall(r"^\| ([^|]+?) \| ([^|]+?) \|", page, re.MULTILINE))
    for (file, source), case in zip(files.items(), cases, strict=True):
        told = [finding for finding in ran.findings if finding["test"].startswith(file)]
        if not case.kind:
            assert (told, rows[case.name]) == ([], "-"), case.name
            continue
        (finding,) = told
        assert finding["kind"] == case.kind, case.name
        assert (finding["origin"]["file"], finding["origin"]["line"]) == (file, peers.line_of(source)), case.name
        if case.by_fixture:
            assert (finding["owner"]["name"], rows[case.name]) == ("wide", "fixture, line")
        else:
            assert finding["owner"]["name"] == f"{file}::test_middle"
            assert rows[case.name] == "test, line"


def test_the_page_has_the_rows_and_columns_of_the_benchmark(peers):
    """The table on the page was made by the benchmark as it is."""
    page = (ROOT / "docs" / "explanation" / "other-tools.md").read_text("utf-8")
    heading = "|  | " + " | ".join(tool.name for tool in peers.TOOLS) + " |"
    assert heading in page
    rows = re.findall(r"^\| ([^|]+?) \|", page.partition(heading)[2].partition("\n\n")[0], re.MULTILINE)
    assert rows == ["---", *(case.name for case in peers.CASES)]


@pytest.mark.parametrize(
    ("failed", "printed", "told"),
    [
        (set(), "", "-"),
        ({"test_middle"}, "test_case.py:7: in leak", "test, line"),
        ({"test_middle"}, "test_case.py:70: in leak", "test"),
        ({"test_middle", "test_after"}, "", "test, and others"),
        ({"test_after"}, "test_case.py:7: in leak", "other test"),
        (set(), "== warnings summary ==\ntest_case.py::test_middle\n  ResourceWarning", "warning"),
        (set(), "== warnings summary ==\ntest_case.py::test_after\n  ResourceWarning", "warning?"),
        (set(), "== warnings summary ==\ntest_case.py::test_middle\n  DeprecationWarning", "-"),
    ],
)
def test_a_run_is_put_into_the_right_words(peers, failed, printed, told):
    """A cell says neither more nor less than what was told."""
    assert peers.cell(peers.CASES[0], failed, printed, 7) == told
