"""One run of a test for the fault engine: pytest's own phases, and nobody is told."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from copy import copy

import pytest

from pytest_leakguard.core.ledger import Context
from pytest_leakguard.core.model import Finding, Owner
from pytest_leakguard.core.verdict import Case, fold, is_part, judge
from pytest_leakguard.faults.observe import Observation, observed
from pytest_leakguard.faults.oracles import Run
from pytest_leakguard.plugin import internals
from pytest_leakguard.plugin.guard import Guard
from pytest_leakguard.plugin.judge import Test
from pytest_leakguard.plugin.pools import abandoned_pools

MOST_GRACE_SECONDS = 0.3
"""A sweep has many trials that leave the same thing behind, and each would wait the whole grace for it."""


class ItemSubject:
    """A test that passed, to be run again and again. A `Subject` of a sweep.

    The hooks of the three phases are called, so fixtures and other plugins do
    what they always do; no report is made. Function fixtures are fresh each
    time, wider ones stay.

    Args:
        is_target: which files are code under test.
    """

    def __init__(self, guard: Guard, item: pytest.Item, is_target: Callable[[str], bool]) -> None:
        self._guard = guard
        self._item = item
        self._is_target = is_target
        self._abandoned: list[Case] = []
        self.next = copy(item)
        """Not the item itself, so that its own fixtures are torn down, and only those."""

    def run(self, limit_seconds: float) -> Run:
        """See `Subject`."""
        item = self._item
        sections = internals.report_sections(item)
        kept = len(sections), len(item.user_properties)
        try:
            # the item's own warning filters are on here; what it warns of was told by its real run
            with warnings.catch_warnings(record=True):
                self._guard.begin_again(item)
                with observed(self._is_target, limit_seconds) as seen:
                    self._phases(seen)
                abandoned, self._abandoned = self._abandoned, []
                return seen.run((*self._told(abandoned), *self._told(self._judge())))
        finally:
            del sections[kept[0] :], item.user_properties[kept[1] :]
            internals.end_request(item)

    def _phases(self, seen: Observation) -> None:
        item, hook = self._item, self._item.ihook
        internals.renew_request(item)
        ledger = self._guard.watch.ledger
        error: BaseException | None = None
        try:
            error = self._phase(lambda: hook.pytest_runtest_setup(item=item))
            internals.note_outcome(item, "setup", error is None)
            if error is None:
                ledger.phase = "call"
                error = self._phase(lambda: hook.pytest_runtest_call(item=item))
                internals.note_outcome(item, "call", error is None)
            ledger.phase = "teardown"
            last = self._phase(lambda: hook.pytest_runtest_teardown(item=item, nextitem=self.next))
            # while the error still holds what the code has let go of
            self._abandoned = abandoned_pools(self._guard.watch, item.nodeid)
            for one in (error, last):
                if one is not None:
                    seen.note(one)
        finally:
            error = last = one = None  # a traceback keeps the frames, and all that their locals hold

    def _phase(self, run: Callable[[], object]) -> BaseException | None:
        """Run a phase; an error is given back, also an injected KeyboardInterrupt: the teardown has still to come."""
        try:
            run()
        except BaseException as error:
            return error
        return internals.take_stored_error(self._item)

    def _judge(self) -> list[Case]:
        """What this run left behind. Judged as a failed test: what a wider fixture may hold becomes a note later."""
        guard, item = self._guard, self._item
        watch = guard.watch
        own = guard.settings_of(item)
        test = Test(
            name=item.nodeid,
            kinds=own.kinds,
            grace_seconds=min(own.grace_seconds, MOST_GRACE_SECONDS),
            rules=own.rules,
            requested=frozenset(getattr(item, "fixturenames", ())),
            failed=True,
        )
        owner = Owner(kind="test", scope="function", name=item.nodeid)
        watch.recorder.resolve()
        internals.drop_references(item)
        with watch.collecting(Context(owner, item.nodeid, None), lambda: None):
            watch.young.collect()
            if guard.judge.needs_to_judge(watch.table.count()):
                judged = guard.judge.judge(test)
            else:
                judged = []
                guard.judge.tidy()
        guard.settled()
        return [one.case for one in judged if one.test.name == item.nodeid]

    def _told(self, cases: list[Case]) -> list[Finding]:
        guard = self._guard
        own = guard.settings_of(self._item)
        watched = [case for case in cases if case.resource.kind in own.kinds]
        rules = [*own.rules, *guard.rules]
        found = judge(fold(watched, is_part), rules, normal="fails", used=guard.delivery.used_rules.add)
        return [finding for finding in found if finding.disposition == "fails"]
