"""Look again until nothing is left or patience runs out. The clock is passed in."""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Generator, Iterator
from dataclasses import dataclass
from typing import Any, Generic, TypeVar, cast

T = TypeVar("T")

FIRST_WAIT_SECONDS = 0.001
LONGEST_WAIT_SECONDS = 0.1


@dataclass(frozen=True, slots=True, kw_only=True)
class Settled(Generic[T]):
    """What the last look saw, after how many looks and how many seconds."""

    left: Collection[T]
    looks: int
    seconds: float


def waits(grace_seconds: float) -> Iterator[float]:
    """Growing waits: 1 ms, doubled up to 100 ms, about `grace_seconds` in sum.

    On a loaded machine a sleep takes longer than asked; counting tries and not
    only time keeps the number of looks the same there.
    Source: the retry loop of goleak (options.go) and its issue 52.
    """
    spent, wait = 0.0, FIRST_WAIT_SECONDS
    while spent < grace_seconds:
        wait = min(wait, grace_seconds - spent)
        yield wait
        spent += wait
        wait = min(wait * 2, LONGEST_WAIT_SECONDS)


def settling(
    look: Callable[[], Collection[T]],
    grace_seconds: float,
    *,
    clock: Callable[[], float],
    collect: Callable[[], object] = lambda: None,
) -> Generator[float, None, Settled[T]]:
    """Look until nothing is left over or the waits run out; whoever runs it does the waiting.

    Args:
        look: returns what is still there, possibly nothing.
        grace_seconds: 0 means one look and no wait.
        clock: of the caller; tests pass a fake.
        collect: called before the look after the last wait: what another thread let go
            meanwhile may be in a cycle that only a full collection frees.
    Yields: seconds to wait before the next look.
    Raises: whatever look raises.
    """
    start = clock()
    left = look()
    looks = 1
    pending = list(waits(grace_seconds)) if left else []
    while left and pending:
        yield pending.pop(0)
        if not pending:
            collect()
        left = look()
        looks += 1
    return Settled(left=left, looks=looks, seconds=clock() - start)


def settle(
    look: Callable[[], Collection[T]],
    grace_seconds: float,
    *,
    sleep: Callable[[float], object],
    clock: Callable[[], float],
    collect: Callable[[], object] = lambda: None,
) -> Settled[T]:
    """`settling`, with each wait done by `sleep`."""
    steps = settling(look, grace_seconds, clock=clock, collect=collect)
    while True:
        try:
            wait = next(steps)
        except StopIteration as end:
            settled: Settled[T] = end.value
            return settled
        sleep(wait)


class BadTime(ValueError):
    """Not a time; the text says what is allowed."""


def seconds(value: object, source: str) -> float:
    """A time in seconds, 0 or more. Raises BadTime."""
    try:
        number = float(cast(Any, value))
    except (TypeError, ValueError):
        number = math.nan
    if isinstance(value, bool) or not 0 <= number < math.inf:
        raise BadTime(f"{source}: bad time {value!r}. Allowed: seconds, 0 or more, e.g. 0.5.")
    return number
