"""What the measured values say: median, 95 % interval, verdict. Pure."""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

Verdict = Literal["pass", "fail", "void"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Estimate:
    """A median and an interval that holds the true one in 95 of 100 cases; None if too few values."""

    median: float
    low: float | None
    high: float | None


def low_rank(count: int, confidence: float = 0.95) -> int | None:
    """How many values from each end the interval of the median begins, counted from 1.

    Args:
        count: how many values there are.
        confidence: the least coverage, 0 to 1.
    Returns: None when even the whole range of that few values does not reach the confidence.
    Source: the sign test. A value is below the true median with probability 1/2, however they are spread.
    """
    rank, tail = 0, 0.0
    while True:
        tail += math.comb(count, rank) / 2**count
        if 1 - 2 * tail < confidence:
            return rank or None
        rank += 1


def estimate(values: Sequence[float]) -> Estimate:
    """Median of the values and its interval from the sign test."""
    ordered = sorted(values)
    median = statistics.median(ordered)
    rank = low_rank(len(ordered))
    if rank is None:
        return Estimate(median=median, low=None, high=None)
    return Estimate(median=median, low=ordered[rank - 1], high=ordered[-rank])


def is_too_wide(found: Estimate, margin: float) -> bool:
    """Can the interval not tell pass from fail? Unknown, so False, as long as there is no interval."""
    return found.low is not None and found.high is not None and found.high - found.low > margin


def judge(found: Estimate, *, budget: float, margin: float) -> tuple[Verdict, str]:
    """Hold a measurement against its budget.

    Args:
        found: what was measured.
        budget: the most that the median may be.
        margin: the room that the budget leaves; a wider interval says nothing.
    Returns: the verdict, and the reason when it is void.
    """
    if found.low is None:
        return "void", "too few pairs for a 95 % interval, which takes 6"
    if is_too_wide(found, margin):
        return "void", f"the interval is wider than the margin, {margin:.3g}: a quieter machine or more pairs"
    return ("pass" if found.median <= budget else "fail"), ""
