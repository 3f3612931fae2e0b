"""The source lines around the places that a report names, so that every format can show them without the files."""

from __future__ import annotations

import os
import re
import sys
import tokenize
from collections.abc import Iterable
from typing import Any

from pytest_leakguard.core.model import Finding

BEFORE, AFTER = 3, 3
MOST_EXCERPTS = 2000
_MOST_BYTES = 2_000_000
_LINE_AT_MOST = 200
_PLACE = re.compile(r"(?P<file>.+?):(?P<line>\d+)(?: in .*)?", re.DOTALL)


def excerpts(findings: Iterable[Finding], root: str) -> dict[str, dict[str, Any]]:
    """``file:line`` -> ``{"first": number, "lines": [...]}`` for each place that a finding names.

    Args:
        root: what relative paths are relative to; then the folders of `sys.path` are tried.
    Returns: only those that can be read; at most `MOST_EXCERPTS`.
    """
    sources: dict[str, list[str]] = {}
    found: dict[str, dict[str, Any]] = {}
    for file, line in dict.fromkeys(place for finding in findings for place in places(finding)):
        if len(found) >= MOST_EXCERPTS:
            break
        if file not in sources:
            sources[file] = source_lines(file, root)
        lines = sources[file]
        if 0 < line <= len(lines):
            first = max(1, line - BEFORE)
            shown = lines[first - 1 : line + AFTER]
            found[f"{file}:{line}"] = {"first": first, "lines": [text[:_LINE_AT_MOST] for text in shown]}
    return found


def places(finding: Finding) -> list[tuple[str, int]]:
    """File and line of the acquisition, of the project's line that led there, and of the fixture that owns it."""
    origin = finding.origin
    known = [(origin.file, origin.line)] if origin.file and origin.line else []
    for text in (origin.via, finding.owner.where):
        match = _PLACE.fullmatch(text)
        if match is not None:
            known.append((match["file"], int(match["line"])))
    return known


def source_lines(file: str, root: str) -> list[str]:
    """The lines of a Python file as reports name it, without their ends; none when it can't be read."""
    if "\0" in file or not file.endswith(".py"):
        return []
    for folder in (root, *sys.path):
        path = os.path.join(folder, file)
        try:
            if os.path.isfile(path) and os.path.getsize(path) <= _MOST_BYTES:
                with tokenize.open(path) as stream:
                    return stream.read().split("\n")
        except (OSError, SyntaxError, ValueError):  # gone, not to be read, or no text in the encoding that it names
            continue
    return []
