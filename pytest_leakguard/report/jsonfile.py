"""The report as JSON: written whole, read back with care."""

from __future__ import annotations

import json
from typing import Any

from pytest_leakguard.report.data import FORMAT, FORMAT_VERSION
from pytest_leakguard.report.files import write_text


class BadReport(ValueError):
    """A file that is no report, or one of a format that this version does not know."""


def dumps(report: dict[str, Any]) -> str:
    """The report as text, in ASCII: what `loads` reads back is equal."""
    return json.dumps(report, indent=1, ensure_ascii=True) + "\n"


def loads(text: str, source: str = "report") -> dict[str, Any]:
    """Read a report.

    Args:
        source: the file's name, for messages.
    Raises: BadReport, which says what is wrong and what to do.
    """
    try:
        report = json.loads(text)
    except ValueError as error:
        raise BadReport(f"{source}: no JSON: {error}") from None
    if not isinstance(report, dict) or report.get("format") != FORMAT:
        raise BadReport(f"{source}: no report of pytest-leakguard; make one with --leakguard-json FILE")
    version = report.get("format_version")
    if version != FORMAT_VERSION:
        raise BadReport(
            f"{source}: format version {version!r}; this version reads {FORMAT_VERSION}. "
            "Read it with the pytest-leakguard that wrote it, or make it anew."
        )
    if not isinstance(report.get("findings"), list) or not isinstance(report.get("summary"), dict):
        raise BadReport(f"{source}: no findings or no summary in it: it is cut or was changed by hand")
    return report


def read(path: str) -> dict[str, Any]:
    """Read a report from a file. Raises BadReport, OSError."""
    with open(path, encoding="utf-8", errors="backslashreplace") as stream:
        return loads(stream.read(), path)


def write(path: str, report: dict[str, Any]) -> None:
    """Write the report, the folder made when it is missing; never half a file. Raises OSError."""
    write_text(path, dumps(report))
