"""The baseline in a run: known leaks pass, new ones fail, gone ones are told, and the file is written on demand."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterable
from datetime import date
from typing import Any

import pytest

from pytest_leakguard.core.baseline import Change, Sieve, steady
from pytest_leakguard.core.baseline_text import HEAD, BaselineText, Entry, render
from pytest_leakguard.core.holding import Held
from pytest_leakguard.core.model import Finding
from pytest_leakguard.core.verdict import Case, fingerprint
from pytest_leakguard.plugin.options import Settings
from pytest_leakguard.plugin.parts import Plain
from pytest_leakguard.plugin.ran import RunRecord

_TOLD_AT_MOST = 20

Holder = Callable[[Case], Held]


def unless_known(holder: Holder, entries: Iterable[Entry], *, accepts_new: bool) -> Holder:
    """The same search for who holds a leak, but not for known ones: it takes a tenth of a second for each.

    Args:
        accepts_new: whatever leaks becomes known in this run.
    """
    known = {steady(entry.fingerprint) for entry in entries}

    def held(case: Case) -> Held:
        if accepts_new or steady(fingerprint(case)) in known:
            return Held(reason="not searched: the baseline knows leaks with this origin")
        return holder(case)

    return held


class Baseline(Plain):
    """Compares what is found with what is known. A `Part`; runs where the terminal is.

    Args:
        text: the file, as it was read.
        kinds: those that this run watches.
    """

    name = "baseline"

    def __init__(self, settings: Settings, text: BaselineText, record: RunRecord, kinds: frozenset[str]) -> None:
        self._settings = settings
        self._asked = settings.adoption
        self._record = record
        self._kinds = kinds
        self._head = text.head or HEAD
        self._sieve = Sieve(
            text.entries,
            today=date.today(),  # before a test can change it
            accepts_new=self._asked.update,
            has_bare_names=sys.version_info < (3, 11),
        )
        self._known = 0
        self._gone: list[Entry] = []
        self._fewer: list[Change] = []
        self._written = ""

    def header(self) -> list[str]:
        """See `Part`."""
        count = len(self._sieve.entries)
        mode = ", to be updated" if self._asked.update else ", gone ones fail" if self._asked.strict else ""
        return [f"leakguard: baseline {self._asked.named} with {count:,} known leak{'s' if count != 1 else ''}{mode}"]

    def sift(self, finding: Finding, worker: str) -> list[Finding]:
        """See `Part`."""
        parts = self._sieve.sift(finding, worker)
        self._known += sum(part.count for part in parts if part.disposition == "known")
        return parts

    def close(self, session: pytest.Session, findings: list[Finding]) -> bool:
        """See `Part`."""
        if not self._settings.every_test or session.exitstatus in (
            pytest.ExitCode.INTERNAL_ERROR,
            pytest.ExitCode.USAGE_ERROR,
        ):
            covered = None  # only some tests are checked, and nothing tells which leaks are theirs
        else:
            covered = self._record.ran()
            self._gone, self._fewer = self._sieve.changes(covered, self._searched(), self._kinds)
        if self._asked.update and covered is not None:
            return self._write(render(self._head, self._sieve.updated(covered, self._searched(), self._kinds)))
        return self._asked.strict and bool(self._gone)

    def _searched(self) -> list[str]:
        faults = self._settings.faults
        swept_all = faults.every_test and not (faults.only or faults.trials or faults.seconds)
        return [*(["faults"] if swept_all else []), *(["repeat"] if self._settings.repeat else [])]

    def _write(self, text: str) -> bool:
        file = self._asked.baseline
        assert file is not None
        before = file.read_text("utf-8") if file.exists() else ""
        if text == before:
            self._written = "is as it was"
            return False
        beside = f"{file}.{os.getpid()}.part"
        try:
            file.parent.mkdir(parents=True, exist_ok=True)
            with open(beside, "w", encoding="utf-8", newline="\n") as stream:
                stream.write(text)
            os.replace(beside, file)
        except OSError as error:
            self._written = f"could not be written: {error}"
            return True
        self._written = "written"
        return False

    def lines(self) -> list[tuple[str, str]]:
        """See `Part`."""
        name = self._asked.named
        if self._asked.update:
            if not self._written:
                why = "only a run with --leakguard, of the tests, says what leaks"
                return [(f"baseline {name} not written: {why}", "red")]
            new = len(self._sieve.new_entries())
            words = f"{new:,} new, {len(self._gone):,} gone, {len(self._fewer):,} seen less often"
            return [(f"baseline {name} {self._written}: {words}", "")]
        lines = [
            (f"gone from the suite, but still in {name}:{entry.line}: {entry.fingerprint}", self._colour)
            for entry in self._gone[:_TOLD_AT_MOST]
        ]
        if len(self._gone) > _TOLD_AT_MOST:
            lines.append((f"... and {len(self._gone) - _TOLD_AT_MOST:,} more", self._colour))
        if self._fewer:
            count = len(self._fewer)
            lines.append((f"{count:,} of the leaks in {name} {'is' if count == 1 else 'are'} seen less often now", ""))
        if self._gone or self._fewer:
            lines.append((f"--leakguard-baseline-update takes out of {name} what is gone", ""))
        return lines

    @property
    def _colour(self) -> str:
        return "red" if self._asked.strict else "yellow"

    def data(self) -> dict[str, Any]:
        """See `Part`."""
        return {
            "file": self._asked.named,
            "entries": len(self._sieve.entries),
            "known": self._known,
            "new": sorted(self._sieve.new_entries()) if self._asked.update else sorted(self._sieve.new),
            "gone": [entry.fingerprint for entry in self._gone],
            "fewer": [change.entry.fingerprint for change in self._fewer],
        }
