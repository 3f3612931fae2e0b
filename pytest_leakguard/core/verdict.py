"""Resources, origins and rules -> findings, folded and grouped by fingerprint. Pure."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace

from pytest_leakguard.core.allow import AllowRule, first_match
from pytest_leakguard.core.holding import Held
from pytest_leakguard.core.model import (
    KINDS,
    Acquisition,
    Disposition,
    Finding,
    Key,
    Origin,
    Owner,
    Resource,
    Verdict,
)
from pytest_leakguard.core.steady import numberless, rule_for

_PARAMETERS = re.compile(r"\[.*\]$", re.DOTALL)

Fold = Callable[["Case", "Case"], bool]


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """A resource past due, before it is put in words.

    Attributes:
        awaited: the wider scope that might have released it, where the verdict waited for one.
        looks, seconds: how patiently it was looked for.
        until: when it had to be gone, where that is no scope's end.
        mark: what tells compound resources apart: equal marks come from one call.
        notes: further remarks for the report.
    """

    resource: Resource
    acquisition: Acquisition
    verdict: Verdict
    awaited: Owner | None = None
    looks: int = 1
    seconds: float = 0.0
    until: str = ""
    mark: Key = None
    notes: tuple[str, ...] = ()


def fingerprint(case: Case) -> str:
    """Kind and qualified origin; no line, number or address, so that it survives edits.

    Without an origin: kind, owner and subject, numbers and parameters left out.
    """
    origin = case.acquisition.origin
    if origin.file is not None:
        # one place may change several values: each is told
        value = f":{case.resource.subject}" if case.resource.kind == "state" else ""
        value = ":misclosed" if case.verdict == "misclosed" else value
        return f"{case.resource.kind}:{origin.file}:{origin.function}{value}"
    owner = _PARAMETERS.sub("", _steady_name(case.acquisition.owner))
    return f"{case.resource.kind}:{owner}:{numberless(case.resource.subject)}"


def _steady_name(owner: Owner) -> str:
    # the ends of a stretch are wherever a look happened to be made
    return "a stretch of tests" if owner.kind == "stretch" else owner.name


def judge(
    cases: Iterable[Case],
    rules: Sequence[AllowRule],
    *,
    normal: Disposition,
    used: Callable[[AllowRule], object],
    holder: Callable[[Case], Held] = lambda case: Held(),
) -> list[Finding]:
    """Put cases in words: one finding for each fingerprint, owner and verdict, with a count.

    Args:
        cases: past due, already folded.
        rules: those that hold for these cases.
        normal: what becomes of a finding that no rule lets pass.
        used: told of each rule that let something pass.
        holder: asked who holds the resource; only for what is about to be blamed, and once for each finding.
    """
    found: dict[tuple[str, str, Verdict], Finding] = {}
    for case in sorted(cases, key=_order):
        finding = in_words(case, normal)
        rule = first_match(finding, rules)
        if rule is not None:
            used(rule)
            finding = replace(finding, disposition="allowed", notes=(*finding.notes, f"allowed: {rule.reason}"))
        elif finding.verdict == "late":
            finding = replace(finding, disposition="late")
        key = (
            finding.fingerprint,
            # fixtures of one name in two files are two
            f"{finding.owner.kind}:{finding.owner.name}:{finding.owner.where}:{finding.disposition}",
            finding.verdict,
        )
        known = found.get(key)
        if known is not None:
            found[key] = replace(known, count=known.count + 1)
        elif finding.disposition in ("allowed", "late"):
            found[key] = finding
        else:
            found[key] = replace(finding, held=holder(case))
    return list(found.values())


def fold(cases: Sequence[Case], is_part: Fold) -> list[Case]:
    """One resource, one finding: leave out what is only a part of another.

    Args:
        is_part: whether the first is a part of the second.
    """
    whole = [case for case in cases if not any(other is not case and is_part(case, other) for other in cases)]
    told: set[Key] = set()
    kept = []
    for case in whole:
        if case.mark is None or case.mark not in told:
            kept.append(case)
            told.add(case.mark)
    return kept


def is_part(case: Case, whole: Case) -> bool:
    """The general rules of folding.

    A file with a leaked descriptor on it, what lies in a left folder, and a pipe of a leaked child made by
    the same call. (An event loop's selector, pipes and sockets share a mark; so does a watched object with what its
    constructor acquired.)
    """
    kind, other = case.resource.kind, whole.resource.kind
    if kind == "temp" and other in ("fd", "mmap", "sqlite"):
        return any(clue == ("path", case.resource.key) for clue in whole.resource.clues)
    if kind == other == "temp":
        return str(case.resource.key).startswith(f"{whole.resource.key}/")
    if kind == "unclosed" and other == "process":
        return any(clue in whole.resource.clues for clue in case.resource.clues if clue[0] == "pid")
    if case.mark is not None and case.mark == whole.mark:
        order = ("process", "object", "thread", "socket", "mmap", "sqlite", "fd", "unclosed")
        if kind in order and other in order:
            return order.index(kind) > order.index(other)
    return False


def in_words(case: Case, disposition: Disposition) -> Finding:
    """The finding for one case."""
    resource, acquisition = case.resource, case.acquisition
    owner = acquisition.owner
    return Finding(
        kind=resource.kind,
        verdict=case.verdict,
        test=acquisition.test,
        phase=acquisition.phase,
        owner=owner,
        what=resource.what,
        subject=resource.subject,
        origin=acquisition.origin,
        due=_due(case),
        fix=_fix(case),
        allow=_allow(owner, resource, acquisition.origin),
        fingerprint=fingerprint(case),
        disposition=disposition,
        notes=case.notes,
    )


def _order(case: Case) -> tuple[int, str]:
    kind = case.resource.kind
    return (KINDS.index(kind) if kind in KINDS else len(KINDS), case.resource.subject)


_STATES = {
    "thread": "alive",
    "process": "there",
    "task": "unfinished",
    "temp": "there",
    "mmap": "there",
    "lock": "held",
    "object": "alive",
    "state": "changed",
}


def _due(case: Case) -> str:
    owner = case.acquisition.owner
    seconds = f"{case.seconds:.2g}" if case.seconds >= 0.001 else "0"
    looks = f"{case.looks} look{'s' if case.looks != 1 else ''} in {seconds} s"
    if owner.kind in ("test", "stretch"):
        scope, end = f"end of {owner.scope} scope", "teardown"
    else:
        scope, end = f"end of {owner.scope} scope", "its teardown" if owner.xunit else f"the {owner.kind}'s teardown"
    if case.verdict in ("growth", "misclosed"):
        return case.until
    state = case.resource.state or _STATES.get(case.resource.kind, "open")
    if case.resource.ended:
        return f"{case.until or scope}; {case.resource.ended}"
    if case.until:
        closed = "nothing closed it, the garbage collector did"
        return f"{case.until}; {closed if case.verdict == 'unclosed' else f'still {state}, {looks}'}"
    if case.verdict == "unclosed":
        return f"{scope}; nothing closed it, the garbage collector did"
    if case.verdict == "late":
        return f"{scope}; gone only after {seconds} s, {case.looks} looks"
    if case.awaited is not None:
        name = f"{_called(case.awaited)} ({case.awaited.scope} scope)"
        return f"{scope}; {name} might have released it, still {state} after its teardown, {looks}"
    return f"{scope}; still {state} after {end}, {looks}"


def _called(owner: Owner) -> str:
    if owner.kind == "fixture":
        return owner.name if owner.xunit else f"fixture {owner.name!r}"
    return f"the set-up of {owner.name!r}"


def _fix(case: Case) -> str:
    owner, fix = case.acquisition.owner, case.resource.fix
    if owner.xunit:
        teardown = owner.name.partition(" of ")[0].replace("setup", "teardown").replace("setUp", "tearDown")
        return f"in {teardown}: {fix}; the tests are not at fault"
    if owner.kind == "fixture":
        return f"after the `yield` of fixture {owner.name!r}: {fix}; the tests that use it are not at fault"
    if owner.kind == "stretch" and case.resource.kind in ("fd", "socket"):
        return f"{fix}; --leakguard-trace names the test and the line"
    return fix


def _allow(owner: Owner, resource: Resource, origin: Origin) -> str:
    pattern = rule_for(resource.kind, resource.subject, origin.within)
    if owner.kind == "test":
        return f'@pytest.mark.allow_leaks("{pattern}", reason="...")'
    if owner.kind == "block":
        return f'guard(allow="{pattern} -- <reason>")'
    return f"in the ini file: leakguard_allow = {pattern} -- <reason>"
