"""The guard: pytest's hooks in, findings onto the teardown report.

Everything is judged in the outermost wrapper of `pytest_runtest_makereport` of
the teardown phase (reports.py): all finalizers have run, nothing has been logged.
Nothing here raises, fails or warns in a hook that others share.

What runs for every test is counted in microseconds: two hooks, no object made,
two numbers compared. All else waits until one of them has changed.
"""

from __future__ import annotations

import os
import traceback
from collections.abc import Callable, Generator
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import pytest

from pytest_leakguard import _real
from pytest_leakguard.block import Ground
from pytest_leakguard.core.allow import AllowRule
from pytest_leakguard.core.ledger import Context
from pytest_leakguard.core.model import Finding, Owner
from pytest_leakguard.plugin import internals, options, tracking
from pytest_leakguard.plugin.boundaries import put_back, watch_state
from pytest_leakguard.plugin.delivery import Delivery, by_test
from pytest_leakguard.plugin.holding import Holding
from pytest_leakguard.plugin.judge import Judge
from pytest_leakguard.plugin.judged import Judged, Test
from pytest_leakguard.plugin.looks import Looks
from pytest_leakguard.plugin.registrations import Registrations
from pytest_leakguard.plugin.remains import Remains
from pytest_leakguard.plugin.reports import Reports
from pytest_leakguard.plugin.wider import WiderScopes
from pytest_leakguard.plugin.xdist import usage_errors_of_a_worker
from pytest_leakguard.probes.exit_callbacks import count as count_exit_callbacks
from pytest_leakguard.watch import Watch
from pytest_leakguard.young import set_apart

if TYPE_CHECKING:
    from pytest_leakguard.plugin.sampling import Sampler

ERRORS_KEPT = 20
"""Errors of ours that are told at most: what breaks may break in every test."""


@dataclass(slots=True)
class Statistics:
    """For the closing line."""

    tests: int = 0
    peak: int = 0
    peak_test: str = ""
    seconds: float = 0.0


class Guard:
    """Watches each guarded test from before its setup to after its teardown.

    Args:
        kinds: those watched in this run; `known_kinds`: all that can be named.
        guarded: ids of the marked tests, or None when every test is checked.
    """

    __slots__ = (  # for speed in every test: a dict of so many is no longer shared in the way that is quick
        "_allowing",
        "_brought",
        "_collecting",
        "_fresh",
        "_guarded",
        "_has_fresh_filters",
        "_looks",
        "_on",
        "_parent",
        "_paused",
        "_reports",
        "_sees_unclosed",
        "_to_judge",
        "_wider",
        "blind",
        "config",
        "delivery",
        "errors",
        "explained",
        "ground",
        "holding",
        "ini_rules",
        "is_followed",
        "judge",
        "kinds",
        "known_kinds",
        "marker_rules",
        "needs_sweeper",
        "registrations",
        "remains",
        "rules",
        "sampler",
        "settings",
        "statistics",
        "sweeper",
        "wake",
        "watch",
    )

    def __init__(
        self,
        config: pytest.Config,
        settings: options.Settings,
        watch: Watch,
        *,
        kinds: frozenset[str],
        known_kinds: frozenset[str],
        rules: tuple[AllowRule, ...],
        guarded: set[str] | None,
    ) -> None:
        self.config = config
        self.settings = settings
        self.watch = watch
        self.kinds = kinds
        self.known_kinds = known_kinds
        self.rules = rules
        self.judge = Judge(watch, settings.late)
        self.holding = Holding(config, watch, fixtures=self.judge.scopes.values, folder=settings.graph)
        self.delivery = Delivery(
            config, rules, settings.action, lambda case: self.holding.held(case, self.judge.blamed)
        )
        self.ground = Ground(
            watch,
            rules=lambda: [*self._allowing.get(watch.ledger.test, ()), *self.rules],
            place=watch.recorder.context,
            used=self.delivery.used_rules.add,
            tell=self.judge.tell,
            holder=self.holding.held,
            restores_state=settings.restore_state,
        )
        self.statistics = Statistics()
        self.marker_rules: set[AllowRule] = set()
        self.ini_rules = tuple(rule for rule in rules if rule.source == settings.source)
        self.errors: list[str] = []
        self.remains = Remains(self)
        self.registrations = Registrations()
        self.explained: dict[str, Any] = {}
        """What `--leakguard-explain` noted of the tests that ran here."""
        self.sweeper: Any = None
        """The `Sweeper` of this run, when faults are asked for."""
        self.needs_sweeper: Callable[[], None] = lambda: None
        """Told that a test asks for faults."""
        self.is_followed = False
        """Whether other hooks on pytest's reports come after ours, as they must: ours stays where it is."""
        self.sampler: Sampler | None = None
        """Keeps the timeline, when a report is asked for."""
        self.blind: dict[str, str] = {}
        self.wake: Callable[[], None] = lambda: None
        """Told before something is attached to a report."""
        self._guarded = guarded
        self._allowing: dict[str, tuple[AllowRule, ...]] = {}
        self._wider = WiderScopes(watch, self.judge, self._failed_to_judge)
        self._parent: object = None  # of the last test
        self._sees_unclosed = bool({"unclosed", "task"} & kinds) and "unclosed" in watch.roster.kinds
        self._has_fresh_filters = config.pluginmanager.has_plugin("warnings")
        self._looks = Looks(watch)
        self._collecting = watch.collecting(self._judged, self._bring)
        self._fresh = False  # the known set is that of the end of the test before
        self._on = False  # the running test is guarded
        self._paused = False  # what runs is a repetition
        self._to_judge = False
        self._brought = False  # our own collection made something raise that nothing can catch
        self._reports = Reports(config.pluginmanager, self._end)
        self._reports.switch_on()

    # -- hooks of every test -------------------------------------------------

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_protocol(self, item: pytest.Item) -> Generator[None, object, object]:
        if (self._guarded is not None and item.nodeid not in self._guarded) or self.watch.is_fork:
            if self.watch.ledger.test:
                self._leave(item)  # the test before asked while it ran, when it was too late to be around it
            self._on = self._fresh = False
            return (yield)
        try:
            self._begin(item)
        except Exception as error:  # an error of ours is told, and the test runs all the same
            self._failed_to_judge(item, error)
            self._on = False
            return (yield)
        nodes = () if item.parent is self._parent else self._wider.put_around(item)
        self._parent = item.parent
        try:
            return (yield)
        finally:
            if nodes:
                self._wider.take_away(item, nodes)
            try:  # as `_leave`, one call less in every test
                if self.watch.tracer is not None:
                    self.watch.tracer.stop()
                self.watch.ledger.end_test()
            except Exception as error:
                self._failed_to_judge(item, error)

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_runtest_teardown(self, item: pytest.Item) -> Generator[None, object, object]:
        if not self._on:
            return (yield)
        try:
            if self.watch.recorder.moves != self._looks.moves:
                # with the fixtures still up: the most that a test has open
                self._note_peak(item, self.watch.table.count())
                if self.watch.recorder.has_questions:
                    self.watch.recorder.resolve()
            if count_exit_callbacks() != self.registrations.count:
                self.registrations.look(f"{item.nodeid} (set-up or call)")
        except Exception as error:  # as above
            self._failed_to_judge(item, error)
        try:
            return (yield)
        finally:
            # outside of all other wrappers, before the report is made
            try:
                self._over(item)
            except Exception as error:  # as above, and what the teardown raised goes on
                self._failed_to_judge(item, error)

    # -- hooks of wider fixtures ---------------------------------------------

    @pytest.hookimpl(wrapper=True)
    def pytest_fixture_setup(self, fixturedef: Any, request: Any) -> Generator[None, object, object]:
        if fixturedef.scope == "function" or not self._fresh:
            return (yield)
        opened = self._wider.open_fixture(fixturedef, request)
        if opened is None:
            return (yield)
        try:
            return (yield)
        finally:
            self._wider.fixture_ready(fixturedef, opened, request)

    def pytest_fixture_post_finalizer(self, fixturedef: Any, request: Any) -> None:
        if fixturedef.scope != "function":
            self._wider.fixture_over(fixturedef, request)

    @pytest.hookimpl(trylast=True)
    def pytest_collection_modifyitems(self, config: pytest.Config, items: list[pytest.Item]) -> None:
        with usage_errors_of_a_worker(config, items):
            self.validate(items)

    @pytest.hookimpl(trylast=True)
    def pytest_collection_finish(self) -> None:
        set_apart()

    # -- for the other parts of the plugin -----------------------------------

    def validate(self, items: list[pytest.Item]) -> None:
        """Read all markers before the first test runs. Raises pytest.UsageError."""
        repeat: dict[str, int] = {}
        for item in items:
            if item.get_closest_marker("no_leaks") or item.get_closest_marker("allow_leaks"):
                own = options.item_settings(item, self.settings, self.kinds, self.known_kinds)
                if "task" in own.kinds:
                    self.watch.tasks.arm()
                if own.rules:
                    self._allowing[item.nodeid] = own.rules
                if "state" in own.kinds and not self.watch.state.watches:
                    watch_state(self)
                if own.repeat:
                    repeat[item.nodeid] = own.repeat
                if own.faults:
                    self.needs_sweeper()
                tracking.ask_for_item(self.config, self.watch, item.nodeid, own)
        tracking.make_ready(self, repeat)

    def join(self, item: pytest.Item) -> None:
        """A running test asks to be guarded; one that is already is left alone."""
        if not self._on and not self._paused:
            self._begin(item)

    def pause(self) -> None:
        """What runs from now on is a repetition of the test: not judged, and nobody's."""
        self._on, self._paused = False, True
        self.watch.ledger.end_test()

    def resume(self, item: pytest.Item) -> None:
        """The repetitions are over; what they left is known from now on, and only the end of the test is to come."""
        self._paused = False
        self.watch.ledger.begin_test(item.nodeid)
        self.watch.ledger.phase = "teardown"
        try:
            self.judge.rebase()
            self._looks.settle()
        except Exception as error:
            self._failed_to_judge(item, error)

    def begin_again(self, item: pytest.Item) -> None:
        """A test that was judged runs once more, for a fault sweep, which judges it by itself."""
        self._begin(item)
        self._on, self._paused = False, True

    def settled(self) -> None:
        """The sweep has judged: what is there now is known."""
        self._paused = False
        self._looks.settle()

    def test_of(self, item: pytest.Item) -> Test:
        """What has to be known of a test that is judged."""
        return self._test(item)

    def tell(self, item: pytest.Item, report: pytest.TestReport, judged: list[Judged]) -> None:
        """Put further findings on the teardown report of a test, which is not logged yet."""
        findings = self.delivery.findings(judged)
        if findings:
            self.wake()
            self.delivery.add(item, report, findings)
            self.mark(findings)

    def mark(self, findings: list[Finding]) -> None:
        """Findings are told now: the timeline of a report shows when."""
        if self.sampler is not None:
            self.sampler.mark(findings)

    def settings_of(self, item: pytest.Item) -> options.ItemSettings:
        """What holds for a test; a marker added while it ran may be bad, that is told and passed over."""
        try:
            own = options.item_settings(item, self.settings, self.kinds, self.known_kinds)
        except pytest.UsageError as error:
            self.errors.append(str(error))
            own = options.ItemSettings(kinds=self.kinds, grace_seconds=self.settings.grace_seconds)
        if not self.settings.every_test and item.get_closest_marker("no_leaks") is None:
            # guarded only because it uses leak_check: what it tracks is judged, the rest it checks itself
            own = replace(own, kinds=frozenset({"object", "lock"}))
        return own

    def finish(self) -> list[tuple[str, list[Finding]]]:
        """After the last teardown: put-off verdicts that no later test could bring, and unsent ones."""
        told = dict(self.delivery.take_unsent())
        try:
            if self.sampler is not None and self.statistics.tests:
                self.sampler.sample(self.statistics.tests, at_any_rate=True)
            if self._fresh and (self.judge.deferred or self.watch.unclosed.kept or self.watch.tasks.witness.puts_off):
                test = Test(name="", kinds=self.kinds, grace_seconds=self.settings.grace_seconds)
                with self.watch.collecting(None, lambda: None):
                    judged = self.judge.end(test)
                last = self.delivery.findings(judged)
                self.mark(last)
                for name, findings in by_test(last).items():
                    told.setdefault(name, []).extend(findings)
            self.holding.draw()
        except Exception as error:  # as above
            self._failed_to_judge(None, error)
        return list(told.items())

    # -- what the hooks do ---------------------------------------------------

    def _begin(self, item: pytest.Item) -> None:
        watch = self.watch
        if not self._fresh:
            self.judge.rebase()
            self._fresh = True
            self.registrations.begin()
            self._looks.settle()
            self._looks.end(item.nodeid)
            if not self.statistics.peak:
                self._note_peak(item, watch.table.count())
                if self.sampler is not None:
                    self.sampler.sample(0)
        if self._sees_unclosed:
            watch.unclosed.watch(fresh=self._has_fresh_filters)
        watch.ledger.begin_test(item.nodeid)
        self._on = True
        if watch.tracer is not None:
            watch.tracer.start()

    def _leave(self, item: pytest.Item) -> None:
        """The test is over and judged."""
        try:
            if self.watch.tracer is not None:
                self.watch.tracer.stop()
            self.watch.ledger.end_test()
        except Exception as error:  # as above
            self._failed_to_judge(item, error)

    def _over(self, item: pytest.Item) -> None:
        """All finalizers have run: the cheap question of every test, did anything move at all?"""
        self.statistics.tests += 1
        self._to_judge = self._look(item) if self._looks.is_due() or self.delivery.unsent else False
        if self._to_judge or (self._allowing and item.nodeid in self._allowing):
            self._reports.switch_on(item)
        elif self._reports.on and not self.is_followed:
            self._reports.quiet()
        # the last: an error of it must not keep the test from being judged
        if count_exit_callbacks() != self.registrations.count:
            self.registrations.look(f"{item.nodeid} (teardown)")

    def _look(self, item: pytest.Item) -> bool:
        """Whether there is something to judge, once the garbage of the test is collected."""
        if _real.getpid() != self.watch.pid:
            return False
        start = _real.perf_counter()
        try:
            self._looks.begin()
            return self._needs_to_judge()
        except Exception as error:  # as above
            self._failed_to_judge(item, error)
            return False
        finally:
            if self.sampler is not None:
                self.sampler.sample(self.statistics.tests)
            self.statistics.seconds += _real.perf_counter() - start

    def _needs_to_judge(self) -> bool:
        watch, judge = self.watch, self.judge
        self._brought = False
        test = watch.ledger.test  # the item's id, which pytest works out anew each time
        recorder, looks = watch.recorder, self._looks
        if recorder.moves == looks.moves and not watch.ledger.ended and judge.is_still(thorough=True):
            looks.settle()
            looks.end(test)
            return bool(self.delivery.unsent)
        recorder.resolve()  # what dies in the collection can't be asked afterwards
        looks.collecting(test)
        with self._collecting:
            watch.young.collect()
        marks = looks.mark()
        if judge.needs_to_judge(watch.table.counted) or self._brought or self.delivery.unsent:
            return True
        judge.tidy()
        looks.settle(marks)
        looks.end(test)
        return False

    def _judged(self) -> Context:
        """Whose it is what a collection of ours brings up: the running test's, of no phase that could be told."""
        test = self.watch.ledger.test
        return Context(Owner(kind="test", scope="function", name=test), test, None)

    def _bring(self) -> None:
        self._brought = True

    def _end(self, item: pytest.Item, report: pytest.TestReport) -> None:
        """The report of the teardown is there: judge."""
        if not self._on:
            return
        outcome = self._reports.outcome
        if item.nodeid in self._allowing and not outcome.failed and not outcome.skipped:
            self.marker_rules.update(self._allowing[item.nodeid])
        if not self._to_judge:
            return
        start = _real.perf_counter()
        try:
            self._judge(item, report)
            self._looks.settle()
        except Exception as error:  # as above
            self._failed_to_judge(item, error)
        self._looks.end(item.nodeid)
        self.statistics.seconds += _real.perf_counter() - start

    def _note_peak(self, item: pytest.Item, count: int) -> None:
        statistics = self.statistics
        if count > statistics.peak:
            statistics.peak, statistics.peak_test = count, item.nodeid

    def _judge(self, item: pytest.Item, report: pytest.TestReport) -> None:
        with self._collecting:
            internals.drop_references(item)
            judged = self.judge.judge(self._test(item))
        if self._brought:
            self._tell_unraisable(item, report)
            judged = [one.of_failed(item.nodeid) for one in judged] if self._reports.outcome.failed else judged
        findings = self.delivery.findings(judged) if judged else []
        self.mark(findings)
        if self.settings.restore_state:
            put_back(self.watch, findings)
        if findings or self.delivery.unsent:
            self.wake()
            self.delivery.attach(item, report, findings, failed_in_setup=self._reports.outcome.failed_in_setup)

    def _test(self, item: pytest.Item) -> Test:
        own = self.settings_of(item)
        return Test(
            name=item.nodeid,
            kinds=own.kinds,
            grace_seconds=own.grace_seconds,
            rules=own.rules,
            requested=frozenset(getattr(item, "fixturenames", ())),
            failed=self._reports.outcome.failed,
            since=self._looks.since,
            uncollected=self._looks.uncollected,
        )

    def _tell_unraisable(self, item: pytest.Item, report: pytest.TestReport) -> None:
        """What our collection brought up besides ResourceWarnings is told inside this test's teardown."""

        def drain() -> None:
            __tracebackhide__ = True
            internals.drain_unraisable(self.config)

        call = pytest.CallInfo.from_call(drain, "teardown")
        if call.excinfo is not None and report.outcome == "passed":
            told = pytest.TestReport.from_item_and_call(item, call)
            report.outcome, report.longrepr = told.outcome, told.longrepr
            self._reports.outcome.failed = True

    def _failed_to_judge(self, item: pytest.Item | pytest.Collector | None, error: Exception) -> None:
        if len(self.errors) < ERRORS_KEPT:
            what = "The end of the session" if item is None else item.nodeid
            place = traceback.extract_tb(error.__traceback__)[-1]
            where = f"{os.path.basename(place.filename)}:{place.lineno}"
            self.errors.append(f"{what} could not be judged: {type(error).__name__}: {error} ({where})")
        self._fresh = False
