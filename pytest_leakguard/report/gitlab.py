"""Code quality for GitLab: a JSON list that merge requests show beside the lines it names."""

from __future__ import annotations

import hashlib
import json
from typing import Any

from pytest_leakguard.report import pages
from pytest_leakguard.report.groups import Group, groups_of, owner_in_words
from pytest_leakguard.report.place import in_project, under
from pytest_leakguard.report.plain import clipped, counted

_SEVERITY = {"fails": "major", "warned": "minor", "note": "info"}


def render(report: dict[str, Any]) -> str:
    """One entry for each fingerprint that leaks; a leak of a test that failed by itself is only information."""
    entries = [_entry(group, report) for group in groups_of(report) if group.disposition in _SEVERITY]
    return json.dumps(entries, indent=1) + "\n"


def _entry(group: Group, report: dict[str, Any]) -> dict[str, Any]:
    first = group.first
    place = in_project(first, report.get("excerpts", {}))
    folder = report.get("session", {}).get("folder", "")
    # an entry without a file is refused: what no line is known for stands at the top of its test's file
    path, line = (place.file, place.line) if place is not None else (first.test.partition("::")[0] or ".", 1)
    times = f" ({counted(group.count, 'leak')} in {counted(len(group.tests), 'test')})" if group.count > 1 else ""
    return {
        "description": clipped(f"leaked {first.kind}, {owner_in_words(first)}: {first.what}{times}. {first.fix}", 900),
        "check_name": f"leakguard/{clipped(first.kind, 60)}",
        "fingerprint": hashlib.sha256(group.fingerprint.encode("utf-8", "backslashreplace")).hexdigest(),
        "content": {"body": f"What it means: `{pages.command(pages.slugs_of(first))}`"},
        "severity": _SEVERITY[group.disposition],
        "location": {"path": clipped(under(folder, path), 1000), "lines": {"begin": line}},
    }
