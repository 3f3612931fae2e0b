"""Runs a test again and again, and tells the types of which each run leaves more.

The repetitions come after the test's own run and before its teardown report is
logged, which carries the verdict. They are reported to nobody. Wider fixtures
stay up until the last one: each run but the last is told that a copy of the
test is the next one.
"""

from __future__ import annotations

import copy
import functools
from collections.abc import Callable, Generator
from typing import TYPE_CHECKING, Any

import pytest

from pytest_leakguard import _real
from pytest_leakguard.core import growth
from pytest_leakguard.core.model import Acquisition, Origin, Owner, Resource
from pytest_leakguard.core.verdict import Case
from pytest_leakguard.origins.holders import class_name
from pytest_leakguard.plugin import internals
from pytest_leakguard.plugin.delivery import REPORT_ATTRIBUTE
from pytest_leakguard.plugin.judged import Judged
from pytest_leakguard.young import may_freeze

if TYPE_CHECKING:
    from pytest_leakguard.plugin.guard import Guard

_UNKNOWN = "counted by type; name the class in leakguard_track and the line that makes it is known"


def run_again(item: pytest.Item, nextitem: pytest.Item | None) -> list[pytest.TestReport]:
    """One more run of a test with fresh function fixtures, reported to nobody.

    Args:
        nextitem: what pytest is told to come next; fixtures that it shares stay up.
    Returns: the reports of its phases.
    """
    sections, properties = len(item._report_sections), len(item.user_properties)
    try:
        return internals.run_test_protocol(item, nextitem)
    finally:
        del item._report_sections[sections:], item.user_properties[properties:]


def stand_in(item: pytest.Item, nextitem: pytest.Item | None, is_last: Callable[[], bool]) -> pytest.Item:
    """A copy of a test to be named as the next one; for the last run it leads to the real next one.

    Args:
        is_last: asked in the teardown, when it is known how the run went.
    """
    again = copy.copy(item)
    chain = again.listchain()

    def listchain() -> list[Any]:
        if not is_last():
            return chain
        return nextitem.listchain() if nextitem is not None else []

    again.listchain = listchain  # type: ignore[method-assign]
    return again


class HeapCount:
    """Counts what the runs made and left, by type; what was there before is out of sight.

    Objects that are frozen are not listed by the collector, so a count costs what the
    runs made, not what the heap holds. Where the user has frozen objects, they are left
    alone and the rest of the heap is counted.
    """

    def __init__(self) -> None:
        self.counts: dict[str, tuple[int, ...]] = {}
        self.runs = 0
        self.visited = 0
        self._freezes = may_freeze()

    def __enter__(self) -> None:
        _real.gc_collect(1)
        if self._freezes:
            _real.gc_freeze()

    def __exit__(self, *error: object) -> None:
        if self._freezes:
            _real.gc_unfreeze()

    def count(self) -> None:
        """One run is over."""
        _real.gc_collect()
        kinds: dict[int, list[Any]] = {}
        objects = _real.gc_get_objects()
        of_pytest = _of_pytest(objects)
        for obj in objects:
            if id(obj) not in of_pytest:
                kinds.setdefault(id(type(obj)), [type(obj), 0])[1] += 1
        self.visited += len(objects)
        del objects, obj, of_pytest
        now: dict[str, int] = {}
        for kind, number in kinds.values():
            now[class_name(kind)] = now.get(class_name(kind), 0) + number
        # tuples of numbers are no containers to the collector: what is kept here does not grow itself
        for name in {*self.counts, *now}:
            self.counts[name] = (*self.counts.get(name, (0,) * self.runs), now.get(name, 0))
        self.runs += 1


def _of_pytest(objects: list[Any]) -> set[int]:
    """The ids of what pytest itself made: its own objects, and the containers that only they lead to.

    A fixture keeps a finalizer, and with it a request, for each use by a narrower fixture.
    """
    rest = {id(obj): obj for obj in objects}
    found: set[int] = set()
    level = [obj for obj in objects if _is_pytests(obj)]
    while level:
        found.update(map(id, level))
        below = _real.gc_get_referents(*level)
        level = [
            obj
            for identity, obj in {id(obj): obj for obj in below}.items()
            if identity in rest and identity not in found and type(obj).__module__ in ("builtins", "functools")
        ]
    return found


def _is_pytests(obj: Any) -> bool:
    if type(obj) is functools.partial:
        obj = getattr(obj.func, "__self__", None)
    return class_name(type(obj)).partition(".")[0] in growth.MACHINERY


class Repeater:
    """Takes the protocol of the tests that are to be repeated."""

    def __init__(self, guard: Guard, counts: dict[str, int], everywhere: int) -> None:
        self._guard = guard
        self._counts = counts
        self._everywhere = everywhere
        self._passed = True
        self._left = self._counted = 0
        self._is_last = True

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtest_protocol(self, item: pytest.Item, nextitem: pytest.Item | None) -> bool | None:
        repeat = self._counts.get(item.nodeid, self._everywhere)
        if not repeat or self._guard.watch.ledger.test != item.nodeid or item.config.getoption("setuponly", False):
            return None
        if "object" not in self._guard.settings_of(item).kinds:
            return None
        item.ihook.pytest_runtest_logstart(nodeid=item.nodeid, location=item.location)
        self._run(item, nextitem, repeat)
        item.ihook.pytest_runtest_logfinish(nodeid=item.nodeid, location=item.location)
        return True

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_makereport(self) -> Generator[None, pytest.TestReport, pytest.TestReport]:
        report = yield
        self._passed &= report.outcome == "passed" and not hasattr(report, "wasxfail")
        return report

    def _run(self, item: pytest.Item, nextitem: pytest.Item | None, repeat: int) -> None:
        again = stand_in(item, nextitem, self._ask_whether_last)
        # one more to warm up, and one for the wider fixtures to go with, if they do
        shares_all = nextitem is not None and nextitem.parent is item.parent
        self._passed, self._counted = True, repeat + 1
        self._left = self._counted + (not shares_all)
        *reports, teardown = run_again(item, again)
        for report in reports:
            item.ihook.pytest_runtest_logreport(report=report)
        del reports
        if self._passed and not self._is_last:
            self._repeat(item, again, teardown)
        item.ihook.pytest_runtest_logreport(report=teardown)

    def _ask_whether_last(self) -> bool:
        self._is_last = not self._passed or not self._left
        return self._is_last

    def _repeat(self, item: pytest.Item, again: pytest.Item, teardown: pytest.TestReport) -> None:
        guard, heap = self._guard, HeapCount()
        failed: pytest.TestReport | None = None
        guard.pause()
        try:
            with heap:
                while self._left and self._passed:
                    self._left -= 1
                    last = run_again(item, again)
                    failed = next((report for report in last if report.outcome != "passed"), None)
                    del last
                    if heap.runs < self._counted:
                        heap.count()
        finally:
            guard.resume(item)
        if failed is None:
            self._tell(item, teardown, heap.counts)
        elif failed.when == "teardown":
            # the wider fixtures went with it: what they have to say must not be lost
            teardown.outcome, teardown.longrepr = failed.outcome, failed.longrepr
            teardown.sections += [("leakguard", "this came at the end of the last repetition of the test")]
        else:
            guard.errors.append(
                f"{item.nodeid} can't be repeated: repetition {heap.runs} ended as {failed.outcome} in its "
                f"{failed.when} phase, so its growth is not known"
            )

    def _tell(self, item: pytest.Item, teardown: pytest.TestReport, counts: growth.Counts) -> None:
        told = teardown.__dict__.get(REPORT_ATTRIBUTE, {"findings": []})["findings"]
        subjects = [finding["subject"] for finding in told]
        test = self._guard.test_of(item)
        owner = Owner(kind="test", scope="function", name=item.nodeid)
        acquisition = Acquisition(owner=owner, test=item.nodeid, phase=None, origin=Origin(reason=_UNKNOWN))
        grown = growth.growing(counts, subjects)
        if not grown:
            return
        # one finding: what an object is made of grows with it, and nobody can tell here which is which
        case = Case(
            resource=Resource(
                kind="object", key="growth", what=growth.in_words(grown), subject=grown[0].name,
                fix="find what keeps them: a cache without a bound, a registry, a list of callbacks",
            ),
            acquisition=acquisition, verdict="growth",
            until=f"end of each of {len(grown[0].added)} repetitions; one before them was left out as warm-up",
        )  # fmt: skip
        self._guard.tell(item, teardown, [Judged(case, test)])
