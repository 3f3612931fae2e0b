"""Where a finding is shown in a project's files: paths as tools outside of pytest need them."""

from __future__ import annotations

import re
from typing import Any, NamedTuple

from pytest_leakguard.core.model import Finding

_TEST_FILE = re.compile(r"(?P<file>[^:]+\.py)(?:::|:(?P<line>\d+)|$)", re.DOTALL)
_WHERE = re.compile(r"(?P<file>.+?\.py):(?P<line>\d+)(?: in .*)?", re.DOTALL)


class Place(NamedTuple):
    """A file, as reports name it, and a line in it, from 1."""

    file: str
    line: int


def in_project(finding: Finding, excerpts: dict[str, Any]) -> Place | None:
    """The line to point at: of the acquisition, of what led to it, of the fixture, or of the test's file.

    Args:
        excerpts: of the report; what lies outside of the project is passed over.
    """
    origin = finding.origin
    candidates = []
    if origin.file is not None and origin.line and _is_relative(origin.file):
        candidates.append(Place(origin.file, origin.line))
    candidates += [place for text in (origin.via, finding.owner.where) if (place := _parsed(text, _WHERE)) is not None]
    for place in candidates:
        if is_inside(place, excerpts):
            return place
    unread = [place for place in candidates if f"{place.file}:{place.line}" not in excerpts]
    return unread[0] if unread and not origin.via else _parsed(finding.test, _TEST_FILE)


def is_inside(place: Place, excerpts: dict[str, Any]) -> bool:
    """Whether a place is known to be the project's own."""
    excerpt = excerpts.get(f"{place.file}:{place.line}")
    return excerpt is not None and bool(excerpt["inside"])


def under(folder: str, file: str) -> str:
    """The file below the top of the repository.

    Args:
        folder: where pytest's root folder lies below it; empty for the top itself.
    """
    return f"{folder}/{file}" if folder else file


def _parsed(text: str, pattern: re.Pattern[str]) -> Place | None:
    match = pattern.match(text) if pattern is _TEST_FILE else pattern.fullmatch(text)
    if match is None or not _is_relative(match["file"]):
        return None
    return Place(match["file"], int(match["line"] or 1))


def _is_relative(file: str) -> bool:
    return not file.startswith(("/", "<", "../")) and ":" not in file[:3]
