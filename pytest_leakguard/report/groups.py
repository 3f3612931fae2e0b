"""The findings of a report, grouped by fingerprint, the worst first."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from pytest_leakguard.core.model import Finding
from pytest_leakguard.report.data import from_dict

LEAKS = ("fails", "warned")
"""Dispositions that count as leaks."""

_ORDER = (*LEAKS, "note", "once", "told", "late", "known", "allowed")


@dataclass(frozen=True, slots=True, kw_only=True)
class Group:
    """All findings with one fingerprint and one disposition.

    Attributes:
        findings: in the order of the report; at least one.
    """

    fingerprint: str
    findings: tuple[Finding, ...]

    @property
    def first(self) -> Finding:
        """The one that stands for the others."""
        return self.findings[0]

    @property
    def disposition(self) -> str:
        """What becomes of its findings."""
        return self.first.disposition

    @property
    def is_leak(self) -> bool:
        """Whether it counts as one."""
        return self.disposition in LEAKS

    @property
    def count(self) -> int:
        """Resources, not findings."""
        return sum(finding.count for finding in self.findings)

    @property
    def tests(self) -> list[str]:
        """The ids of its tests, each once, in the order of the report."""
        return list(dict.fromkeys(finding.test for finding in self.findings if finding.test))


def grouped(findings: Iterable[Finding]) -> list[Group]:
    """One group for each fingerprint and disposition; leaks first, then what many tests show."""
    groups: dict[tuple[str, str], list[Finding]] = {}
    for finding in findings:
        # where one test may leak what another may not, both are told
        groups.setdefault((finding.fingerprint, finding.disposition), []).append(finding)
    made = [Group(fingerprint=fingerprint, findings=tuple(members)) for (fingerprint, _), members in groups.items()]
    return sorted(made, key=lambda group: (_rank(group.disposition), -group.count))


def groups_of(report: dict[str, Any]) -> list[Group]:
    """The groups of a whole report."""
    return grouped(from_dict(finding) for finding in report["findings"])


def leaks_of(groups: Sequence[Group]) -> list[Group]:
    """Those that count as leaks."""
    return [group for group in groups if group.is_leak]


def owner_in_words(finding: Finding) -> str:
    """Who has to release it, in a few words."""
    owner = finding.owner
    if owner.kind == "fixture":
        called = owner.name if owner.xunit else f"fixture {owner.name!r}"
        return f"{called} ({owner.scope} scope)"
    if owner.kind == "node":
        return f"set-up of {owner.name} ({owner.scope} scope)"
    return owner.name or "nobody"


def place(finding: Finding) -> str:
    """``app/loader.py:42 in load``, or an empty text where the origin is not known."""
    origin = finding.origin
    if origin.file is None:
        return ""
    line = f":{origin.line}" if origin.line else ""
    return f"{origin.file}{line}" + (f" in {origin.function}" if origin.function else "")


def _rank(disposition: str) -> int:
    return _ORDER.index(disposition) if disposition in _ORDER else len(LEAKS)
