"""Findings of a fault sweep -> findings as they are told everywhere: what failed, where, and how to repeat it."""

from __future__ import annotations

import shlex
from collections.abc import Iterable, Iterator
from dataclasses import replace

from pytest_leakguard.core.model import Finding, Origin, Owner
from pytest_leakguard.faults.model import FaultFinding

_STACK_LINES_TOLD = 6
_HELD_LINES_TOLD = 5
_KIND_OF_NO_RESOURCE = {"leak": "task"}
"""What is left in an event loop is no resource of the process: a task, or an async generator half-way."""


def told(finding: FaultFinding, test: str, options: Iterable[str]) -> Finding:
    """One finding of a sweep of that test.

    Args:
        options: those that a repeated trial needs too.
    """
    point = finding.point
    command = ["pytest", test, f"--leakguard-fault={point.id}", *options]
    stack = finding.stack[:_STACK_LINES_TOLD]
    notes = (
        *(f"injected below {line}" for line in stack[1:]),
        *(line for detail in finding.details for line in detail.splitlines()),
    )
    common = {
        "point": point.id,
        "fault": _fault(finding),
        "held_then": _at_most(finding.held, _HELD_LINES_TOLD),
        "cleanups": tuple(_cleanups(finding)),
        "repeat": " ".join(shlex.quote(word) for word in command),
        "count": finding.count,
        "disposition": "told" if finding.told else "fails",
    }
    kind = finding.leak.kind if finding.leak is not None else _KIND_OF_NO_RESOURCE.get(finding.fault, finding.fault)
    allow = f'@pytest.mark.allow_leaks("{kind}@{point.id}", reason="...")'
    if finding.leak is not None:
        leak = finding.leak
        fingerprint = f"{leak.fingerprint}@{point.family}"
        return replace(
            leak, fingerprint=fingerprint, allow=allow, fix=finding.fix or leak.fix, notes=(*leak.notes, *notes),
            **common,  # type: ignore[arg-type]
        )  # fmt: skip
    owner = Owner(kind="test", scope="function", name=test)
    origin = Origin(
        file=point.path, line=point.line or None, function=point.qualname, how="fault", event=point.family
    )  # fmt: skip
    return Finding(
        kind=kind, verdict="fault", test=test, phase=None, owner=owner, what=finding.what, subject=point.id,
        origin=origin, due="", fix=finding.fix, allow=allow, fingerprint=f"{kind}:{point.path}:{point.qualname}",
        notes=notes, **common,  # type: ignore[arg-type]
    )  # fmt: skip


def _at_most(lines: tuple[str, ...], most: int) -> tuple[str, ...]:
    return lines if len(lines) <= most else (*lines[: most - 1], f"and {len(lines) - most + 1} more")


def _cleanups(finding: FaultFinding) -> Iterator[str]:
    if finding.ran:
        yield f"ran: {', '.join(finding.ran)}"
    if finding.passed:
        yield f"did not run: {', '.join(finding.passed)}"
    if finding.no_exit:
        yield f"not entered yet, so with no exit to call: {', '.join(finding.no_exit)}"
    if finding.unseen:
        yield finding.unseen


def _fault(finding: FaultFinding) -> str:
    point = finding.point
    error = finding.error.partition(" (injected")[0]
    if point.family in ("cancel", "timeout"):
        return f"{error.partition(' at ')[0]} (injected) at {point.path}:{point.line} in {point.qualname}, {point.what}"
    times = ", and each later one" if finding.mode == "persistent" else ""
    if not finding.stack:
        return f"{point.what} in {point.qualname}{times}"
    return f"{point.what} raised {error} (injected) at {finding.stack[0]}{times}"
