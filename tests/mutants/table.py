"""The table of the mutants: one row a module, kept as data beside this file, written into the documentation."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from modules import MODULES

RESULTS = Path(__file__).with_name("results.json")
PAGE = Path(__file__).parents[2] / "docs" / "explanation" / "kill-table.md"
START = "## Mutants\n"
END = "\n## Sabotages\n"


@dataclass
class Row:
    """What became of the mutants of a module.

    Attributes:
        killed: the test that noticed first -> how many mutants.
        argued: line and change, and the reason, for each that no test can notice.
        survivors: line and change of what is neither.
        needless: changes that are argued away although a test notices them, or there are none such.
    """

    module: str
    killed: Counter[str] = field(default_factory=Counter)
    argued: list[tuple[str, str]] = field(default_factory=list)
    survivors: list[str] = field(default_factory=list)
    needless: list[str] = field(default_factory=list)

    def left(self) -> frozenset[str]:
        """Lines and changes that no test noticed."""
        return frozenset([*(change for change, _ in self.argued), *self.survivors])

    def told(self) -> str:
        killed, argued, left = self.killed.total(), len(self.argued), len(self.survivors)
        lines = [f"{self.module}: {killed + argued + left} mutants, {killed} killed, {argued} argued away"]
        lines += [f"  argued away without need: {change}" for change in self.needless]
        return "\n".join(lines)


def read() -> dict[str, Row]:
    """The rows that were written."""
    results = json.loads(RESULTS.read_text("utf-8")) if RESULTS.exists() else {}
    return {
        module: Row(module, Counter(row["killed"]), [(change, why) for change, why in row["argued"]], row["survivors"])
        for module, row in results.items()
    }


def write(new: Row) -> None:
    """Puts the row in place of the former one, and the whole table between its headings."""
    rows = read() | {new.module: new}
    results = {
        module: {"killed": row.killed, "argued": row.argued, "survivors": row.survivors}
        for module in MODULES
        if (row := rows.get(module)) is not None
    }
    RESULTS.write_text(json.dumps(results, indent=1, ensure_ascii=False) + "\n", "utf-8")
    text = PAGE.read_text("utf-8")
    before, after = text[: text.index(START)], text[text.index(END) :]
    PAGE.write_text(f"{before}{START}\n{_section(results)}{after}", "utf-8")


_BY_WHICH = (
    "The first one that failed, and for how many mutants. A few have no test's name, since they fail before any test",
    "has begun, or never come to the end of one. *The tests cannot be collected*: with that change the module does not",
    "import, or what the tests import besides; without a decorator, for example. *The tests do not end*: a loop goes",
    "on for ever; it is stopped after two seconds of CPU time.",
)


def _sum(results: Mapping[str, Any]) -> list[str]:
    killed = sum(sum(row["killed"].values()) for row in results.values())
    unnamed = sum(number for row in results.values() for test, number in row["killed"].items() if test.startswith("("))
    argued = sum(len(row["argued"]) for row in results.values())
    left = sum(len(row["survivors"]) for row in results.values())
    return [
        f"Of {killed + argued + left:,} mutants of {len(results)} modules {killed:,} are killed, {killed - unnamed:,}",
        f"of them by a test that is named below; {argued} are argued away, {left} survive.",
    ]


def _section(results: Mapping[str, Any]) -> str:
    lines = ["| module | mutants | killed | argued away | survive |", "| --- | ---: | ---: | ---: | ---: |"]
    for module, row in results.items():
        killed, argued, left = sum(row["killed"].values()), len(row["argued"]), len(row["survivors"])
        lines.append(f"| `{module}` | {killed + argued + left} | {killed} | {argued} | {left} |")
    lines += ["", *_sum(results), "", "### By which test", "", *_BY_WHICH, ""]
    lines += ["| module | test | mutants |", "| --- | --- | ---: |"]
    for module, row in results.items():
        for test, count in sorted(row["killed"].items(), key=lambda item: (-item[1], item[0])):
            lines.append(f"| `{module}` | {test if test.startswith('(') else f'`{test}`'} | {count} |")
    lines += ["", "### Argued away", "", "| module | change | why no test can notice |", "| --- | --- | --- |"]
    for module, row in results.items():
        lines += [f"| `{module}` | {_code(change)} | {why} |" for change, why in row["argued"]]
    return "\n".join(lines) + "\n"


def _code(change: str) -> str:
    """As code in a cell of a table, where a bar would end the cell; it may have backticks of its own."""
    return f"`` {change} ``".replace("|", "\\|")
