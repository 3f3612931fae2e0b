"""Annotations for GitHub: workflow commands, which a job that prints them shows at the lines they name."""

from __future__ import annotations

from typing import Any

from pytest_leakguard.report import pages
from pytest_leakguard.report.groups import Group, groups_of, leaks_of, owner_in_words
from pytest_leakguard.report.place import in_project, under
from pytest_leakguard.report.plain import clipped, counted

MOST_OF_A_LEVEL = 10
"""GitHub shows so many errors and so many warnings of one step, and drops the rest without a word."""

_MESSAGE_AT_MOST = 3000
_LEVELS = {"fails": "error", "warned": "warning"}


def render(report: dict[str, Any]) -> str:
    """One command a line: an annotation for each fingerprint, the last one for all that GitHub would drop."""
    rows: list[str] = []
    for disposition, level in _LEVELS.items():
        groups = [group for group in leaks_of(groups_of(report)) if group.disposition == disposition]
        shown = groups if len(groups) <= MOST_OF_A_LEVEL else groups[: MOST_OF_A_LEVEL - 1]
        rows += [_annotation(level, group, report) for group in shown]
        if len(shown) < len(groups):
            left = counted(len(groups) - len(shown), "more fingerprint")
            rows.append(f"::{level} title=leakguard::{_data(f'{left} with leaks: see the other reports of this job')}")
    return "".join(f"{row}\n" for row in rows)


def _annotation(level: str, group: Group, report: dict[str, Any]) -> str:
    first = group.first
    place = in_project(first, report.get("excerpts", {}))
    properties = {"title": f"leaked {first.kind}: {clipped(owner_in_words(first), 200)}"}
    if place is not None:
        folder = report.get("session", {}).get("folder", "")
        properties = {"file": clipped(under(folder, place.file), 1000), "line": str(place.line), **properties}
    lines = [first.what, f"due: {first.due}" if first.due else first.fault, f"fix: {first.fix}"]
    if group.count > 1:
        lines.append(f"{counted(group.count, 'leak')} in {counted(len(group.tests), 'test')}")
    lines.append(pages.line(pages.slugs_of(first)))
    message = "\n".join(clipped(line) for line in lines if line)
    words = ",".join(f"{name}={_property(value)}" for name, value in properties.items())
    return f"::{level} {words}::{_data(message[:_MESSAGE_AT_MOST])}"


def _data(text: str) -> str:
    return text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _property(text: str) -> str:
    return _data(text).replace(":", "%3A").replace(",", "%2C")
