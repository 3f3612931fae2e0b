"""Writes what was measured into the documentation: the table of docs/explanation/cost.md.

    python benchmarks/run.py --json numbers.json --table    measures, then writes both
    python benchmarks/table.py numbers.json                 writes the numbers of an earlier run

A budget that is missed stands there as missed.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

PAGE = Path(__file__).resolve().parent.parent / "docs" / "explanation" / "cost.md"
PART = "../reference/compatibility.md#the-part-in-c"
START = "## Measured\n"
END = "\n## Where it goes\n"
_VERDICTS = {"pass": "kept", "fail": "**missed**", "void": "void"}


def write(data: dict[str, Any], page: Path = PAGE) -> None:
    """Put the numbers between the headings of the page. Raises: ValueError when it lacks them."""
    text = page.read_text("utf-8")
    before, after = text[: text.index(START)], text[text.index(END) :]
    page.write_text(f"{before}{START}\n{section(data)}{after}", "utf-8")


def section(data: dict[str, Any]) -> str:
    """When and on what, the table, and which budgets are missed.

    Args:
        data: what `run.py --json` writes, with a ``date``.
    """
    system, _, rest = data["platform"].partition("-")
    machine = next((name for name in ("x86_64", "aarch64", "arm64") if name in rest), "")
    place = f"{' '.join(filter(None, (system, machine)))}, {data['cpus']} CPUs"
    head = f"On {data['date']}, Python {data['python']}, pytest {data['pytest']}, {place}:"
    rows = ["| benchmark | median | 95 % interval | budget | | pairs |", "| --- | ---: | ---: | ---: | --- | ---: |"]
    rows += [_row(result) for result in data["results"]]
    rows += [f"| `{name}` | not measured | | | error | |" for name in data["errors"]]
    missed = [f"`{result['name']}`" for result in data["results"] if result["verdict"] == "fail"]
    void = [f"`{result['name']}`" for result in data["results"] if result["verdict"] == "void"]
    words = f"Missed: {_listed(missed)}." if missed else "No budget is missed."
    if void:
        words += f" Too uncertain to tell: {_listed(void)}."
    part = f"Measured {'with' if data['native'] else 'without'} [the part in C]({PART})."
    return "\n".join([head, "", *rows, "", words, part, ""])


def _row(result: dict[str, Any]) -> str:
    def number(value: float | None) -> str:
        if value is None:
            return "-"
        return f"{value:.4f}" if result["is_ratio"] else f"{value * 1000:.2f} ms"

    found = result["estimate"]
    budget = f"{result['budget']:.2f}" if result["is_ratio"] else f"{result['budget'] * 1000:.0f} ms"
    interval = f"{number(found['low'])} to {number(found['high'])}"
    verdict = _VERDICTS[result["verdict"]]
    pairs = len(result["values"])
    return f"| `{result['name']}` | {number(found['median'])} | {interval} | {budget} | {verdict} | {pairs} |"


def _listed(names: Sequence[str]) -> str:
    return ", ".join(names[:-1]) + " and " + names[-1] if len(names) > 1 else names[0]


def day_of(seconds: float) -> str:
    """The date of a time, in UTC."""
    return datetime.fromtimestamp(seconds, timezone.utc).date().isoformat()


def main(argv: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description="Write the numbers of an earlier run into the documentation.")
    parser.add_argument("file", type=Path, help="what run.py --json wrote")
    file = parser.parse_args(argv).file
    data = json.loads(file.read_text("utf-8"))
    write({"date": day_of(file.stat().st_mtime), **data})


if __name__ == "__main__":
    main()
