"""Findings <-> plain dicts, and the versioned report they make up."""

from __future__ import annotations

from typing import Any

from pytest_leakguard.core.holding import Held
from pytest_leakguard.core.model import Finding, Origin, Owner
from pytest_leakguard.report.pages import slugs_of

FORMAT = "pytest-leakguard"
FORMAT_VERSION = 1
"""Raised when a field changes its meaning or goes; new fields may come without."""


def to_dict(finding: Finding) -> dict[str, Any]:
    """A finding as plain data: what JSON holds, and what travels from an xdist worker."""
    return {
        "kind": finding.kind,
        "verdict": finding.verdict,
        "test": finding.test,
        "phase": finding.phase,
        "owner": {
            "kind": finding.owner.kind,
            "scope": finding.owner.scope,
            "name": finding.owner.name,
            "where": finding.owner.where,
            "xunit": finding.owner.xunit,
        },
        "what": finding.what,
        "subject": finding.subject,
        "origin": {
            "file": finding.origin.file,
            "line": finding.origin.line,
            "function": finding.origin.function,
            "how": finding.origin.how,
            "event": finding.origin.event,
            "reason": finding.origin.reason,
            "via": finding.origin.via,
        },
        "due": finding.due,
        "fix": finding.fix,
        "allow": finding.allow,
        "fingerprint": finding.fingerprint,
        "count": finding.count,
        "disposition": finding.disposition,
        "notes": list(finding.notes),
        "held": {
            "chain": list(finding.held.chain),
            "reason": finding.held.reason,
            "graph": finding.held.graph,
        },
        "point": finding.point,
        "fault": finding.fault,
        "held_then": list(finding.held_then),
        "cleanups": list(finding.cleanups),
        "repeat": finding.repeat,
        "patch": finding.patch,
        "messages": list(slugs_of(finding)),
    }


def from_dict(data: dict[str, Any]) -> Finding:
    """The finding that `to_dict` made plain. Raises KeyError when a field is missing."""
    owner, origin, held = data["owner"], data["origin"], data["held"]
    return Finding(
        kind=data["kind"],
        verdict=data["verdict"],
        test=data["test"],
        phase=data["phase"],
        owner=Owner(
            kind=owner["kind"], scope=owner["scope"], name=owner["name"], where=owner["where"], xunit=owner["xunit"]
        ),
        what=data["what"],
        subject=data["subject"],
        origin=Origin(
            file=origin["file"],
            line=origin["line"],
            function=origin["function"],
            how=origin["how"],
            event=origin["event"],
            reason=origin["reason"],
            via=origin["via"],
        ),
        due=data["due"],
        fix=data["fix"],
        allow=data["allow"],
        fingerprint=data["fingerprint"],
        count=data["count"],
        disposition=data["disposition"],
        notes=tuple(data["notes"]),
        held=Held(chain=tuple(held["chain"]), reason=held["reason"], graph=held["graph"]),
        point=data["point"],
        fault=data["fault"],
        held_then=tuple(data["held_then"]),
        cleanups=tuple(data["cleanups"]),
        repeat=data["repeat"],
        patch=data["patch"],
    )
