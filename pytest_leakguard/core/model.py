"""The values that travel through the pipeline: frozen, strings and numbers only.

A leak never holds the leaked object, so a report can't keep it alive.
"""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import dataclass, field
from typing import Literal

from pytest_leakguard.core.holding import Held

Key = Hashable
"""What a probe takes for the identity of a resource; unique within its kind."""

Phase = Literal["setup", "call", "teardown"]
Verdict = Literal["leaked", "unclosed", "late", "growth", "misclosed", "fault"]
"""``misclosed``: closed twice, or under its owner.
``fault``: what a fault sweep showed that is no leak; the kind says what: hang, swallowed, ..."""
How = Literal["audit", "wrap", "trace", "track", "warning", "fault", "unknown"]
OwnerKind = Literal["test", "fixture", "node", "stretch", "block", "nobody"]
Disposition = Literal["fails", "warned", "note", "late", "allowed", "known", "once", "told"]

KINDS = ("fd", "socket", "mmap", "sqlite", "thread", "process", "task", "lock", "temp", "unclosed", "object", "state")
"""The kinds this version knows by itself, in the order in which a report tells them."""

OPT_IN = frozenset({"state"})
"""Kinds that are watched only where somebody names them, or all."""
FAULT_KINDS = ("hang", "unrelated", "unraisable", "swallowed", "polluted")
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
        ended: how it ended, where it is gone although nobody released it.
        state: what it still is when it is past due, where "open" or "alive" is not the word.
    """

    kind: str
    key: Key
    what: str
    subject: str
    fix: str = ""
    clues: tuple[tuple[str, Hashable], ...] = ()
    reason: str = ""
    ended: str = ""
    state: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Owner:
    """Who has to release a resource.

    Attributes:
        kind: ``nobody`` for imports, plugins and what was there before the first test;
            ``stretch`` for the tests between two looks, where no single one can be named;
            ``block`` for a guarded one outside pytest.
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


def between(first: str, last: str) -> Owner:
    """One of the tests after `first` up to and with `last`, it can't be told which."""
    return Owner(kind="stretch", scope="function", name=f"between {first} and {last}")


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
        held_then: a line for each resource that was held when it was injected.
        cleanups: which `with`, `except` and `finally` of the code under test ran after that, and which did not.
        repeat: the command that repeats that one trial.
        patch: a unified diff that ends the leak, where the source leaves no doubt about it.
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
    held: Held = field(default=Held())
    point: str = ""
    fault: str = ""
    held_then: tuple[str, ...] = ()
    cleanups: tuple[str, ...] = ()
    repeat: str = ""
    patch: str = ""
