"""The guard: pytest's hooks in, findings onto the teardown report.

Everything is judged in the outermost wrapper of `pytest_runtest_makereport` of
the teardown phase: all finalizers have run, nothing has been logged. Nothing
here raises, fails or warns in a hook that others share.
"""

from __future__ import annotations

import os
import stat
import traceback
from collections import Counter
from collections.abc import Callable, Generator, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any

import pytest

from pytest_leakguard import _real
from pytest_leakguard.core.allow import AllowRule
from pytest_leakguard.core.grace import settle
from pytest_leakguard.core.ledger import Context
from pytest_leakguard.core.model import Acquisition, Disposition, Finding, Key, Origin, Owner, Verdict
from pytest_leakguard.core.verdict import Case, fold, is_part, judge
from pytest_leakguard.plugin import internals, options
from pytest_leakguard.plugin.known import known_by_design
from pytest_leakguard.plugin.scopes import LiveScope, NodeSetups, Scopes
from pytest_leakguard.probes.roster import Census
from pytest_leakguard.report.data import to_dict
from pytest_leakguard.watch import Item, Suspect, Watch

FULL_LOOK_EVERY = 200
"""Tests after which a full look is made although nothing seemed to move."""

REPORT_ATTRIBUTE = "leakguard"
_ALLOW_MARK = "@pytest.mark.allow_leaks"

Judged = tuple[Case, tuple[AllowRule, ...], bool]
"""A case, the rules of its test, and whether that test failed by itself."""


@dataclass(frozen=True, slots=True)
class Deferred:
    """A suspect whose verdict waits for wider scopes."""

    suspect: Suspect
    awaits: frozenset[int]
    awaited: Owner | None
    rules: tuple[AllowRule, ...]
    failed: bool


@dataclass(slots=True)
class Statistics:
    """For the closing line."""

    tests: int = 0
    peak: int = 0
    peak_test: str = ""
    seconds: float = 0.0


class Guard:
    """Watches each guarded test from before its setup to after its teardown."""

    def __init__(self, config: pytest.Config, settings: options.Settings, watch: Watch, kinds: frozenset[str],
                 known_kinds: frozenset[str], rules: tuple[AllowRule, ...]) -> None:  # fmt: skip
        self.config = config
        self.settings = settings
        self.watch = watch
        self.kinds = kinds
        self.known_kinds = known_kinds
        self.rules = rules
        self.used_rules: set[AllowRule] = set()
        self.marker_rules: set[AllowRule] = set()
        self.statistics = Statistics()
        self.errors: list[str] = []
        self.blind: dict[str, str] = {}
        self.wake: Callable[[], None] = lambda: None
        """Told before something is attached to a report."""
        self.guarded: set[str] | None = None  # ids of the marked tests, when not every test is checked
        self.scopes = Scopes()
        self.deferred: dict[Item, Deferred] = {}
        self.unsent: list[tuple[str, list[Finding]]] = []
        self.locations: dict[str, tuple[str, int | None, str]] = {}
        self._allowing: dict[str, tuple[AllowRule, ...]] = {}
        self._node_setups = NodeSetups(self._open_node, self._node_ready)
        self._before_node: dict[int, set[Item]] = {}
        self._last_parent: object = None
        self._blamed_threads: set[Item] = set()
        self._claims: dict[Item, Owner] = {}
        self._known: Census = {}
        self._marks: tuple[Any, ...] = ()
        self._moves = 0
        self._since_full_look = 0
        self._fresh = False
        self._on = False
        self._failed_in_setup = False
        self._failed = False
        self._sees_unclosed = "unclosed" in kinds and "unclosed" in watch.roster.kinds
        self._requested: frozenset[str] = frozenset()

    # -- hooks ---------------------------------------------------------------

    @pytest.hookimpl(trylast=True)
    def pytest_collection_modifyitems(self, items: list[pytest.Item]) -> None:
        self.validate(items)

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_protocol(self, item: pytest.Item) -> Generator[None, object, object]:
        watch = self.watch
        if (self.guarded is not None and item.nodeid not in self.guarded) or not watch.is_own_process():
            self._on = self._fresh = False
            return (yield)
        if not self._fresh:
            self._rebase()
        if self._sees_unclosed:
            watch.unclosed.watch()
        watch.ledger.begin_test(item.nodeid)
        self._on, self._failed = True, False
        nodes = ()
        if item.parent is not self._last_parent:
            self._last_parent = item.parent
            nodes = self._node_setups.put_around(item)
        if watch.tracer is not None:
            watch.tracer.start()
        try:
            return (yield)
        finally:
            if watch.tracer is not None:
                watch.tracer.stop()
            if nodes:
                self._node_setups.take_away(nodes)
            watch.ledger.end_test()

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtest_call(self) -> None:
        self.watch.ledger.enter_phase("call")

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtest_teardown(self, item: pytest.Item) -> None:
        statistics, count = self.statistics, self.watch.table.count()
        if count > statistics.peak:
            statistics.peak, statistics.peak_test = count, item.nodeid
        self.watch.ledger.enter_phase("teardown")

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_runtest_makereport(
        self, item: pytest.Item, call: pytest.CallInfo[None]
    ) -> Generator[None, pytest.TestReport, pytest.TestReport]:
        report = yield
        if call.when == "setup":
            self._failed = self._failed_in_setup = False  # a rerun starts anew inside one protocol
        if report.outcome == "failed" or hasattr(report, "wasxfail"):
            self._failed = True
            self._failed_in_setup |= call.when == "setup"
        if call.when == "teardown" and self._on:
            start = _real.perf_counter()
            self.statistics.tests += 1
            if item.nodeid in self._allowing and not self._failed:
                self.marker_rules.update(self._allowing[item.nodeid])
            try:
                if self._moved() and self.watch.is_own_process():
                    self._judge(item, report)
            except Exception as error:  # an error of ours is told, and never becomes one of the user's run
                self._failed_to_judge(item, error)
            self.statistics.seconds += _real.perf_counter() - start
        return report

    @pytest.hookimpl(wrapper=True)
    def pytest_fixture_setup(self, fixturedef: Any, request: Any) -> Generator[None, object, object]:
        if fixturedef.scope == "function" or not self._fresh:
            return (yield)
        scope = self._open_scope(fixturedef, request)
        before = self._everything()
        try:
            return (yield)
        finally:
            self._claim(before, scope.owner)
            scope.set_up()
            # the last finalizer to be added is the first to run: its teardown starts
            fixturedef.addfinalizer(lambda: self.watch.ledger.closing(scope.owner))
            self.watch.ledger.ready(scope.owner)

    def pytest_fixture_post_finalizer(self, fixturedef: Any) -> None:
        if fixturedef.scope != "function":
            scope = self.scopes.find(fixturedef)
            if scope is not None:
                self.watch.ledger.closed(scope.owner)
                self.scopes.drop(scope.owner.serial)

    # -- for the other parts of the plugin -----------------------------------

    def validate(self, items: list[pytest.Item]) -> None:
        """Read all markers before the first test runs. Raises pytest.UsageError."""
        for item in items:
            if item.get_closest_marker("no_leaks") or item.get_closest_marker("allow_leaks"):
                own = options.item_settings(item, self.settings, self.kinds, self.known_kinds)
                self._allowing[item.nodeid] = tuple(rule for rule in own.rules if rule.source.startswith(_ALLOW_MARK))

    def join(self, item: pytest.Item) -> None:
        """A running test asks to be guarded; one that is already is left alone."""
        if self.guarded is not None:
            self.guarded.add(item.nodeid)
        if not self._on:
            self._rebase()
            self.watch.ledger.begin_test(item.nodeid)
            self._on, self._failed = True, False

    def told(self, items: set[Item]) -> None:
        """These were told already, by a check inside the test: they are known from now on."""
        for kind, key in items:
            if kind == "unclosed":
                self.watch.unclosed.forget(key)
            elif kind == "object":
                self.watch.objects.forget(key)
            else:
                self._known[kind] = self._known.get(kind, frozenset()) | {key}
                if kind == "temp":
                    self.watch.recorder.created.pop(str(key), None)

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

    # -- what the hooks do ---------------------------------------------------

    def _rebase(self) -> None:
        """What exists now was there before: it is nobody's."""
        self.watch.recorder.set_before()
        self._known = self.watch.look()
        self._marks = self.watch.roster.marks()
        self._moves = self.watch.recorder.moves
        self._fresh = True

    def _open_scope(self, fixturedef: Any, request: Any) -> LiveScope:
        where = _place_of(fixturedef, self.watch.root)
        owner = self.watch.ledger.open_scope("fixture", fixturedef.argname, fixturedef.scope, where)
        scope = LiveScope(owner, fixturedef, getattr(request, "cls", None))
        self.scopes.add(scope)
        return scope

    def _open_node(self, node: Any) -> LiveScope:
        scope_name = "package" if isinstance(node, pytest.Package) else type(node).__name__.lower()
        owner = self.watch.ledger.open_scope("node", node.nodeid, scope_name, node.nodeid)
        scope = LiveScope(owner, None, None, node)
        self.scopes.add(scope)
        self._before_node[owner.serial] = self._everything()
        return scope

    def _node_ready(self, scope: LiveScope) -> None:
        self._claim(self._before_node.pop(scope.owner.serial, set()), scope.owner)
        self.watch.ledger.ready(scope.owner)

    def _everything(self) -> set[Item]:
        return self.watch.items(self.watch.look())

    def _claim(self, before: set[Item], owner: Owner) -> None:
        """What is new since a fixture's set-up started is the fixture's, recorded or not."""
        for item in self._everything() - before:
            if item[0] != "unclosed":
                self._claims.setdefault(item, owner)

    def _moved(self) -> bool:
        """The cheap question of every test: did anything move at all?"""
        watch = self.watch
        marks = watch.roster.marks()
        self._since_full_look += 1
        if (
            marks != self._marks
            or watch.recorder.moves != self._moves
            or watch.ledger.has_ended
            or self._since_full_look >= FULL_LOOK_EVERY
        ):
            self._since_full_look = 0
            return True
        return False

    @contextmanager
    def _collecting(self, item: pytest.Item, report: pytest.TestReport | None) -> Iterator[None]:
        """Our collections; what else they bring up is told inside this test's teardown."""
        brought: list[bool] = []
        context = Context(Owner(kind="test", scope="function", name=item.nodeid), item.nodeid, None)
        with self.watch.collecting(context, lambda: brought.append(True)):
            yield
        if brought and report is not None:
            call = pytest.CallInfo.from_call(lambda: internals.drain_unraisable(self.config), "teardown")
            if call.excinfo is not None and report.outcome == "passed":
                told = pytest.TestReport.from_item_and_call(item, call)
                report.outcome, report.longrepr = told.outcome, told.longrepr
                self._failed = True

    def _judge(self, item: pytest.Item, report: pytest.TestReport) -> None:
        own = self.settings_of(item)
        self._requested = frozenset(getattr(item, "fixturenames", ()))
        with self._collecting(item, report):
            internals.drop_references(item)
            _real.gc_collect(1)
            cases = self._cases(item, own)
        self._publish(item, report, cases, own)
        self._marks = self.watch.roster.marks()
        self._moves = self.watch.recorder.moves

    def _cases(self, item: pytest.Item, own: options.ItemSettings) -> list[Judged]:
        watch = self.watch
        self._close_nodes(item)
        ended = watch.ledger.take_ended()
        new = self._new_items()
        if new:
            # the young ones are collected already; whatever else could die does so before it is blamed
            _real.gc_collect()
            new = self._new_items()
        now = self._classify(item, new, own)
        now += self._due(ended)
        cases = self._settled(now, own.grace_seconds)
        cases += self._unclosed(own)
        self._remember(now)
        return cases

    def _new_items(self) -> set[Item]:
        census = self.watch.look()
        self._inherit(census)
        new = {
            (kind, key)
            for kind, keys in census.items()
            if kind != "unclosed"
            for key in keys - self._known.get(kind, frozenset())
            if (kind, key) not in self.deferred
        }
        self._known = {
            kind: frozenset(key for key in keys if (kind, key) not in new and (kind, key) not in self.deferred)
            for kind, keys in census.items()
        }
        for item in [item for item in self.deferred if item[1] not in census.get(item[0], ())]:
            self._release(item)
        return new

    def _inherit(self, census: Census) -> None:
        """A descriptor that takes the place of a known one on the same file belongs to whom that belonged.

        A pool that outlives the tests closes its connection and opens it again.
        """
        known, now = self._known.get("fd", frozenset()), census.get("fd", frozenset())
        vacant = Counter(file for key in known - now if (file := _file_of(key)) is not None)
        if not vacant:
            return
        heirs = set()
        for key in sorted(now - known, key=repr):
            file = _file_of(key)
            if vacant[file] > 0:
                vacant[file] -= 1
                heirs.add(key)
        self._known["fd"] = (known & now) | heirs

    def _release(self, item: Item) -> None:
        """A suspect is gone by itself: never mentioned."""
        deferred = self.deferred.pop(item)
        if deferred.suspect.record is not None:
            deferred.suspect.record.pinned = False

    def _classify(self, item: pytest.Item, new: set[Item], own: options.ItemSettings) -> list[Deferred]:
        """New resources: nobody's, to be judged now, or put off until a wider scope ends."""
        if not new:
            return []
        watch = self.watch
        otherwise = Acquisition(
            owner=Owner(kind="test", scope="function", name=item.nodeid),
            test=item.nodeid,
            phase=None,
            origin=Origin(),
        )
        suspects = watch.examine(new, otherwise)
        now: list[Deferred] = []
        searched: list[Suspect] = []
        by_design = known_by_design(suspects)
        for suspect in suspects:
            claim = self._claims.pop(suspect.item, None)
            if claim is not None and suspect.acquisition.owner.kind != "nobody":
                suspect.acquisition = _owned_by(suspect.acquisition, claim)
            owner = suspect.acquisition.owner
            if owner.kind == "nobody" or suspect.item in by_design:
                self._know(suspect)
            elif owner.kind == "test":
                searched.append(suspect)
            elif watch.ledger.is_alive(owner.serial):
                self._defer(suspect, frozenset({owner.serial}), None, own.rules)
            else:
                now.append(Deferred(suspect, frozenset(), None, own.rules, self._failed))
        awaited = self.scopes.awaited(searched, self._requested.__contains__)
        for suspect in searched:
            awaits = awaited[suspect.item]
            if awaits:
                self._defer(suspect, awaits, self._widest(awaits), own.rules)
            else:
                now.append(Deferred(suspect, frozenset(), None, own.rules, self._failed))
        for suspect in suspects:
            suspect.live = None
        return now

    def _know(self, suspect: Suspect) -> None:
        kind, key = suspect.item
        self._known[kind] = self._known.get(kind, frozenset()) | {key}

    def _defer(
        self, suspect: Suspect, awaits: frozenset[int], awaited: Owner | None, rules: tuple[AllowRule, ...]
    ) -> None:
        suspect.live = None
        if suspect.record is not None:
            suspect.record.pinned = True
        self.deferred[suspect.item] = Deferred(suspect, awaits, awaited, rules, self._failed)

    def _widest(self, awaits: frozenset[int]) -> Owner | None:
        owners = [owner for serial in awaits if (owner := self.scopes.owner(serial)) is not None]
        order = ("class", "module", "package", "session")
        return max(owners, key=lambda owner: order.index(owner.scope) if owner.scope in order else 0, default=None)

    def _due(self, ended: frozenset[int]) -> list[Deferred]:
        """Put-off verdicts whose last scope has ended; a wider one that reaches the resource is waited for too."""
        if not ended:
            return []
        due: list[Deferred] = []
        for item, deferred in list(self.deferred.items()):
            if any(self.watch.ledger.is_alive(serial) for serial in deferred.awaits):
                continue
            del self.deferred[item]
            due.append(deferred)
        asked = [deferred for deferred in due if deferred.suspect.acquisition.owner.kind == "test"]
        if asked:
            items = {deferred.suspect.item: deferred for deferred in asked}
            seen = self.watch.examine(items, asked[0].suspect.acquisition)
            for suspect in seen:
                items[suspect.item].suspect.live = suspect.live
            again = self.scopes.awaited(
                [deferred.suspect for deferred in asked], self._requested.__contains__, among=frozenset()
            )
            for deferred in asked:
                awaits = again[deferred.suspect.item]
                if awaits:
                    due.remove(deferred)
                    self._defer(deferred.suspect, awaits, self._widest(awaits), deferred.rules)
                deferred.suspect.live = None
        return due

    def _settled(self, due: list[Deferred], grace_seconds: float) -> list[Judged]:
        """Look again with growing waits; what is still there is leaked, what went after a wait is late."""
        if not due:
            return []
        watch = self.watch
        wanted = {deferred.suspect.item: deferred for deferred in due}

        def look() -> set[Item]:
            _real.gc_collect(1)
            return set(wanted) - watch.gone(wanted)

        # what nothing but this thread could release needs no patience
        grace = grace_seconds if watch.may_still_change(self._blamed_threads) else 0.0
        settled = settle(look, grace, sleep=_real.sleep, clock=_real.monotonic)
        cases = []
        for key, deferred in wanted.items():
            suspect = deferred.suspect
            if key in settled.left:
                verdict: Verdict = "leaked"
                if key[0] == "thread":
                    self._blamed_threads.add(key)
            elif settled.looks > 1 and self.settings.late:
                verdict = "late"
            else:
                continue
            case = Case(
                resource=watch.describe_now(suspect) if verdict == "leaked" else suspect.resource,
                acquisition=suspect.acquisition, verdict=verdict,
                awaited=deferred.awaited, looks=settled.looks, seconds=settled.seconds, mark=suspect.mark,
            )  # fmt: skip
            cases.append((case, deferred.rules, deferred.failed))
        return cases

    def _unclosed(self, own: options.ItemSettings) -> list[Judged]:
        watch = self.watch
        probe = watch.unclosed
        if "unclosed" not in watch.roster.kinds:
            return []
        cases = []
        matcher = None
        for key in sorted(probe.keys(), key=repr):
            matcher = matcher or watch.matcher()
            with watch.recorder.silence():
                suspect = watch.examine_unclosed(key, matcher)
            probe.forget(key)
            if suspect.acquisition.owner.kind == "nobody" or (suspect.record is not None and suspect.record.blamed):
                continue
            if suspect.record is not None:
                suspect.record.blamed = True
            case = Case(
                resource=suspect.resource,
                acquisition=suspect.acquisition,
                verdict="unclosed",
                mark=suspect.mark,
            )
            cases.append((case, own.rules, self._failed))
        return cases

    def _remember(self, judged: list[Deferred]) -> None:
        """Blamed once: whatever is there now is known."""
        watch = self.watch
        for deferred in judged:
            suspect = deferred.suspect
            self._know(suspect)
            if suspect.record is not None:
                suspect.record.pinned, suspect.record.blamed = False, True
            if suspect.item[0] == "object":
                watch.objects.forget(suspect.item[1])
        waiting = {key for kind, key in self.deferred if kind == "temp"}
        watch.recorder.created = {path: record for path, record in watch.recorder.created.items() if path in waiting}
        watch.recorder.forget()

    def _failed_to_judge(self, item: pytest.Item, error: Exception) -> None:
        place = traceback.extract_tb(error.__traceback__)[-1]
        self.errors.append(
            f"{item.nodeid} could not be judged: {type(error).__name__}: {error} "
            f"({os.path.basename(place.filename)}:{place.lineno})"
        )
        self._fresh = False

    def _close_nodes(self, item: pytest.Item) -> None:
        for scope in self.scopes.nodes():
            if not internals.is_set_up(item.session, scope.node):
                self.watch.ledger.closed(scope.owner)
                self.scopes.drop(scope.owner.serial)

    # -- findings onto the report --------------------------------------------

    def _publish(
        self,
        item: pytest.Item,
        report: pytest.TestReport,
        cases: list[Judged],
        own: options.ItemSettings,
    ) -> None:
        if not cases and not self.unsent:
            return
        self.wake()
        here: list[Finding] = []
        earlier: dict[str, list[Finding]] = {}
        for test, findings in self.unsent:
            earlier.setdefault(test, []).extend(findings)
        for finding in self._findings(cases, own):
            if finding.owner.kind == "test" and finding.test not in ("", item.nodeid):
                earlier.setdefault(finding.test, []).append(finding)
            else:
                here.append(finding)
        self.locations[item.nodeid] = item.location
        setattr(
            report,
            REPORT_ATTRIBUTE,
            {
                "findings": [to_dict(finding) for finding in here],
                "failed_in_setup": self._failed_in_setup,
                "earlier": [
                    {
                        "test": test,
                        "location": list(self.locations.get(test, (test.partition("::")[0], None, test))),
                        "findings": [to_dict(finding) for finding in findings],
                    }
                    for test, findings in earlier.items()
                ],
            },
        )
        self.unsent = [(item.nodeid, here), *earlier.items()]
        for finding in here:
            self.config.hook.pytest_leakguard_leak(finding=to_dict(finding))
        for findings in earlier.values():
            for finding in findings:
                self.config.hook.pytest_leakguard_leak(finding=to_dict(finding))

    def _findings(self, cases: list[Judged], own: options.ItemSettings) -> list[Finding]:
        kept = fold([case for case, *_ in cases], is_part)
        found: list[Finding] = []
        groups: dict[tuple[tuple[AllowRule, ...], bool], list[Case]] = {}
        for case, rules, failed in cases:
            if case in kept and case.resource.kind in own.kinds:
                groups.setdefault((rules, failed), []).append(case)
        for (rules, failed), group in groups.items():
            normal: Disposition = "note" if failed else "warned" if self.settings.action == "warn" else "fails"
            found += judge(group, [*rules, *self.rules], normal=normal, used=self.used_rules.add)
        return found

    def sent(self) -> None:
        """The teardown report has been logged, and with it what was attached."""
        self.unsent = []

    def finish(self, session: pytest.Session) -> list[tuple[str, list[Finding]]]:
        """After the last teardown: put-off verdicts that no later test could bring, and unsent ones."""
        if not self.watch.is_own_process():
            return []
        for serial in [owner.serial for owner in self.watch.ledger.alive()]:
            owner = self.scopes.owner(serial)
            if owner is not None:
                self.watch.ledger.closed(owner)
            self.scopes.drop(serial)
        left = dict(self.unsent)
        self.unsent = []
        if self._fresh and (self.deferred or self.watch.unclosed.mark()):
            with self.watch.collecting(None, lambda: None):
                _real.gc_collect()
                self._new_items()
                ended = self.watch.ledger.take_ended()
                due = self._due(ended | {0}) if self.deferred else []
                own = options.ItemSettings(kinds=self.kinds, grace_seconds=self.settings.grace_seconds)
                cases = self._settled(due, own.grace_seconds)
                cases += self._unclosed(own)
                self._remember(due)
            for finding in self._findings(cases, own):
                left.setdefault(finding.test, []).append(finding)
                self.config.hook.pytest_leakguard_leak(finding=to_dict(finding))
        return [(test, findings) for test, findings in left.items() if findings]


def _file_of(key: Key) -> Key:
    # device and inode of a regular file; pipes, devices and the like are no one's heir
    if isinstance(key, tuple) and len(key) == 4 and stat.S_ISREG(key[3]):
        return key[1:3]
    return None


def _owned_by(acquisition: Acquisition, owner: Owner) -> Acquisition:
    return Acquisition(
        owner=owner, test=acquisition.test, phase=acquisition.phase or "setup", origin=acquisition.origin
    )


def _place_of(fixturedef: Any, root: str) -> str:
    from pytest_leakguard.origins.frames import shorten

    code = getattr(getattr(fixturedef.func, "__wrapped__", fixturedef.func), "__code__", None)
    return f"{shorten(code.co_filename, root)}:{code.co_firstlineno}" if code is not None else ""
