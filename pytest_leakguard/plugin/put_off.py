"""What a worker of pytest-xdist has put off goes to the controller with the reports, for the case that it crashes.

A verdict that waits for the end of a wider fixture exists nowhere but in the worker. So each teardown report
carries what was put off since the last one and what was settled since: nothing at all in most tests. The controller
keeps the open ones of each worker, and tells them when there will be no verdict any more.
"""

from __future__ import annotations

import pytest

from pytest_leakguard.plugin.judge import Judge
from pytest_leakguard.plugin.judged import Deferred
from pytest_leakguard.suspects import Item

ATTRIBUTE = "leakguard_put_off"
_TOLD_AT_MOST = 20


class Sending:
    """In a worker: knows what the controller has been told."""

    def __init__(self, judge: Judge) -> None:
        self._judge = judge
        self._numbers: dict[Item, int] = {}
        self._last = 0

    def put_on(self, report: pytest.TestReport) -> None:
        """Attach what has changed, if anything has."""
        deferred = self._judge.deferred
        if deferred.keys() == self._numbers.keys():
            return
        settled = [self._numbers.pop(item) for item in self._numbers.keys() - deferred.keys()]
        opened = {}
        for item in deferred.keys() - self._numbers.keys():
            self._last += 1
            self._numbers[item] = self._last
            # what a fixture acquired for itself is no suspect while that fixture is up
            if deferred[item].suspect.acquisition.owner.kind == "test":
                opened[str(self._last)] = in_words(deferred[item])
        setattr(report, ATTRIBUTE, {"opened": opened, "settled": [str(number) for number in settled]})


def in_words(deferred: Deferred) -> str:
    """What it is, who acquired it where, and what it waits for."""
    acquisition, awaited = deferred.suspect.acquisition, deferred.awaited
    origin = acquisition.origin
    where = f"{origin.file}:{origin.line} in {origin.function}" if origin.file else "at a place that is not known"
    what = f"{deferred.suspect.resource.kind}: {deferred.suspect.resource.what}"
    waits = f", put off until {awaited.kind} {awaited.name!r} ({awaited.scope} scope) is over" if awaited else ""
    return f"{what}; acquired {where}, by {acquisition.test}{waits}"


class Open:
    """In the controller: what each worker has put off so far, and how many tests it has ended."""

    def __init__(self) -> None:
        self._of_worker: dict[str, dict[str, str]] = {}
        self._tests: dict[str, int] = {}

    def take(self, worker: str, report: pytest.TestReport) -> None:
        """Note what a report carries."""
        if report.when != "teardown":
            return
        self._tests[worker] = self._tests.get(worker, 0) + 1
        data = report.__dict__.get(ATTRIBUTE)
        if isinstance(data, dict):
            waiting = self._of_worker.setdefault(worker, {})
            waiting.update(data["opened"])
            for number in data["settled"]:
                waiting.pop(number, None)

    def tests(self, worker: str) -> int:
        """How many tests of a worker came to their end."""
        return self._tests.get(worker, 0)

    def lines(self, worker: str) -> list[str]:
        """For a worker that crashed: that it did, and each thing on which there will be no verdict."""
        waiting = list(self._of_worker.pop(worker, {}).values())
        after = f"; {len(waiting):,} verdicts were put off" if len(waiting) != 1 else "; 1 verdict was put off"
        lines = [
            f"worker {worker} crashed: what its tests had left before is told; nobody looked after the last one"
            + (after if waiting else "")
        ]
        lines += [f"worker {worker} crashed before a verdict on {words}" for words in waiting[:_TOLD_AT_MOST]]
        if len(waiting) > _TOLD_AT_MOST:
            lines.append(f"worker {worker} crashed before {len(waiting) - _TOLD_AT_MOST:,} more verdicts")
        return lines
