"""Pools of resources that are costly to make and can be used again, shared by threads."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TypeVar

from pytest_leakguard.reference._expect import expect_positive
from pytest_leakguard.reference._resource_pool import Happening
from pytest_leakguard.reference._resource_pool import PoolCounts as PoolCounts
from pytest_leakguard.reference._resource_pool import ResourcePool as ResourcePool

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class PoolStatistics:
    """What a pool has done so far, taken at one moment.

    Attributes:
        created, destroyed: resources; the difference is what exists.
        reused: checkouts that got an idle resource.
        returned: resources that became idle again.
        replaced: idle resources that were not fit any more.
        errors: of the factory, the check, the reset and the destroy.
        wait_seconds: spent by checkouts waiting for a place, all together.
        longest_wait_seconds: of one checkout.
    """

    created: int = 0
    destroyed: int = 0
    reused: int = 0
    returned: int = 0
    replaced: int = 0
    errors: int = 0
    wait_seconds: float = 0.0
    longest_wait_seconds: float = 0.0


@dataclass(frozen=True, slots=True)
class PoolEvent:
    """One line of a pool's history. `error` is type and text; `at` is of the monotonic clock, in seconds."""

    what: Happening
    at: float
    thread: str
    error: str | None = None


class MonitoredResourcePool(ResourcePool[T]):
    """`ResourcePool` that counts what it does and remembers the last of it.

    Acquires, Releases, and whatever fails: all that is said of `ResourcePool` holds. A broken resource (health check
    or `discard`) is regenerated in its own place, so there are never more than `max_size`.

    Locking: the numbers and the history have a lock of their own, held only to change or to read them and never
    together with that of the pool. Each event is counted by the thread that made it happen, after it happened; so once
    no call is under way, `created - destroyed` is what is idle or in use.

    Args:
        history: how many events are remembered; older ones are dropped.
        others: as for `ResourcePool`.
    """

    def __init__(
        self,
        factory: Callable[[], T],
        destroy: Callable[[T], object] | None = None,
        *,
        max_size: int = 8,
        timeout: float | None = 0.0,
        check: Callable[[T], bool] | None = None,
        reset: Callable[[T], object] | None = None,
        max_age: float | None = None,
        name: str = "pool",
        history: int = 1000,
    ) -> None:
        super().__init__(
            factory, destroy, max_size=max_size, timeout=timeout, check=check, reset=reset, max_age=max_age, name=name
        )
        expect_positive(history, f"history of {name!r}", "events")
        self._noting = threading.Lock()
        self._statistics = PoolStatistics()
        self._history: deque[PoolEvent] = deque(maxlen=history)

    @property
    def statistics(self) -> PoolStatistics:
        """The numbers so far."""
        return self._statistics

    @property
    def history(self) -> tuple[PoolEvent, ...]:
        """The last events, oldest first."""
        with self._noting:
            return tuple(self._history)

    def _happened(self, what: Happening, seconds: float = 0.0, error: BaseException | None = None) -> None:
        event = PoolEvent(
            what, time.monotonic(), threading.current_thread().name,
            None if error is None else f"{type(error).__name__}: {error}",
        )  # fmt: skip
        with self._noting:
            now = self._statistics
            if what == "waited":
                longest = max(now.longest_wait_seconds, seconds)
                self._statistics = replace(now, wait_seconds=now.wait_seconds + seconds, longest_wait_seconds=longest)
                return
            field = _COUNTED[what]
            self._statistics = replace(now, **{field: getattr(now, field) + 1})
            self._history.append(event)


_COUNTED: dict[Happening, str] = {
    "created": "created",
    "reused": "reused",
    "returned": "returned",
    "destroyed": "destroyed",
    "unfit": "replaced",
    "create failed": "errors",
    "check failed": "errors",
    "reset failed": "errors",
    "destroy failed": "errors",
}
