"""The known leaks of a suite against those of a run: what passes, what is new, what is gone.

A finding is known by its fingerprint, as often as the baseline says. One more
is new. Which of several equal ones is told as the new one depends on the order
of the tests; that there is one does not.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from datetime import date

from pytest_leakguard.core.baseline_text import Entry, plain
from pytest_leakguard.core.model import Finding
from pytest_leakguard.core.ran import EVERYWHERE, Ran, place_of

TESTS_OF_A_FILE = 5
"""More tests of one file than this are told by the name of the file."""

_STEADY = (
    (re.compile(r"(?<![\w.])python3\.\d+/"), "python3/"),  # a line of the standard library, with any Python
    (re.compile(r"pytest-of-[^/]*/pytest-\w*/[^/]*|<basetemp>/[^/]*"), "<tmp_path>"),  # named after the parameters
    (re.compile(r"\btmp[a-z0-9_]{8}(?![a-z0-9_])"), "tmp*"),
)

_FUNCTION = re.compile(r"^(\w+:[^:]+\.py:)(?!:)([^:@]+)")


def steady(fingerprint: str) -> str:
    """The part of a fingerprint that is the same on each machine and with each Python."""
    for pattern, instead in _STEADY:
        fingerprint = pattern.sub(instead, fingerprint)
    return plain(fingerprint)


def bare(fingerprint: str) -> str:
    """The same with the last part of a function's name only: all that Python 3.10 tells of a method."""
    return _FUNCTION.sub(lambda found: found[1] + found[2].rpartition(".")[2], fingerprint)


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """What a run says about one entry: `seen` of `entry.count`."""

    entry: Entry
    seen: int


@dataclass(slots=True)
class _Seen:
    """One fingerprint in this run.

    Attributes:
        flags: for each owner, whether its first, second, ... occurrence was known.
        counts: for each owner and worker, how many were met.
        total: all occurrences, those of a wider fixture once for all workers.
    """

    places: set[str] = field(default_factory=set)
    flags: dict[str, list[bool]] = field(default_factory=dict)
    counts: Counter[tuple[str, str]] = field(default_factory=Counter)
    needs: str = ""
    total: int = 0


class Sieve:
    """Tells known findings from new ones, one after the other.

    Args:
        entries: what is known.
        today: entries that expire before it know nothing any more.
        accepts_new: the file is being written: what is new becomes known.
        has_bare_names: this Python tells methods by their bare names.
    """

    def __init__(
        self, entries: Iterable[Entry], *, today: date, accepts_new: bool = False, has_bare_names: bool = False
    ) -> None:
        self.entries = {steady(entry.fingerprint): entry for entry in entries}
        self.new: Counter[str] = Counter()
        self._today = today
        self._accepts_new = accepts_new
        self._seen: dict[str, _Seen] = {}
        self._bare = {bare(name): name for name in self.entries} if has_bare_names else {}

    def sift(self, finding: Finding, worker: str = "") -> list[Finding]:
        """The finding, or its known part and its new part.

        Args:
            worker: of pytest-xdist; a wider fixture is set up in several, and its leak is one.
        """
        name = self._name(finding)
        if finding.disposition not in ("fails", "warned", "note") and not (
            finding.disposition == "once" and name in self.entries  # not gone: another run may not repeat it
        ):
            return [finding]
        entry = self.entries.get(name)
        seen = self._seen.setdefault(name, _Seen(needs=_needs(finding)))
        seen.places.add(place_of(finding))
        known = sum(self._is_known(seen, entry, finding, worker) for _ in range(finding.count))
        if finding.disposition in ("note", "once"):
            return [finding]
        parts = []
        if known:
            reason = f": {entry.reason}" if entry is not None and entry.reason else ""
            notes = (*finding.notes, f"known to the baseline{reason}")
            parts.append(replace(finding, count=known, disposition="known", notes=notes))
        if known < finding.count:
            self.new[name] += finding.count - known
            notes = (*finding.notes, *self._why_new(entry))
            parts.append(replace(finding, count=finding.count - known, notes=notes))
        return parts

    def _name(self, finding: Finding) -> str:
        name = steady(finding.fingerprint)
        return name if name in self.entries else self._bare.get(name, name)

    def _is_known(self, seen: _Seen, entry: Entry | None, finding: Finding, worker: str) -> bool:
        if finding.owner.kind == "test":
            owner, worker = finding.test, ""  # each run of a test is one, wherever
        else:
            owner = f"{finding.owner.name} {place_of(finding)}"
        index = seen.counts[owner, worker]
        seen.counts[owner, worker] += 1
        flags = seen.flags.setdefault(owner, [])
        if index == len(flags):
            flags.append(self._may_pass(entry, seen.total))
            seen.total += 1
        return flags[index]

    def _may_pass(self, entry: Entry | None, before: int) -> bool:
        """Whether one more may pass, after so many."""
        if entry is not None and self.has_expired(entry):
            return False
        return self._accepts_new or (entry is not None and before < entry.count)

    def _why_new(self, entry: Entry | None) -> list[str]:
        if entry is None:
            return []
        if self.has_expired(entry):
            return [f"known to the baseline, but only until {entry.expires}: fix it, or give it a later date there"]
        return [f"the baseline knows {entry.count} of these, and there are more: any of them may be the new one"]

    def has_expired(self, entry: Entry) -> bool:
        """Whether the last day of an entry is over."""
        return entry.expires is not None and entry.expires < self._today

    def count(self, entry: Entry) -> int:
        """How often it was seen."""
        seen = self._seen.get(steady(entry.fingerprint))
        return seen.total if seen is not None else 0

    def new_entries(self) -> list[str]:
        """The fingerprints that were seen and have no entry."""
        return [name for name in self._seen if name not in self.entries]

    def changes(self, ran: Ran, asked: Iterable[str], kinds: Iterable[str]) -> tuple[list[Entry], list[Change]]:
        """The entries that are gone, and those seen less often than they say; only of what was run.

        Args:
            asked: which of ``faults`` and ``repeat`` this run did.
            kinds: those that it watched.
        """
        gone, fewer = [], []
        asked, kinds = set(asked), set(kinds)
        for entry in self.entries.values():
            seen = self.count(entry)
            if seen < entry.count and self._was_looked_for(entry, ran, asked, kinds):
                if seen:
                    fewer.append(Change(entry=entry, seen=seen))
                else:
                    gone.append(entry)
        return gone, fewer

    @staticmethod
    def _was_looked_for(entry: Entry, ran: Ran, asked: set[str], kinds: set[str]) -> bool:
        kind = entry.fingerprint.partition(":")[0]
        return (
            (not entry.needs or entry.needs in asked)
            and (kind in kinds or entry.needs == "faults")
            and ran.covers(entry.tests or (EVERYWHERE,))
        )

    def updated(self, ran: Ran, asked: Iterable[str], kinds: Iterable[str]) -> list[Entry]:
        """The entries as this run would have them; reasons, dates and comments are kept.

        What was not run stays as it is.
        """
        gone, fewer = self.changes(ran, asked, kinds)
        shrunk = {steady(change.entry.fingerprint) for change in fewer}
        left = []
        for name, entry in self.entries.items():
            seen = self._seen.get(name)
            if entry in gone:
                continue
            if seen is None or self.has_expired(entry):
                left.append(entry)
                continue
            old = [place for place in entry.tests if not ran.covers([place])]
            count = seen.total if name in shrunk else max(seen.total, entry.count)
            left.append(replace(entry, count=count, tests=gathered({*old, *seen.places})))
        left += [
            Entry(fingerprint=name, count=seen.total, tests=gathered(seen.places), needs=seen.needs)
            for name, seen in self._seen.items()
            if name not in self.entries
        ]
        return left


def _needs(finding: Finding) -> str:
    return "faults" if finding.point else "repeat" if finding.verdict == "growth" else ""


def gathered(places: Iterable[str]) -> tuple[str, ...]:
    """Places in order, less those inside another one; many tests of one file become the file."""
    places = set(places)
    per_file = Counter(place.partition("::")[0] for place in places if "::" in place)
    whole = {file for file, count in per_file.items() if count > TESTS_OF_A_FILE or file in places}
    return tuple(sorted({place for place in places if place.partition("::")[0] not in whole} | whole))
