"""Each leaking test once more in a fresh process: alone, or after which of the tests before it, does it leak?"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest

from pytest_leakguard import _real
from pytest_leakguard.core.bisect import Condition, condition_of
from pytest_leakguard.core.model import Finding
from pytest_leakguard.plugin.fresh_run import CanNotRun, FreshRuns
from pytest_leakguard.plugin.parts import Plain

LEAKS_AT_MOST = 20
RUNS_AT_MOST = 16
SECONDS_AT_MOST = 600.0
_LEAST_SECONDS = 60.0
_NAMED_AT_MOST = 5


class Isolation(Plain):
    """Isolates what leaked, after the last test. A `Part`; runs where the terminal is."""

    name = "isolated"

    def __init__(self, config: pytest.Config) -> None:
        self._config = config
        self._start = _real.monotonic()
        self._order: dict[str, list[str]] = {}
        self._worker: dict[str, str] = {}
        self._told: list[dict[str, Any]] = []
        self._left_out = 0

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        if report.when == "setup" and report.nodeid not in self._worker:
            worker = str(getattr(report, "worker_id", ""))
            self._worker[report.nodeid] = worker
            self._order.setdefault(worker, []).append(report.nodeid)

    def close(self, session: pytest.Session, findings: list[Finding]) -> bool:
        """See `Part`: findings get a note that says what they need."""
        asked = [
            index
            for index, finding in enumerate(findings)
            if finding.disposition in ("fails", "warned") and finding.owner.kind == "test" and not finding.point
        ]
        took = _real.monotonic() - self._start
        runs = FreshRuns(self._config, max(_LEAST_SECONDS, 4 * took))
        end = _real.monotonic() + SECONDS_AT_MOST
        for number, index in enumerate(asked):
            if number >= LEAKS_AT_MOST or _real.monotonic() > end:
                self._left_out = len(asked) - number
                break
            words = self._isolate(findings[index], runs)
            findings[index] = replace(findings[index], notes=(*findings[index].notes, words))
        return False

    def _isolate(self, finding: Finding, runs: FreshRuns) -> str:
        test, fingerprint = finding.test, finding.fingerprint
        self._show(f"leakguard: {test} in a fresh process")
        order = self._order.get(self._worker.get(test, ""), [])
        before = order[: order.index(test)] if test in order else []

        def leaks_after(tests: Sequence[str]) -> bool:
            return fingerprint in runs.leaks(tests, test)

        entry: dict[str, Any] = {"test": test, "fingerprint": fingerprint, "answer": "unknown", "after": []}
        self._told.append(entry)
        try:
            condition = condition_of(leaks_after, before, runs_at_most=RUNS_AT_MOST)
        except (CanNotRun, OSError) as error:
            entry["error"] = str(error)
            return f"isolated: not known, the fresh process gave no answer: {error}"
        entry["answer"], entry["after"] = condition.answer, list(condition.after)
        return f"isolated: {in_words(condition)}"

    def _show(self, line: str) -> None:
        terminal = self._config.pluginmanager.get_plugin("terminalreporter")
        if terminal is not None:
            terminal.ensure_newline()
            terminal.write_line(line)

    def lines(self) -> list[tuple[str, str]]:
        """See `Part`."""
        lines = [(f"isolated: {one['test']} {_brief(one)}", "") for one in self._told]
        if self._left_out:
            lines.append((f"isolated: {self._left_out:,} further leaks were not tried, it would take too long", ""))
        return lines

    def data(self) -> dict[str, Any]:
        """See `Part`."""
        return {"leaks": self._told, "left_out": self._left_out}


def in_words(condition: Condition) -> str:
    """What a test needs to leak."""
    tests = ", ".join(condition.after[:_NAMED_AT_MOST])
    if len(condition.after) > _NAMED_AT_MOST:
        tests += f" and {len(condition.after) - _NAMED_AT_MOST} more"
    return {
        "alone": "leaks alone",
        "after one": f"leaks only after {tests}",
        "after several": f"leaks only after several of {tests}",
        "never": "did not leak in a fresh process, neither alone nor after the tests before it",
        "unknown": f"leaks after {tests}; not searched further" if tests else "not alone; not searched further",
    }[condition.answer]


def _brief(entry: dict[str, Any]) -> str:
    if "error" in entry:
        return f"not known: {entry['error']}"
    return in_words(Condition(answer=entry["answer"], after=tuple(entry["after"])))
