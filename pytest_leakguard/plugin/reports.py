"""The hook on pytest's reports, there only while there is something to judge.

A wrapper of `pytest_runtest_makereport` runs three times a test and costs as much
as all else that a clean test needs. After some tests in which nothing moved it is
taken away, and put back by the first in which something did: at the end of that
test's teardown, before its report is made.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable
from dataclasses import dataclass

import pytest

from pytest_leakguard.plugin import internals

NAME = "leakguard-reports"
QUIET_TESTS = 20
"""Tests in a row in which nothing moved, after which the hook is taken away."""


@dataclass(slots=True)
class Outcome:
    """How the running test ended so far, by itself: no leak counts."""

    failed: bool = False
    failed_in_setup: bool = False
    skipped: bool = False

    def note(self, report: pytest.TestReport) -> None:
        """Take in the report of one more phase."""
        if report.outcome == "skipped":
            self.skipped = True
        if report.outcome == "failed" or hasattr(report, "wasxfail"):
            self.failed = True
            self.failed_in_setup |= report.when == "setup"

    @classmethod
    def of(cls, reports: Iterable[pytest.TestReport]) -> Outcome:
        """The outcome after these."""
        outcome = cls()
        for report in reports:
            outcome.note(report)
        return outcome


class Reports:
    """Hands the teardown report of each test on, with the outcome of the test.

    Args:
        hand_over: given the test and its report after all other plugins had it.

    Attributes:
        on: the hook is there.
        outcome: of the running test, while it is.
    """

    def __init__(
        self, manager: pytest.PytestPluginManager, hand_over: Callable[[pytest.Item, pytest.TestReport], None]
    ) -> None:
        self.outcome = Outcome()
        self._manager = manager
        self._hand_over = hand_over
        self._quiet = 0
        self.on = False

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_runtest_makereport(
        self, item: pytest.Item, call: pytest.CallInfo[None]
    ) -> Generator[None, pytest.TestReport, pytest.TestReport]:
        report = yield
        if call.when == "setup":
            self.outcome = Outcome()  # a rerun starts anew inside one protocol
        self.outcome.note(report)
        if call.when == "teardown":
            self._hand_over(item, report)
        return report

    def switch_on(self, item: pytest.Item | None = None) -> None:
        """Something moved, or will; `item` is the test that is running already."""
        self._quiet = 0
        if not self.on:
            self.on = True
            self.outcome = Outcome.of(internals.reports_so_far(item) if item is not None else ())
            self._manager.register(self, NAME)

    def quiet(self) -> None:
        """Nothing moved in a test; asked only while the hook is there."""
        self._quiet += 1
        if self._quiet >= QUIET_TESTS:
            self.on = False
            self._manager.unregister(self)
