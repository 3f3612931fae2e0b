"""Collects what the running test made, and no more.

A collection of the middle generation also counts towards the next collection of
the whole heap, which the user's program then pays for. What was made since the
last collection of ours is still in the youngest one, unless Python has collected
by itself meanwhile; the counters tell that.
"""

from __future__ import annotations

from pytest_leakguard import _real


class YoungGarbage:
    """Remembers the counters of the collector between two collections."""

    def __init__(self) -> None:
        self._left: tuple[int, ...] = ()

    def collect(self) -> None:
        """Collect the generations in which what was made since the last call can be."""
        _real.gc_collect(0 if _real.gc_get_count()[1:] == self._left else 1)
        self._left = _real.gc_get_count()[1:]
