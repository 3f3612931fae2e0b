"""The lines of the summary that tell of fault sweeps."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from pytest_leakguard.core.model import Finding
from pytest_leakguard.report.plain import printable


def totals(data: dict[str, Any]) -> list[str]:
    """Points found, tried and left out, time and seed; nothing when nothing was swept."""
    if not data:
        return []
    points = data["points"]
    families = ", ".join(f"{family} {count:,}" for family, count in points.items())
    lines = [
        f"faults: {sum(points.values()):,} points in {data['tests']:,} test{'s' if data['tests'] != 1 else ''}"
        + (f" ({families})" if families else "")
        + f", {data['trials']:,} trials, {data['seconds']:.1f} s, seed {', '.join(map(str, data['seeds']))}"
    ]
    found = sum(points.values())
    if data.get("tried", found) < found:
        lines.append(f"faults: {data['tried']:,} of {found:,} points tried")
    lines += [f"faults: {count:,} left out: {reason}" for reason, count in data["skipped"].items()]
    lines += [f"faults: sweep of {line}" for line in data["stopped"]]
    return lines


def told(findings: Iterable[Finding]) -> str:
    """What a fault showed that is no failure: a line for each, and below it what was held then and what cleaned up."""
    lines = []
    for finding in findings:
        times = f"  x{finding.count}" if finding.count > 1 else ""
        why = "".join(f" ({note})" for note in finding.notes if note.startswith("told only: "))
        lines.append(f"{finding.kind}  {finding.test}: {finding.point}{times}: {finding.what}{why}")
        lines += [f"  then held {line}" for line in finding.held_then]
        lines += [f"  cleanup   {line}" for line in finding.cleanups]
    return "\n".join(map(printable, lines))
