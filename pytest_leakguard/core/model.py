"""The values that travel through the pipeline: frozen, strings and numbers only.

A leak never holds the leaked object, so a report can't keep it alive.
"""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import dataclass, field
from typing import Literal

Key = Hashable
"""What a probe takes for the identity of a resource; unique within its kind."""

Phase = Literal["setup", "call", "teardown"]
Verdict = Literal["leaked", "unclosed", "late", "fault"]
"""``fault``: what a fault sweep showed that is no leak; the kind says what: hang, swallowed, ..."""
How = Literal["audit", "wrap", "trace", "track", "fault", "unknown"]
OwnerKind = Literal["test", "fixture", "node", "nobody"]
Disposition = Literal["fails", "warned", "note", "late", "allowed", "told"]

KINDS = ("fd", "socket", "thread", "process", "temp", "unclosed", "object")
"""The kinds this version knows by itself, in the order in which a report tells them."""

FAULT_KINDS = ("hang", "unrelated", "unraisable", "swallowed", "polluted", "task")
"""What a fault sweep can show besides leaks."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Resource:
    """One live resource, described in words.

    Attributes:
        kind: of the probe that saw it.
        key: identity within the kind.
        what: one line for a report.
        subject: the short name that allow rules match: a path, an address, a thread's name.
        fix: one line that says what to do about it.
        clues: what an acquisition must share to be taken for its origin, strongest
            first: ``("path", "/tmp/x")``, ``("fd", 12)``, ``("thread", ident)``, ``("pid", 77)``.
        reason: why no origin can be known when no clue leads to one.
    """

    kind: str
    key: Key
    what: str
    subject: str
    fix: str = ""
    clues: tuple[tuple[str, Hashable], ...] = ()
    reason: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Owner:
    """Who has to release a resource.

    Attributes:
        kind: ``nobody`` for imports, plugins and what was there before the first test.
        scope: pytest's name of the scope.
        name: test id, fixture name or node id.
        where: for a fixture, where it is defined.
        serial: tells one set-up of a fixture from the next; 0 for tests.
        xunit: the fixture stands for a set-up in xunit or unittest style.
    """

    kind: OwnerKind
    scope: str
    name: str
    where: str = ""
    serial: int = 0
    xunit: bool = False


NOBODY = Owner(kind="nobody", scope="session", name="")


@dataclass(frozen=True, slots=True, kw_only=True)
class Origin:
    """Where a resource was acquired and how that is known.

    Attributes:
        file: relative to the root folder where it is below it, else shortened.
        line, function: of the first frame outside the standard library.
        how: ``unknown`` comes with a reason, the others with the event.
        event: the audit event or the wrapped call.
        via: the project's own line that led there, when the acquiring line is a dependency's.
        within: qualified names of the folded standard library frames, innermost first.
    """

    file: str | None = None
    line: int | None = None
    function: str | None = None
    how: How = "unknown"
    event: str = ""
    reason: str = ""
    via: str = ""
    within: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Acquisition:
    """The circumstances of an acquisition, as far as they are known."""

    owner: Owner
    test: str
    phase: Phase | None
    origin: Origin


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One leak as it is reported; equal ones are folded into a count.

    Attributes:
        point: id of the fault point whose failure led to it; empty without a fault.
        fault: what was injected there, in words.
        repeat: the command that repeats that one trial.
    """

    kind: str
    verdict: Verdict
    test: str
    phase: Phase | None
    owner: Owner
    what: str
    subject: str
    origin: Origin
    due: str
    fix: str
    allow: str
    fingerprint: str
    count: int = 1
    disposition: Disposition = "fails"
    notes: tuple[str, ...] = field(default=())
    point: str = ""
    fault: str = ""
    repeat: str = ""
