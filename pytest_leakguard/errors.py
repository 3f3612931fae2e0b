"""The error that a failed check raises where no report can carry the verdict."""

from __future__ import annotations

from collections.abc import Sequence

from pytest_leakguard.core.model import Finding
from pytest_leakguard.report import pages
from pytest_leakguard.report.text import message


class LeakError(AssertionError):
    """Something was left behind.

    Attributes:
        findings: one for each distinct leak.
    """

    def __init__(self, findings: Sequence[Finding]) -> None:
        self.findings = tuple(findings)
        link = pages.line(slug for finding in self.findings for slug in pages.slugs_of(finding))
        super().__init__(f"\n{message(list(self.findings))}\n\n{link}")

    def __reduce__(self) -> tuple[type[LeakError], tuple[tuple[Finding, ...]]]:
        return LeakError, (self.findings,)
