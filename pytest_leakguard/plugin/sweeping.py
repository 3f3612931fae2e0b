"""Fault sweeps of tests: after a test has passed and been judged, before its last report is told.

The trials run inside the wrapper of the teardown's `pytest_runtest_makereport`:
the test's warning filters and everything else that pytest puts around a whole
test are still on, and what is found goes onto the test's own report.
"""

from __future__ import annotations

import random
from collections.abc import Generator
from dataclasses import replace

import pytest

from pytest_leakguard.core.allow import first_match
from pytest_leakguard.core.model import Finding
from pytest_leakguard.faults.families import injectors_for
from pytest_leakguard.faults.model import STRICT_INTERRUPT, FaultPoint
from pytest_leakguard.faults.sweep import COUNTING_LIMIT_SECONDS, LIMIT_FACTOR, Budget, Sweep
from pytest_leakguard.faults.targets import Targets, is_test_name
from pytest_leakguard.faults.witness import Witness
from pytest_leakguard.plugin import internals
from pytest_leakguard.plugin.again import Again
from pytest_leakguard.plugin.delivery import REPORT_ATTRIBUTE
from pytest_leakguard.plugin.fault_operations import operations_of
from pytest_leakguard.plugin.fault_options import FaultSettings
from pytest_leakguard.plugin.fault_order import order_of
from pytest_leakguard.plugin.fault_progress import ProgressLine
from pytest_leakguard.plugin.fault_totals import SweepTotals
from pytest_leakguard.plugin.fault_words import told
from pytest_leakguard.plugin.guard import Guard
from pytest_leakguard.plugin.trial import ItemSubject


class Sweeper:
    """Sweeps each test that asks for it."""

    def __init__(self, config: pytest.Config, guard: Guard, settings: FaultSettings) -> None:
        self.config = config
        self.settings = settings
        self.totals = SweepTotals(seed=settings.seed if settings.seed is not None else _any_seed(config))
        self._guard = guard
        self._test_files: set[str] = set()
        self._targets = Targets(root=str(config.rootpath), given=settings.places, is_test_file=self._is_test_file)
        self._order = order_of(config)
        self._progress = ProgressLine(config)
        self._passed = False
        self._seconds = 0.0
        self._again = Again(guard)

    # -- hooks ---------------------------------------------------------------

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_protocol(self, item: pytest.Item) -> Generator[None, object, object]:
        if not self.sweeps(item):
            return (yield)
        if not self._test_files:
            self._test_files = {str(one.path) for one in item.session.items}
        with self._again.around(item, self._targets.is_target):
            return (yield)

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_runtest_makereport(
        self, item: pytest.Item, call: pytest.CallInfo[None]
    ) -> Generator[None, pytest.TestReport, pytest.TestReport]:
        report = yield
        if not self._again.is_on:
            return report
        if call.when == "setup":
            self._passed, self._seconds = True, 0.0
        self._seconds += call.duration
        self._passed &= report.outcome == "passed" and not hasattr(report, "wasxfail")
        if call.when == "teardown":
            clean = self._passed and self._is_clean(report)
            self._again.at_the_end(item, report, lambda subject: self._sweep(item, report, subject) if clean else None)
        return report

    # -- what they do --------------------------------------------------------

    def sweeps(self, item: pytest.Item) -> bool:
        """Whether it repeats this test."""
        return bool(self._families(item))

    def _families(self, item: pytest.Item) -> tuple[str, ...]:
        if not {"leak_faults", "inject_error"}.isdisjoint(getattr(item, "fixturenames", ())):
            return ()  # it injects faults by itself
        if self.settings.only:
            points = [FaultPoint.parse(text) for text in self.settings.only]
            strict = (STRICT_INTERRUPT,) if any(point.is_strict for point in points) else ()
            return (*{point.family for point in points}, *strict)
        return self._guard.settings_of(item).faults or (self.settings.families if self.settings.every_test else ())

    def _is_test_file(self, filename: str) -> bool:
        return filename in self._test_files or is_test_name(filename)

    @staticmethod
    def _is_clean(report: pytest.TestReport) -> bool:
        """Whether the guard found nothing; a test that leaks without a fault says nothing about faults."""
        data = report.__dict__.get(REPORT_ATTRIBUTE)
        return not isinstance(data, dict) or not any(f["disposition"] == "fails" for f in data["findings"])

    def _sweep(self, item: pytest.Item, report: pytest.TestReport, subject: ItemSubject) -> None:
        internals.cancel_timeout(item)
        settings = self.settings
        sweep = Sweep(
            subject,
            injectors_for(self._families(item), self._targets, operations_of(self._guard)),
            only=frozenset(settings.only),
            budget=Budget(trials=settings.trials, seconds=settings.seconds),
            seed=self.totals.seed,
            strict=settings.strict,
            limit_seconds=max(COUNTING_LIMIT_SECONDS, LIMIT_FACTOR * self._seconds),
            rank=self._order.rank,
            progress=self._progress,
            witness=lambda: Witness(self._targets, subject.held),
        )
        self._progress.begin(item.nodeid)
        try:
            result = sweep.run()
        except Exception as error:  # an error of ours is told, and never becomes one of the user's test
            self._guard.errors.append(f"{item.nodeid} could not be swept: {type(error).__name__}: {error}")
            return
        finally:
            self._progress.end()
        self.totals.add(item.nodeid, result)
        findings = [self._allowed(told(finding, item.nodeid, self._options()), item) for finding in result.findings]
        if findings:
            self._guard.wake()
            self._guard.delivery.attach(item, report, findings, failed_in_setup=False)
            self._guard.mark(findings)

    def _allowed(self, finding: Finding, item: pytest.Item) -> Finding:
        """The same, or marked as allowed by a rule for its fault point; those for resources were asked before."""
        rules = [*self._guard.settings_of(item).rules, *self._guard.rules]
        rule = first_match(finding, [rule for rule in rules if rule.is_for_fault])
        if rule is None or finding.disposition != "fails":
            return finding
        self._guard.delivery.used_rules.add(rule)
        return replace(finding, disposition="allowed", notes=(*finding.notes, f"allowed: {rule.reason}"))

    def _options(self) -> list[str]:
        return [f"--leakguard-fault-target={word}" for word in self.config.getoption("leakguard_fault_target") or ()]


def _any_seed(config: pytest.Config) -> int:
    """The same one in all workers of a distributed run, so that one number repeats it."""
    run = getattr(config, "workerinput", {}).get("testrunuid")
    return (random.Random(run) if isinstance(run, str) else random.SystemRandom()).randrange(100_000)
