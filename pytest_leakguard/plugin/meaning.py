"""Which sections of the reference explain what a run printed: one line of the summary names them all."""

from __future__ import annotations

from collections.abc import Generator, Iterable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from pytest_leakguard.core.model import Finding
from pytest_leakguard.plugin.parts import Part
from pytest_leakguard.report import pages

_ONLY_COUNTED = frozenset({"allowed", "known"})
"""Dispositions of which nothing is printed but a number."""


def told(findings: Iterable[Finding], total: dict[str, Any], parts: Iterable[Part]) -> list[str]:
    """The slugs of all messages of a run, each once, in the order in which they are printed.

    Args:
        total: what the processes of the run counted, see `Tally.total`.
    """
    return list(dict.fromkeys(_told(findings, total, parts)))


def _told(findings: Iterable[Finding], total: dict[str, Any], parts: Iterable[Part]) -> Iterator[str]:
    for finding in findings:
        if finding.disposition not in _ONLY_COUNTED:
            yield from pages.slugs_of(finding)
    if total["cleanup"]:
        yield "cleanup-paths"
    if total["faults"]:
        yield "swept"
    for part in parts:
        if part.sections() or part.lines():
            yield pages.slug_of_part(part.name)
    if total["unused"]:
        yield "unused-allow"
    yield from map(pages.slug_of_error, total["errors"])
    if total["blind"]:
        yield "blind"


@contextmanager
def usage_errors_name_their_page() -> Generator[None, None, None]:
    """What is refused in here says where it is explained, as its last line."""
    try:
        yield
    except pytest.UsageError as error:
        words, link = str(error), pages.line([pages.USAGE_ERROR])
        if link not in words:
            error.args = (f"{words}\n{link}",)
        raise
