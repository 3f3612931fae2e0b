"""Writes the table of `acquisitions` into the documentation: python tests/facts/page.py"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from acquisitions import ROWS, Row

PAGE = Path(__file__).parents[2] / "docs" / "explanation" / "what-tells-of-what.md"
START = "## The table\n"


def table() -> str:
    """One row each, as Markdown."""
    lines = ["| | line | audit events | descriptors | dropped unreleased |", "| --- | --- | --- | ---: | --- |"]
    group = ""
    for row in ROWS:
        lines.append(_line(row, row.group if row.group != group else ""))
        group = row.group
    return "\n".join(lines) + "\n"


def _line(row: Row, group: str) -> str:
    cells = (group, f"`{row.does}`", _fact(row.events, _events), _fact(row.descriptors, _more), _fact(row.dropped, str))
    return f"| {' | '.join(cells)} |".replace("  ", " ")


def _fact(fact: Any, words: Any) -> str:
    if not isinstance(fact, dict):
        return str(words(fact))
    return "; ".join(f"{version}: {words(value)}" for version, value in fact.items())


def _events(events: tuple[str, ...]) -> str:
    return ", ".join(f"`{event}`" for event in events) or "none"


def _more(number: int) -> str:
    return f"{number:+}" if number else ""


if __name__ == "__main__":
    text = PAGE.read_text("utf-8")
    PAGE.write_text(text[: text.index(START)] + START + "\n" + table(), "utf-8")
