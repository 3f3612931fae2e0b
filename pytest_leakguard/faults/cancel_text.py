"""The result of `cancel_each` -> text, for use without pytest."""

from __future__ import annotations

from collections.abc import Iterator

from pytest_leakguard.faults.model import FaultFinding, SweepResult


def text_of(result: SweepResult) -> str:
    """Each failure in labelled lines, each thing that is only told in one, and the totals."""
    failures = [finding for finding in result.findings if not finding.told]
    lines = [line for finding in failures for line in _message(finding)]
    lines += [
        f"told: {finding.point.id}: {finding.what}{_times(finding)}" for finding in result.findings if finding.told
    ]
    missed = sum(trial.outcome == "not reached" for trial in result.trials)
    lines.append(
        f"{len(result.points)} points, {len(result.trials)} trials, {len(failures)} failures"
        + (f", {missed} not reached again" if missed else "")
    )
    return "\n".join(lines)


def _message(finding: FaultFinding) -> Iterator[str]:
    point = finding.point
    verb = "timed out" if point.family == "timeout" else "cancelled"
    yield f"{finding.fault.upper()}  {point.path}:{point.line} in {point.qualname}, {verb} at {point.what}"
    yield f"  what      {finding.what}{_times(finding)}"
    yield f"  fault     {finding.error}"
    yield from _block("awaits", finding.stack)
    yield from _block("waits", finding.details)
    if finding.fix:
        yield f"  fix       {finding.fix}"
    yield f"  point     {point.id}"
    yield ""


def _block(label: str, lines: tuple[str, ...]) -> Iterator[str]:
    for number, line in enumerate(lines):
        yield f"  {'' if number else label:9} {line}"


def _times(finding: FaultFinding) -> str:
    return f" ({finding.count} times)" if finding.count > 1 else ""
