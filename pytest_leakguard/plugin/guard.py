"""The guard: pytest's hooks in, findings onto the teardown report.

Everything is judged in the outermost wrapper of `pytest_runtest_makereport` of
the teardown phase: all finalizers have run, nothing has been logged. Nothing
here raises, fails or warns in a hook that others share.

What runs for every test is counted in microseconds: two hooks, no object made,
two numbers compared. All else waits until one of them has changed.
"""

from __future__ import annotations

import os
import traceback
from collections.abc import Callable, Generator
from dataclasses import dataclass, replace
from typing import Any

import pytest

from pytest_leakguard import _real
from pytest_leakguard.core.allow import AllowRule
from pytest_leakguard.core.ledger import Context
from pytest_leakguard.core.model import Finding, Owner
from pytest_leakguard.plugin import internals, options
from pytest_leakguard.plugin.delivery import Delivery, by_test
from pytest_leakguard.plugin.fixture_names import name_and_place
from pytest_leakguard.plugin.judge import Judge, Test
from pytest_leakguard.plugin.scopes import LiveScope, NodeSetups
from pytest_leakguard.plugin.xdist import usage_errors_of_a_worker
from pytest_leakguard.watch import Item, Watch

FULL_LOOK_EVERY = 200
"""Tests after which a full look is made although nothing seemed to move."""


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
        self.delivery = Delivery(config, rules, settings.action)
        self.statistics = Statistics()
        self.marker_rules: set[AllowRule] = set()
        self.ini_rules = tuple(rule for rule in rules if rule.source == settings.source)
        self.errors: list[str] = []
        self.sweeper: Any = None
        """The `Sweeper` of this run, when faults are asked for."""
        self.blind: dict[str, str] = {}
        self.wake: Callable[[], None] = lambda: None
        """Told before something is attached to a report."""
        self._guarded = guarded
        self._allowing: dict[str, tuple[AllowRule, ...]] = {}
        self._node_setups = NodeSetups(self._open_node, self._node_ready)
        self._before_node: dict[int, set[Item]] = {}
        self._last_parent: object = None
        self._sees_unclosed = "unclosed" in kinds and "unclosed" in watch.roster.kinds
        self._marks: tuple[Any, ...] = ()
        self._moves = 0
        self._since_full_look = 0
        self._fresh = False  # the known set is that of the end of the test before
        self._on = False  # the running test is guarded
        self._failed = False
        self._failed_in_setup = False
        self._skipped = False

    # -- hooks of every test -------------------------------------------------

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_protocol(self, item: pytest.Item) -> Generator[None, object, object]:
        if (self._guarded is not None and item.nodeid not in self._guarded) or not self.watch.is_own_process():
            self._on = self._fresh = False
            return (yield)
        try:
            self._begin(item)
        except Exception as error:
            self._failed_to_judge(item, error)
            self._on = False
            return (yield)
        nodes = ()
        if item.parent is not self._last_parent:
            self._last_parent = item.parent
            nodes = self._node_setups.put_around(item)
        try:
            return (yield)
        finally:
            if nodes:
                self._node_setups.take_away(nodes)
            if self.watch.tracer is not None:
                self.watch.tracer.stop()
            self.watch.ledger.end_test()

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_runtest_makereport(
        self, item: pytest.Item, call: pytest.CallInfo[None]
    ) -> Generator[None, pytest.TestReport, pytest.TestReport]:
        report = yield
        if not self._on:
            return report
        when = call.when
        if when == "setup":
            self._failed = self._failed_in_setup = self._skipped = False  # a rerun starts anew inside one protocol
            self.watch.ledger.phase = "call"
        self._skipped |= report.outcome == "skipped"
        if report.outcome == "failed" or hasattr(report, "wasxfail"):
            self._failed = True
            self._failed_in_setup |= when == "setup"
        if when == "teardown":
            self._end(item, report)
        elif when == "call" and self.watch.recorder.moves != self._moves:
            # with the fixtures still up: the most that a test has open
            self._note_peak(item, self.watch.table.count())
            if self.watch.recorder.has_questions:
                self.watch.recorder.resolve()
        return report

    # -- hooks of wider fixtures ---------------------------------------------

    @pytest.hookimpl(wrapper=True)
    def pytest_fixture_setup(self, fixturedef: Any, request: Any) -> Generator[None, object, object]:
        if fixturedef.scope == "function" or not self._fresh:
            return (yield)
        opened = self._open_fixture(fixturedef, request)
        if opened is None:
            return (yield)
        try:
            return (yield)
        finally:
            self._fixture_ready(fixturedef, *opened, request)

    def pytest_fixture_post_finalizer(self, fixturedef: Any) -> None:
        if fixturedef.scope != "function":
            scope = self.judge.scopes.find(fixturedef)
            if scope is not None:
                self.watch.ledger.closed(scope.owner)
                self.judge.scopes.drop(scope.owner.serial)

    @pytest.hookimpl(trylast=True)
    def pytest_collection_modifyitems(self, config: pytest.Config, items: list[pytest.Item]) -> None:
        with usage_errors_of_a_worker(config, items):
            self.validate(items)

    # -- for the other parts of the plugin -----------------------------------

    def validate(self, items: list[pytest.Item]) -> None:
        """Read all markers before the first test runs. Raises pytest.UsageError."""
        for item in items:
            if item.get_closest_marker("no_leaks") or item.get_closest_marker("allow_leaks"):
                own = options.item_settings(item, self.settings, self.kinds, self.known_kinds)
                if own.rules:
                    self._allowing[item.nodeid] = own.rules

    def join(self, item: pytest.Item) -> None:
        """A running test asks to be guarded; one that is already is left alone."""
        if self._guarded is not None:
            self._guarded.add(item.nodeid)
        if not self._on:
            self._begin(item)

    def begin_again(self, item: pytest.Item) -> None:
        """A test that was judged runs once more, for a fault sweep."""
        self._begin(item)

    def settled(self) -> None:
        """The sweep has judged by itself: what is there now is known."""
        self._settle_marks()

    def settings_of(self, item: pytest.Item) -> options.ItemSettings:
        """What holds for a test; a marker added while it ran may be bad, that is told and passed over."""
        try:
            own = options.item_settings(item, self.settings, self.kinds, self.known_kinds)
        except pytest.UsageError as error:
            self.errors.append(str(error))
            own = options.ItemSettings(kinds=self.kinds, grace_seconds=self.settings.grace_seconds)
        if not self.settings.every_test and item.get_closest_marker("no_leaks") is None:
            # guarded only because it uses leak_check: what it tracks is judged, the rest it checks itself
            own = replace(own, kinds=frozenset({"object"}))
        return own

    def finish(self) -> list[tuple[str, list[Finding]]]:
        """After the last teardown: put-off verdicts that no later test could bring, and unsent ones."""
        if not self.watch.is_own_process():
            return []
        told = dict(self.delivery.take_unsent())
        if self._fresh and (self.judge.deferred or self.watch.unclosed.has_caught):
            test = Test(name="", kinds=self.kinds, grace_seconds=self.settings.grace_seconds)
            with self.watch.collecting(None, lambda: None):
                judged = self.judge.end(test)
            for name, findings in by_test(self.delivery.findings(judged)).items():
                told.setdefault(name, []).extend(findings)
        return list(told.items())

    # -- what the hooks do ---------------------------------------------------

    def _begin(self, item: pytest.Item) -> None:
        watch = self.watch
        if not self._fresh:
            self.judge.rebase()
            self._fresh = True
            self._settle_marks()
        if self._sees_unclosed:
            watch.unclosed.watch()
        watch.ledger.begin_test(item.nodeid)
        self._on = True
        if watch.tracer is not None:
            watch.tracer.start()

    def _end(self, item: pytest.Item, report: pytest.TestReport) -> None:
        self.statistics.tests += 1
        if self._allowing and not self._failed and not self._skipped and item.nodeid in self._allowing:
            self.marker_rules.update(self._allowing[item.nodeid])
        if not self._moved(item) or not self.watch.is_own_process():
            return
        start = _real.perf_counter()
        self._since_full_look = 0
        try:
            self._judge(item, report)
            self._settle_marks()
        except Exception as error:  # an error of ours is told, and never becomes one of the user's run
            self._failed_to_judge(item, error)
        self.statistics.seconds += _real.perf_counter() - start

    def _note_peak(self, item: pytest.Item, count: int) -> None:
        statistics = self.statistics
        if count > statistics.peak:
            statistics.peak, statistics.peak_test = count, item.nodeid

    def _moved(self, item: pytest.Item) -> bool:
        """The cheap question of every test: did anything move at all?"""
        watch = self.watch
        self._since_full_look += 1
        if not self.statistics.peak:
            self._note_peak(item, watch.table.count())
        return (
            watch.recorder.moves != self._moves
            or watch.roster.marks() != self._marks
            or watch.ledger.has_ended
            or self.delivery.has_unsent
            or self._since_full_look >= FULL_LOOK_EVERY
        )

    def _settle_marks(self) -> None:
        self._marks = self.watch.roster.marks()
        self._moves = self.watch.recorder.moves

    def _judge(self, item: pytest.Item, report: pytest.TestReport) -> None:
        self._close_nodes(item)
        context = Context(Owner(kind="test", scope="function", name=item.nodeid), item.nodeid, None)
        brought: list[bool] = []
        self.watch.recorder.resolve()  # what dies in the collection can't be asked afterwards
        with self.watch.collecting(context, lambda: brought.append(True)):
            _real.gc_collect(1)
            if not self.judge.needs_to_judge() and not self.delivery.has_unsent:
                judged = []
                self.judge.tidy()
            else:
                internals.drop_references(item)
                judged = self.judge.judge(self._test(item))
        if brought:
            self._tell_unraisable(item, report)
            judged = [one.of_failed(item.nodeid) for one in judged] if self._failed else judged
        findings = self.delivery.findings(judged) if judged else []
        if findings or self.delivery.has_unsent:
            self.wake()
            self.delivery.attach(item, report, findings, failed_in_setup=self._failed_in_setup)

    def _test(self, item: pytest.Item) -> Test:
        own = self.settings_of(item)
        return Test(
            name=item.nodeid,
            kinds=own.kinds,
            grace_seconds=own.grace_seconds,
            rules=own.rules,
            requested=frozenset(getattr(item, "fixturenames", ())),
            failed=self._failed,
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
            self._failed = True

    def _failed_to_judge(self, item: pytest.Item | pytest.Collector, error: Exception) -> None:
        place = traceback.extract_tb(error.__traceback__)[-1]
        self.errors.append(
            f"{item.nodeid} could not be judged: {type(error).__name__}: {error} "
            f"({os.path.basename(place.filename)}:{place.lineno})"
        )
        self._fresh = False

    # -- set-ups of wider fixtures; an error of ours never becomes one of the user's fixture --

    def _open_fixture(self, fixturedef: Any, request: Any) -> tuple[LiveScope, set[Item]] | None:
        try:
            name, where, xunit = name_and_place(fixturedef, self.watch.root)
            before = self.judge.everything()
            owner = self.watch.ledger.open_scope("fixture", name, fixturedef.scope, where, xunit=xunit)
            scope = LiveScope(owner, fixturedef, getattr(request, "cls", None))
            self.judge.scopes.add(scope)
        except Exception as error:
            self._failed_to_judge(request.node, error)
            return None
        return scope, before

    def _fixture_ready(self, fixturedef: Any, scope: LiveScope, before: set[Item], request: Any) -> None:
        owner = scope.owner
        try:
            self.judge.claim(before, owner)
            scope.set_up()
            # the last finalizer to be added is the first to run: its teardown starts
            fixturedef.addfinalizer(lambda: self.watch.ledger.closing(owner))
        except Exception as error:
            self._failed_to_judge(request.node, error)
        finally:
            self.watch.ledger.ready(owner)

    # -- set-ups of nodes ----------------------------------------------------

    def _open_node(self, node: Any) -> LiveScope:
        name = "package" if isinstance(node, pytest.Package) else type(node).__name__.lower()
        owner = self.watch.ledger.open_scope("node", node.nodeid, name, node.nodeid)
        scope = LiveScope(owner, None, None, node)
        self.judge.scopes.add(scope)
        self._before_node[owner.serial] = self.judge.everything()
        return scope

    def _node_ready(self, scope: LiveScope) -> None:
        self.judge.claim(self._before_node.pop(scope.owner.serial, ()), scope.owner)
        scope.set_up()
        self.watch.ledger.ready(scope.owner)

    def _close_nodes(self, item: pytest.Item) -> None:
        for scope in self.judge.scopes.nodes():
            if not internals.is_set_up(item.session, scope.node):
                self.watch.ledger.closed(scope.owner)
                self.judge.scopes.drop(scope.owner.serial)
