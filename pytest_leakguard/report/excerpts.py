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
    """``file:line`` -> ``{"first": number, "lines": [...], "inside": bool}`` for each place that a finding names.

    Args:
        root: what relative paths are relative to; then the folders of `sys.path` are tried. What is found below
            it is inside: the project's own.
    Returns: only those that can be read; at most `MOST_EXCERPTS`.
    """
    sources: dict[str, tuple[list[str], bool]] = {}
    found: dict[str, dict[str, Any]] = {}
    for file, line in dict.fromkeys(place for finding in findings for place in places(finding)):
        if len(found) >= MOST_EXCERPTS:
            break
        if file not in sources:
            sources[file] = _source(file, root)
        lines, inside = sources[file]
        if 0 < line <= len(lines):
            first = max(1, line - BEFORE)
            shown = [text[:_LINE_AT_MOST] for text in lines[first - 1 : line + AFTER]]
            found[f"{file}:{line}"] = {"first": first, "lines": shown, "inside": inside}
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


def _source(file: str, root: str) -> tuple[list[str], bool]:
    """The lines of a Python file as reports name it, without their ends, and whether it lies below the root folder."""
    if "\0" in file or not file.endswith(".py"):
        return [], False
    for folder in (root, *sys.path):
        path = os.path.join(folder, file)
        try:
            if os.path.isfile(path) and os.path.getsize(path) <= _MOST_BYTES:
                with tokenize.open(path) as stream:
                    return stream.read().split("\n"), folder == root and not os.path.isabs(file)
        except (OSError, SyntaxError, ValueError):  # gone, not to be read, or no text in the encoding that it names
            continue
    return [], False
