"""Fault sweeps point by point: what each trial came to, as plain data."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from pytest_leakguard.faults.model import SweepResult

MOST_POINTS = 5000


@dataclass(slots=True)
class SweepRecord:
    """The sweeps of one process.

    Attributes:
        left_out: points beyond the most that are kept.
    """

    sweeps: list[dict[str, Any]] = field(default_factory=list)
    left_out: int = 0
    _kept: int = 0

    def add(self, test: str, result: SweepResult) -> None:
        """Keep one sweep, point by point."""
        trials: dict[str, list[list[Any]]] = {}
        for trial in result.trials:
            faults = sorted({finding.fault for finding in trial.findings})
            trials.setdefault(trial.point.id, []).append([trial.mode, trial.outcome, faults])
        room = max(0, MOST_POINTS - self._kept)
        kept = result.points[:room]
        self._kept += len(kept)
        self.left_out += len(result.points) - len(kept)
        self.sweeps.append(
            {
                "test": test,
                "points": [{"id": point.id, "line": point.line, "trials": trials.get(point.id, [])} for point in kept],
                "stopped": result.stopped,
            }
        )

    def data(self) -> dict[str, Any]:
        """As it is sent and written."""
        return {"sweeps": self.sweeps, "points_left_out": self.left_out}


def merged(parts: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """The sweeps of several processes, one after the other."""
    return {
        "sweeps": [sweep for part in parts for sweep in part["sweeps"]],
        "points_left_out": sum(part["points_left_out"] for part in parts),
    }
