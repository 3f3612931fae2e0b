"""Look again until nothing is left or patience runs out. The clock is passed in."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass
from typing import Generic, TypeVar

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


def settle(
    look: Callable[[], Collection[T]],
    grace_seconds: float,
    *,
    sleep: Callable[[float], object],
    clock: Callable[[], float],
    collect: Callable[[], object] = lambda: None,
) -> Settled[T]:
    """Look until nothing is left over or the waits run out.

    Args:
        look: returns what is still there, possibly nothing.
        grace_seconds: 0 means one look and no wait.
        sleep, clock: of the caller; tests pass fakes.
        collect: called before the look after the last wait: what another thread let go
            meanwhile may be in a cycle that only a full collection frees.
    Raises: whatever look raises.
    """
    start = clock()
    left = look()
    looks = 1
    pending = list(waits(grace_seconds)) if left else []
    while left and pending:
        sleep(pending.pop(0))
        if not pending:
            collect()
        left = look()
        looks += 1
    return Settled(left=left, looks=looks, seconds=clock() - start)
