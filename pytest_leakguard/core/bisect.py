"""Which of the tests before it makes a test leak: halves of them are left out, as long as it still does."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

Answer = Literal["alone", "after one", "after several", "never", "unknown"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Condition:
    """What a test needs to leak.

    Attributes:
        answer: ``never``: not in any fresh process that was tried; ``unknown``: the runs were used up.
        after: the tests that have to run before it.
        runs: how many fresh processes were started.
    """

    answer: Answer
    after: tuple[str, ...] = ()
    runs: int = 0


class _OutOfRuns(Exception):
    pass


def condition_of(
    leaks_after: Callable[[Sequence[str]], bool], before: Sequence[str], *, runs_at_most: int
) -> Condition:
    """Find the shortest part of `before` that makes a test leak, a bounded number of runs long.

    Args:
        leaks_after: runs these tests and then the test in a fresh process; whether it leaked there.
        before: the tests that ran before it, in order.
    Returns: ``after several`` when no half of what is left is enough by itself.
    Raises: whatever leaks_after raises.
    """
    runs = 0

    def leaks(tests: Sequence[str]) -> bool:
        nonlocal runs
        if runs == runs_at_most:
            raise _OutOfRuns
        runs += 1
        return leaks_after(tests)

    needed = tuple(before)
    try:
        if leaks(()):
            return Condition(answer="alone", runs=runs)
        if not needed or not leaks(needed):
            return Condition(answer="never", runs=runs)
        while len(needed) > 1:
            middle = len(needed) // 2
            # what comes last before it is the likelier half
            half = next((half for half in (needed[middle:], needed[:middle]) if leaks(half)), None)
            if half is None:
                return Condition(answer="after several", after=needed, runs=runs)
            needed = half
    except _OutOfRuns:
        return Condition(answer="unknown", after=needed if runs > 1 else (), runs=runs)
    return Condition(answer="after one", after=needed, runs=runs)
