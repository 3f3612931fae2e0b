"""One run of a test for the fault engine: pytest's own phases, and nobody is told."""

from __future__ import annotations

import contextvars
import warnings
from collections.abc import Callable, Sequence
from copy import copy
from types import FrameType

import pytest

from pytest_leakguard.core.ledger import Context
from pytest_leakguard.core.model import Acquisition, Finding, Origin, Owner
from pytest_leakguard.core.verdict import Case, fold, is_part, judge
from pytest_leakguard.faults.observe import Observation, listening, observed
from pytest_leakguard.faults.oracles import Run
from pytest_leakguard.faults.witness import HeldThen
from pytest_leakguard.held_then import held_then
from pytest_leakguard.plugin import internals
from pytest_leakguard.plugin.fault_hands import is_in_hands
from pytest_leakguard.plugin.guard import Guard
from pytest_leakguard.plugin.judged import Test
from pytest_leakguard.plugin.pools import RunningPool, running_pools
from pytest_leakguard.suspects import Item, Suspect

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
        self._own = guard.settings_of(item)
        self._pools: list[RunningPool] = []
        self._context = contextvars.copy_context()
        self.next = copy(item)
        """Not the item itself, so that its own fixtures are torn down, and only those."""

    def run(self, limit_seconds: float) -> Run:
        """See `Subject`. What a trial leaves in context variables is for later trials to find, not for later tests."""
        return self._context.run(self._run, limit_seconds)

    def held(self, now: Sequence[FrameType]) -> list[HeldThen]:
        """The resources that the run under way has acquired and not released yet.

        Args:
            now: the frames of the moment, innermost first.
        """
        guard, item = self._guard, self._item
        watch = guard.watch
        owner = Owner(kind="test", scope="function", name=item.nodeid)
        otherwise = Acquisition(owner=owner, test=item.nodeid, phase=None, origin=Origin())
        kinds = self._own.kinds
        with watch.recorder.silence():
            watch.recorder.resolve()
            known = watch.items(guard.judge.known)
            new = guard.judge.everything() - known
            new = {item for item in new if item[0] in kinds and item[0] != "unclosed" and not _is_standard(item)}
            return held_then(watch.sketch(new, otherwise), lambda suspect: self._is_in_hands(suspect, now))

    def _is_in_hands(self, suspect: Suspect, now: Sequence[FrameType]) -> bool:
        return suspect.record is not None and is_in_hands(suspect.record.stack, now, self._is_target)

    def _run(self, limit_seconds: float) -> Run:
        item = self._item
        sections = internals.report_sections(item)
        kept = len(sections), len(item.user_properties)
        witness = self._guard.watch.tasks.witness
        witness.waits = False  # there is no next test that could tell what this run has left
        try:
            # the item's own warning filters are on here; what it warns of was told by its real run
            with warnings.catch_warnings(record=True):
                self._guard.begin_again(item)
                with observed(self._is_target, limit_seconds) as seen:
                    self._phases(seen)
                pools, self._pools = self._pools, []
                # what the error held dies only now, and may have something to say
                with listening(seen):
                    left = self._judge()
                lost = [pool.case() for pool in pools if pool.is_lost]
                return seen.run((*self._told(lost), *self._told(left)))
        finally:
            witness.waits = True
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
            begun = error is None
            if begun:
                ledger.phase = "call"
                error = self._phase(lambda: hook.pytest_runtest_call(item=item))
                internals.note_outcome(item, "call", error is None)
            ledger.phase = "teardown"
            rest = internals.node_finalizers(item)
            last = self._phase(lambda: hook.pytest_runtest_teardown(item=item, nextitem=self.next))
            while rest:
                # an interrupt in one ends pytest's loop over them, and a fixture that is not finished is used again
                last = self._phase(rest.pop()) or last
            # while the error still holds what the code has let go of
            self._pools = running_pools(self._guard.watch, item.nodeid, begun=begun)
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
        own = self._own
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
        with watch.collecting(lambda: Context(owner, item.nodeid, None), lambda: None):
            watch.young.collect()
            if guard.judge.needs_to_judge(watch.table.count()):
                judged = guard.judge.judge(test)
            else:
                judged = []
                guard.judge.tidy()
        guard.settled()
        return [one.case for one in judged if one.test.name == item.nodeid]

    def _told(self, cases: list[Case]) -> list[Finding]:
        if not cases:
            return []
        guard, own = self._guard, self._own
        watched = [case for case in cases if case.resource.kind in own.kinds]
        rules = [*own.rules, *guard.rules]
        found = judge(fold(watched, is_part), rules, normal="fails", used=guard.delivery.used_rules.add)
        return [finding for finding in found if finding.disposition == "fails"]


def _is_standard(item: Item) -> bool:
    """Whether it is the input, output or error stream: pytest puts its own files there for each phase."""
    kind, key = item
    return kind == "fd" and isinstance(key, tuple) and key[0] in (0, 1, 2)
