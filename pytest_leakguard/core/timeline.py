"""What the process held over a session: a row now and then, never more than a chart can show."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

COLUMNS = ("seconds", "tests", "descriptors", "threads", "children", "memory")
"""Of a row: since the start, tests over by then, what there was, and resident memory in bytes."""

Row = tuple[float, int, int, int, int, int]

MOST_ROWS = 600
MOST_MARKS = 2000
SHORTEST_SECONDS = 0.02
_DESCRIPTORS = COLUMNS.index("descriptors")


@dataclass(slots=True)
class Timeline:
    """Rows in the order of time. When there are too many, half of them go and the pauses between two double.

    Attributes:
        pause: seconds before the next row is wanted.
        marks: (seconds, test, leaks) where leaks were told.
        marks_left_out: those beyond the most that are kept.
    """

    rows: list[Row] = field(default_factory=list)
    marks: list[tuple[float, str, int]] = field(default_factory=list)
    marks_left_out: int = 0
    pause: float = SHORTEST_SECONDS

    def is_due(self, seconds: float) -> bool:
        """Whether enough time has gone by since the last row."""
        return not self.rows or seconds - self.rows[-1][0] >= self.pause

    def add(self, row: Row) -> None:
        """One more row."""
        self.rows.append(row)
        if len(self.rows) > MOST_ROWS:
            self.rows = _halved(self.rows)
            self.pause *= 2

    def mark(self, seconds: float, test: str, leaks: int) -> None:
        """Leaks of a test are told."""
        if len(self.marks) < MOST_MARKS:
            self.marks.append((seconds, test, leaks))
        else:
            self.marks_left_out += 1

    def data(self, worker: str) -> dict[str, Any]:
        """As it is sent and written.

        Args:
            worker: its id in a distributed run, else empty.
        """
        return {
            "worker": worker,
            "columns": list(COLUMNS),
            "rows": [[round(row[0], 4), *row[1:]] for row in self.rows],
            "marks": [[round(seconds, 4), test, leaks] for seconds, test, leaks in self.marks],
            "marks_left_out": self.marks_left_out,
        }


def _halved(rows: Sequence[Row]) -> list[Row]:
    """Of each two rows the one with more descriptors; the first and the last row stay."""
    inner = rows[1:-1]
    pairs = [inner[index : index + 2] for index in range(0, len(inner), 2)]
    return [rows[0], *(max(pair, key=lambda row: row[_DESCRIPTORS]) for pair in pairs), rows[-1]]
