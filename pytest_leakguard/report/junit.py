"""Properties for JUnit XML: of a test case that leaked, and of the whole suite. pytest itself writes the file."""

from __future__ import annotations

from typing import Any

from pytest_leakguard.core.model import Finding
from pytest_leakguard.report import pages
from pytest_leakguard.report.groups import owner_in_words, place
from pytest_leakguard.report.plain import clipped


def properties(finding: Finding) -> list[tuple[str, str]]:
    """Name and value, one group for each finding: the fingerprint first, as ``leakguard``."""
    rows = (
        ("leakguard", finding.fingerprint),
        ("leakguard.what", f"{finding.kind}: {finding.what}"),
        ("leakguard.acquired", place(finding)),
        ("leakguard.owner", owner_in_words(finding)),
        ("leakguard.meaning", pages.command(pages.slugs_of(finding))),
    )
    return [(name, clipped(value)) for name, value in rows if value]


def suite_properties(total: dict[str, Any], limit: int) -> list[tuple[str, str]]:
    """What the run came to, as far as it is known when the file is written.

    Args:
        limit: of descriptors.
    """
    return [
        ("leakguard.tests", str(total["tests"])),
        ("leakguard.peak_descriptors", f"{total['peak']} of {limit}"),
        *([("leakguard.peak_test", clipped(total["peak_test"]))] if total["peak_test"] else []),
    ]
