"""Collects what the running test made, and no more.

A collection of the middle generation also counts towards the next collection of
the whole heap, which the user's program then pays for. What was made since the
last collection of ours is still in the youngest one, unless Python has collected
by itself meanwhile; the counters tell that.
"""

from __future__ import annotations

from pytest_leakguard import _real

_FROZEN_BY_PYTHON = 1000
"""Python 3.12 starts with some 400 objects frozen; whoever freezes a heap of his own freezes many thousands."""


def may_freeze() -> bool:
    """Whether objects can be frozen and unfrozen without the user's own frozen ones coming back."""
    return _real.gc_get_freeze_count() < _FROZEN_BY_PYTHON


def set_apart() -> None:
    """All that exists counts as old from now on, as after a full collection, but nothing is looked at.

    What a start makes is there to stay: our collections after tests need not visit it, and our own share of
    it does not bring the next collection of the whole heap any nearer.
    """
    if may_freeze():
        _real.gc_freeze()
        _real.gc_unfreeze()


class YoungGarbage:
    """Remembers the counters of the collector between two collections."""

    def __init__(self) -> None:
        self._left: tuple[int, ...] = ()

    def collect(self) -> None:
        """Collect the generations in which what was made since the last call can be."""
        _real.gc_collect(0 if _real.gc_get_count()[1:] == self._left else 1)
        self._left = _real.gc_get_count()[1:]
