"""Runs a test that leaked once more: what the first use of something starts for good does not leak again.

A library that starts a thread, opens a log or fills a pool when it is first
used leaves that behind in whichever test comes first. The second run finds it
there already and leaves nothing. A leak in the test's own code comes again.
"""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import replace

import pytest

from pytest_leakguard.core.model import Finding
from pytest_leakguard.faults.oracles import Run
from pytest_leakguard.plugin import internals
from pytest_leakguard.plugin.again import Again
from pytest_leakguard.plugin.delivery import REPORT_ATTRIBUTE
from pytest_leakguard.plugin.guard import Guard
from pytest_leakguard.plugin.trial import ItemSubject
from pytest_leakguard.report.data import from_dict

LIMIT_SECONDS = 60.0
AGAIN = "leaked again when the test was repeated"
NOT_AGAIN = "did not leak again when the test was repeated: taken for something that is started once"


class Confirmer:
    """Repeats each test that leaked, before its last report is told.

    The repetition finds the wider fixtures as the test did: their teardown is put off until it is over.
    """

    def __init__(self, guard: Guard) -> None:
        self._guard = guard
        self._again = Again(guard)

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_protocol(self, item: pytest.Item) -> Generator[None, object, object]:
        sweeper = self._guard.sweeper
        if sweeper is not None and sweeper.sweeps(item):  # one of them repeats a test, not both
            return (yield)
        with self._again.around(item, lambda filename: False):
            return (yield)

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_runtest_makereport(
        self, item: pytest.Item, call: pytest.CallInfo[None]
    ) -> Generator[None, pytest.TestReport, pytest.TestReport]:
        report = yield
        if call.when == "teardown":
            self._again.at_the_end(item, report, lambda subject: self._confirm(item, report, subject))
        return report

    def _confirm(self, item: pytest.Item, report: pytest.TestReport, subject: ItemSubject) -> None:
        data = report.__dict__.get(REPORT_ATTRIBUTE)
        findings = [from_dict(finding) for finding in data["findings"]] if isinstance(data, dict) else []
        if not any(_can_be_confirmed(finding) for finding in findings):
            return
        internals.cancel_timeout(item)
        run = subject.run(LIMIT_SECONDS)
        confirmed = [_told(one, run) if _can_be_confirmed(one) else one for one in findings]
        self._guard.delivery.exchange(item, report, confirmed)


def _can_be_confirmed(finding: Finding) -> bool:
    """Whether a repetition says something: not of a fixture, nor of what a fault or repetitions showed."""
    return (
        finding.disposition in ("fails", "warned")
        and finding.owner.kind == "test"
        and finding.verdict in ("leaked", "unclosed")
        and not finding.point
    )


def _told(finding: Finding, run: Run) -> Finding:
    """The finding, with what the repetition says about it."""
    if run.stacks or run.error:
        why = run.error or f"it did not end within {LIMIT_SECONDS:g} s"
        return replace(finding, notes=(*finding.notes, f"can't be confirmed, the repeated test failed: {why}"))
    if any(leak.fingerprint == finding.fingerprint for leak in run.leaks):
        return replace(finding, notes=(*finding.notes, AGAIN))
    return replace(finding, disposition="once", notes=(*finding.notes, NOT_AGAIN))
