"""Two reports compared: which leaks are new, which are gone, which only moved."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable
from dataclasses import dataclass
from typing import Any

from pytest_leakguard.core.steady import numberless
from pytest_leakguard.report.groups import Group, groups_of, leaks_of
from pytest_leakguard.report.jsonfile import BadReport


@dataclass(frozen=True, slots=True, kw_only=True)
class Difference:
    """What has changed from one report to the next. Only leaks count: not what is allowed, late or told.

    Attributes:
        new: not in the old report, or not as leaks there.
        gone: not in the new one.
        moved: old and new; the same leak at another place: its file or its function has another name.
        same: old and new, with one fingerprint.
    """

    new: tuple[Group, ...]
    gone: tuple[Group, ...]
    moved: tuple[tuple[Group, Group], ...]
    same: tuple[tuple[Group, Group], ...]


def compare(old: dict[str, Any], new: dict[str, Any]) -> Difference:
    """Compare two reports by the fingerprints of their leaks. Raises BadReport."""
    before, after = _leaks(old), _leaks(new)
    gone = [group for fingerprint, group in before.items() if fingerprint not in after]
    fresh = [group for fingerprint, group in after.items() if fingerprint not in before]
    moved: list[tuple[Group, Group]] = []
    for likeness in (_without_file, _without_function):
        pairs = _pairs(gone, fresh, likeness)
        moved += pairs
        gone = [group for group in gone if all(group is not one for one, _ in pairs)]
        fresh = [group for group in fresh if all(group is not other for _, other in pairs)]
    return Difference(
        new=tuple(fresh),
        gone=tuple(gone),
        moved=tuple(moved),
        same=tuple((before[name], after[name]) for name in after if name in before),
    )


def _leaks(report: dict[str, Any]) -> dict[str, Group]:
    try:
        groups = leaks_of(groups_of(report))
    except (KeyError, TypeError, AttributeError) as error:
        raise BadReport(f"a finding is not as this version writes it: {error!r}; make the report anew") from None
    found: dict[str, Group] = {}
    for group in groups:
        found.setdefault(group.fingerprint, group)
    return found


def _pairs(
    gone: Iterable[Group], fresh: Iterable[Group], likeness: Callable[[Group], Hashable]
) -> list[tuple[Group, Group]]:
    """Those that are alike, where each has only one that is: of two that look the same neither is taken."""
    left: dict[Hashable, list[Group]] = {}
    right: dict[Hashable, list[Group]] = {}
    for groups, found in ((gone, left), (fresh, right)):
        for group in groups:
            if group.first.origin.file is not None:
                found.setdefault(likeness(group), []).append(group)
    return [
        (members[0], right[like][0])
        for like, members in left.items()
        if len(members) == 1 and len(right.get(like, ())) == 1
    ]


def _without_file(group: Group) -> Hashable:
    finding = group.first
    return finding.kind, finding.verdict, finding.origin.function, finding.origin.event, _steady(finding.subject)


def _without_function(group: Group) -> Hashable:
    finding = group.first
    return finding.kind, finding.verdict, finding.origin.file, finding.origin.event, _steady(finding.subject)


def _steady(text: str) -> str:
    return numberless(text.rpartition("/")[2])
