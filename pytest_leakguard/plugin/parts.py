"""What has a word at the end of a run beside the leaks themselves."""

from __future__ import annotations

from typing import Any, Protocol

import pytest

from pytest_leakguard.core.model import Finding

PARTS = ("baseline", "isolated", "explained", "still_there")
"""The names of all parts, as the JSON report has them; one that is not on is empty there."""


class Part(Protocol):
    """One thing that the summary and the report files tell after the last verdict.

    Attributes:
        name: its key in the JSON report.
    """

    name: str

    def header(self) -> list[str]:
        """Lines for the head of the run."""

    def sift(self, finding: Finding, worker: str) -> list[Finding]:
        """What is shown instead of a finding.

        Args:
            worker: the name of the worker that found it, empty without pytest-xdist.
        """

    def close(self, session: pytest.Session, findings: list[Finding]) -> bool:
        """After the last verdict, before anything is written; may replace findings. Gives whether the run fails."""

    def lines(self) -> list[tuple[str, str]]:
        """Lines for the summary, each with its colour: ``red``, ``yellow``, or nothing."""

    def sections(self) -> list[tuple[str, str]]:
        """Title and text of sections of its own, above those lines."""

    def data(self) -> dict[str, Any]:
        """The same for the JSON report."""


class Plain:
    """A part that does nothing: each one changes what it is about."""

    name = ""

    def header(self) -> list[str]:
        """See `Part`."""
        return []

    def sift(self, finding: Finding, worker: str) -> list[Finding]:
        """See `Part`."""
        return [finding]

    def close(self, session: pytest.Session, findings: list[Finding]) -> bool:
        """See `Part`."""
        return False

    def lines(self) -> list[tuple[str, str]]:
        """See `Part`."""
        return []

    def sections(self) -> list[tuple[str, str]]:
        """See `Part`."""
        return []

    def data(self) -> dict[str, Any]:
        """See `Part`."""
        return {}
