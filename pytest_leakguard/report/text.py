"""A finding -> lines: labelled, always in the same order, under a headline that names the kind."""

from __future__ import annotations

from pytest_leakguard.core.model import Finding
from pytest_leakguard.report import holding
from pytest_leakguard.report.plain import code_line
from pytest_leakguard.report.plain import printable as printable

_LABEL_WIDTH = 10
_PATCH_LINES_TOLD = 40


def headline(finding: Finding) -> str:
    """``LEAK fd  tests/test_a.py::test_x``, or the fixture that owns it."""
    word = {"late": "LATE", "allowed": "ALLOWED LEAK", "known": "KNOWN LEAK", "once": "LEAKED ONCE"}.get(
        finding.disposition, "LEAK"
    )
    word = "FAULT" if finding.verdict == "fault" else word
    owner = finding.owner
    if owner.kind == "fixture":
        place = f", {owner.where}" if owner.where else ""
        called = owner.name if owner.xunit else f"fixture '{owner.name}'"
        name = f"{called} ({owner.scope} scope){place}"
    elif owner.kind == "node":
        name = f"set-up of {owner.name} ({owner.scope} scope)"
    else:
        name = f"{owner.name}, {owner.where}" if owner.where else owner.name
    times = f"  x{finding.count}" if finding.count > 1 else ""
    return printable(f"{word} {finding.kind}  {name}{times}")


def acquired(finding: Finding) -> str:
    """When and where it was acquired, and how that is known."""
    origin = finding.origin
    phase = f"{finding.phase} phase, " if finding.phase else ""
    first_user = f"for {finding.test}, " if finding.owner.kind != "test" and finding.test else ""
    if origin.file is None:
        return f"unknown: {origin.reason}" + (f" ({phase.rstrip(', ')})" if phase else "")
    via = f", called from {origin.via}" if origin.via else ""
    function = f" in {origin.function}" if origin.function else ""
    return f"{phase}{first_user}{origin.file}:{origin.line}{function}{via}  [{origin.how}: {origin.event}]"


def _place_label(finding: Finding) -> str:
    if finding.verdict == "fault":
        return "at"
    if finding.verdict == "misclosed":
        return "closed"
    return "changed" if finding.kind == "state" else "acquired"


def lines(finding: Finding) -> list[str]:
    """The whole message."""
    rows = [
        ("what", finding.what),
        (_place_label(finding), acquired(finding)),
        ("held", holding.line(finding.held)),
        ("due", finding.due),
        ("fault", finding.fault),
        *(("then held", line) for line in finding.held_then),
        *(("cleanup", line) for line in finding.cleanups),
        ("fix", finding.fix),
        *((("allow", finding.allow),) if finding.disposition not in ("allowed", "late") else ()),
        *(("note", note) for note in finding.notes),
        ("repeat", finding.repeat),
    ]
    return [
        headline(finding),
        *(f"  {label:<{_LABEL_WIDTH}}{printable(value)}" for label, value in rows if value),
        *_patch(finding),
    ]


def _patch(finding: Finding) -> list[str]:
    """The patch, from the left edge on so that it can be copied; a long one only named."""
    rows = finding.patch.rstrip("\n").split("\n")
    if not finding.patch or finding.disposition in ("allowed", "late"):
        return []
    if len(rows) > _PATCH_LINES_TOLD:
        return [f"  {'patch':<{_LABEL_WIDTH}}{len(rows)} lines, in the JSON and the HTML report"]
    return [f"  {'patch':<{_LABEL_WIDTH}}for `git apply`:", *(code_line(row) for row in rows)]


def message(findings: list[Finding]) -> str:
    """Several findings, one below the other."""
    return "\n\n".join("\n".join(lines(finding)) for finding in findings)
