"""What all sweeps of a run came to; plain data, so that a worker's can be added to the controller's."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from pytest_leakguard.faults.model import SweepResult, site_of
from pytest_leakguard.plugin import fault_points
from pytest_leakguard.plugin.fault_points import SweepRecord


@dataclass(slots=True)
class SweepTotals:
    """Counts of one process.

    Attributes:
        points: found, by family; skipped: trials left out, by reason; stopped: why a test's sweep ended early.
        tried: how many of the points; sites: their places.
    """

    seed: int
    tests: int = 0
    points: Counter[str] = field(default_factory=Counter)
    tried: int = 0
    trials: int = 0
    skipped: Counter[str] = field(default_factory=Counter)
    stopped: list[str] = field(default_factory=list)
    seconds: float = 0.0
    sites: set[str] = field(default_factory=set)
    record: SweepRecord = field(default_factory=SweepRecord)

    def add(self, test: str, result: SweepResult) -> None:
        """Count one sweep."""
        self.tests += 1
        self.points.update(point.family for point in result.points)
        self.tried += len({trial.point.id for trial in result.trials})
        self.trials += len(result.trials)
        self.skipped.update(dict(result.skipped))
        self.sites.update(site_of(trial.point) for trial in result.trials)
        self.seconds += result.seconds
        self.record.add(test, result)
        if result.stopped:
            self.stopped.append(f"{test}: {result.stopped}")

    def data(self) -> dict[str, Any]:
        """As it is sent and written."""
        return {
            "tests": self.tests,
            "points": dict(self.points),
            "tried": self.tried,
            "trials": self.trials,
            "skipped": dict(self.skipped),
            "stopped": list(self.stopped),
            "seconds": round(self.seconds, 6),
            "seeds": [self.seed],
            "sites": sorted(self.sites),
            **self.record.data(),
        }


def sites(parts: Sequence[dict[str, Any]]) -> set[str]:
    """The places that were tried in any of several."""
    return {site for part in parts for site in part.get("sites", ())}


def merged(parts: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """The sum of several; empty when nothing was swept."""
    if not parts:
        return {}
    points: Counter[str] = Counter()
    skipped: Counter[str] = Counter()
    for part in parts:
        points.update(part["points"])
        skipped.update(part["skipped"])
    return {
        "tests": sum(part["tests"] for part in parts),
        "points": dict(points),
        "tried": sum(part["tried"] for part in parts),
        "trials": sum(part["trials"] for part in parts),
        "skipped": dict(skipped),
        "stopped": [line for part in parts for line in part["stopped"]],
        "seconds": sum(part["seconds"] for part in parts),
        # a controller sweeps nothing, unless there is nobody else
        "seeds": sorted({seed for part in [one for one in parts if one["tests"]] or parts for seed in part["seeds"]}),
        **fault_points.merged(parts),
    }
