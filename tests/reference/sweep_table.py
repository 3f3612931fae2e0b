"""The table of the sweeps in the docs: read by the test of the sweeps, and written from a run of it.

    python tests/reference/sweep_table.py

runs the sweeps on this Python and puts the numbers into the page.
"""

from __future__ import annotations

import json
import platform
import re
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from xml.etree import ElementTree

from pytest_leakguard.faults import model

FAMILIES = tuple(family for family in model.FAMILIES if family != "custom")
"""The points that a program marks by itself are not among these."""

PAGE = Path(__file__).parents[2] / "docs" / "reference-managers" / "verified.md"
BEGIN, END = "## Points and findings\n\n", "\n## What the columns say"


@dataclass(frozen=True)
class Table:
    """Points by manager and family. `python` is the version that they were counted on."""

    python: str
    families: tuple[str, ...]
    rows: Mapping[str, Mapping[str, int]]


def read() -> Table:
    """The table as the page has it."""
    text = PAGE.read_text("utf-8").partition(BEGIN)[2].partition(END)[0]
    lines = [[cell.strip(" `") for cell in line.strip("|").split("|")] for line in text.splitlines() if "|" in line]
    families = tuple(lines[0][1:-2])
    rows = {
        line[0]: {family: int(cell) for family, cell in zip(families, line[1:-2], strict=True)} for line in lines[2:-1]
    }
    version = re.search(r"CPython (\d+\.\d+)", text)
    return Table(version[1] if version else "", families, rows)


def render(rows: Mapping[str, Mapping[str, int]], trials: Mapping[str, int], families: Sequence[str]) -> str:
    """The table in the words of the page; a sweep with a finding has failed and is no row."""
    version = ".".join(platform.python_version_tuple()[:2])
    lines = [
        f"Points on CPython {version}; each is one trial, those of `acquire` two where the operation is tried again.",
        "",
        f"| manager | {' | '.join(f'`{family}`' for family in families)} | trials | findings |",
        f"| --- {'| ---: ' * (len(families) + 2)}|",
    ]
    for name in sorted(rows):
        counts = " | ".join(str(rows[name].get(family, 0)) for family in families)
        lines.append(f"| `{name}` | {counts} | {trials[name]} | 0 |")
    sums = " | ".join(str(sum(row.get(family, 0) for row in rows.values())) for family in families)
    lines.append(f"| all | {sums} | {sum(trials.values())} | 0 |")
    return "\n".join(lines) + "\n"


def run(report: Path) -> int:
    """Run the sweeps in a process of their own; gives its exit status."""
    test = Path(__file__).with_name("test_reference_sweep.py")
    options = ["-q", "--tb=line", f"--junitxml={report}", "-o", "junit_family=xunit1"]
    command = [sys.executable, "-m", "pytest", str(test), *options]
    return subprocess.run(command, cwd=PAGE.parents[2], check=False).returncode


def main() -> int:
    """Run the sweeps, write the table, run them again against it. Gives the exit status of that."""
    with tempfile.TemporaryDirectory() as folder:
        report = Path(folder, "sweeps.xml")
        # where the table is out of date a test fails here, and has told its numbers before
        run(report)
        rows: dict[str, dict[str, int]] = {}
        trials: dict[str, int] = {}
        for case in ElementTree.parse(report).iter("testcase"):
            told = {one.get("name"): json.loads(one.get("value", "")) for one in case.iter("property")}
            if "points" in told:
                name = case.get("name", "").partition("[")[2].rstrip("]")
                rows[name], trials[name] = told["points"], told["trials"]
        before, rest = PAGE.read_text("utf-8").split(BEGIN)
        table = render(rows, trials, FAMILIES)
        PAGE.write_text(before + BEGIN + table + END + rest.partition(END)[2], "utf-8")
        return run(report)


if __name__ == "__main__":
    sys.exit(main())
