"""Samples of the process for the timeline of a report, taken only when the guard looks anyway.

Nothing here runs for a test in which nothing moved; only in a run that writes a report.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from typing import Any

from pytest_leakguard import _real
from pytest_leakguard.core.model import Finding
from pytest_leakguard.core.timeline import Timeline
from pytest_leakguard.probes.processes import has_children
from pytest_leakguard.report.groups import LEAKS
from pytest_leakguard.watch import Watch

_STATM = "/proc/self/statm"


class Sampler:
    """Keeps the timeline of this process.

    Args:
        errors: told why the timeline ends early, if it does.
        worker: its id in a distributed run, else empty.
    """

    def __init__(self, watch: Watch, errors: list[str], worker: str = "") -> None:
        self._watch = watch
        self._errors = errors
        self._worker = worker
        self._is_on = True
        self._start = _real.monotonic()
        self._page = os.sysconf("SC_PAGE_SIZE") if hasattr(os, "sysconf") else 0
        self._statm = bool(self._page) and os.path.exists(_STATM)
        self.timeline = Timeline()

    def sample(self, tests: int, *, at_any_rate: bool = False) -> None:
        """Take a row, if one is due.

        Args:
            tests: that are over by now.
        """
        now = _real.monotonic() - self._start
        if self._is_on and (at_any_rate or self.timeline.is_due(now)):
            try:
                with self._watch.recorder.silence():
                    self.timeline.add((now, tests, *self._read()))
            except OSError:  # out of descriptors, say: the next sample may do
                return
            except Exception as error:  # the user's run goes on
                self._is_on = False
                self._errors.append(f"no more timeline: {type(error).__name__}: {error}")

    def mark(self, findings: Iterable[Finding]) -> None:
        """Findings are told now."""
        leaks: dict[str, int] = {}
        for finding in findings:
            if finding.disposition in LEAKS:
                leaks[finding.test] = leaks.get(finding.test, 0) + finding.count
        for test, count in leaks.items():
            self.timeline.mark(_real.monotonic() - self._start, test, count)

    def data(self) -> list[dict[str, Any]]:
        """The timeline, if there is anything in it."""
        return [self.timeline.data(self._worker)] if self.timeline.rows else []

    def _read(self) -> tuple[int, int, int, int]:
        threads = _real.thread_count() + 1  # the main one is not counted
        return self._watch.table.count(), threads, self._children(), self._memory()

    def _children(self) -> int:
        probe = self._watch.roster.get("process")
        return len(probe.keys()) if probe is not None and has_children() else 0

    def _memory(self) -> int:
        """Resident, in bytes."""
        if self._statm:
            number = _real.os_open(_STATM, os.O_RDONLY | os.O_CLOEXEC)
            try:
                return int(_real.read(number, 200).split()[1]) * self._page
            finally:
                _real.close(number)
        import psutil

        return int(psutil.Process().memory_info().rss)
