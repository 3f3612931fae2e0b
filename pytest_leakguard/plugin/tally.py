"""What a process counted, and the numbers of all processes together."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from typing import Any

from pytest_leakguard.core.allow import AllowRule
from pytest_leakguard.origins import hook
from pytest_leakguard.plugin.fault_totals import merged, sites
from pytest_leakguard.plugin.guard import Guard
from pytest_leakguard.report import cleanup_lines

CLEANUP_NAME = "leakguard-cleanup"


class Tally:
    """What a process counted; plain data, so that a worker's can be added to the controller's."""

    def __init__(self, guard: Guard) -> None:
        self._guard = guard
        self._merged: list[dict[str, Any]] = []
        self.tests_of_crashed = 0
        """Tests that came to their end in workers which could not send their numbers any more."""

    def own(self) -> dict[str, Any]:
        """This process's numbers."""
        guard, statistics = self._guard, self._guard.statistics
        used = _named(guard.delivery.used_rules)
        ledger = guard.config.pluginmanager.get_plugin(CLEANUP_NAME)
        return {
            "tests": statistics.tests,
            "peak": statistics.peak,
            "peak_test": statistics.peak_test,
            "seconds": statistics.seconds,
            "errors": [
                *guard.watch.roster.errors,
                *hook.failures(),
                *guard.errors,
                *guard.delivery.errors,
                *guard.holding.errors,
            ],
            "blind": dict(guard.blind),
            "untracked": guard.watch.instances.classes.unfound(),
            "tracked": guard.watch.instances.classes.found(),
            "used": sorted(used),
            "asked": sorted(_named((*guard.marker_rules, *guard.ini_rules))),
            "shared": sorted(_named(guard.rules) - _named(guard.ini_rules)),
            "faults": guard.sweeper.totals.data() if guard.sweeper is not None else {},
            "cleanup": ledger.data() if ledger is not None else [],
            "explained": guard.explained,
            "left": guard.remains.data(),
            "timelines": guard.sampler.data() if guard.sampler is not None else [],
        }

    def add(self, other: dict[str, Any]) -> None:
        """Count a worker's numbers too."""
        self._merged.append(other)

    def total(self) -> dict[str, Any]:
        """Everything together: sums, and the highest peak."""
        parts = [self.own(), *self._merged]
        highest = max(parts, key=lambda part: int(part["peak"]))
        used = {tuple(rule) for part in parts for rule in part["used"]}
        asked = {tuple(rule) for part in parts for rule in part["asked"]}
        shared = {tuple(rule) for part in parts for rule in part["shared"]}
        tracked = {name for part in parts for name in part["tracked"]}
        untracked = {
            f"nothing is watched for {name}: {why}": None
            for part in self._merged or parts  # a controller imports nothing of what its workers test
            for name, why in part["untracked"].items() if name not in tracked
        }  # fmt: skip
        return {
            "tests": sum(part["tests"] for part in parts) + self.tests_of_crashed,
            "peak": highest["peak"],
            "peak_test": highest["peak_test"],
            "seconds": sum(part["seconds"] for part in parts),
            "errors": list(dict.fromkeys([*(error for part in parts for error in part["errors"]), *untracked])),
            "blind": {kind: why for part in parts for kind, why in part["blind"].items()},
            "unused": sorted(asked - used),
            "idle": sorted(shared - used),
            "faults": merged([part["faults"] for part in parts if part["faults"]]),
            "fault_sites": sites([part["faults"] for part in parts]),
            "cleanup": cleanup_lines.merged([part["cleanup"] for part in parts]),
            "left": {
                "counts": dict(sum((Counter(part["left"]["counts"]) for part in parts), Counter())),
                "found": [one for part in parts for one in part["left"]["found"]],
            },
            "explained": {test: steps for part in parts for test, steps in part["explained"].items()},
            "timelines": [timeline for part in parts for timeline in part["timelines"]],
        }


def _named(rules: Iterable[AllowRule]) -> set[tuple[str, str]]:
    """Rules by what they say and where they stand, as plain data."""
    return {(rule.text, rule.source) for rule in rules}
