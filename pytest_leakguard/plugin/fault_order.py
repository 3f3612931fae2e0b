"""Which fault points are tried first: those in changed code, then sites that were never tried, then the rest."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import pytest

from pytest_leakguard.faults.changes import Changes, changes_of
from pytest_leakguard.faults.model import FaultPoint, site_of

CACHE_KEY = "leakguard/fault-sites"


class Order:
    """Ranks points.

    Args:
        changes: what was changed last.
        tried: the sites that earlier runs have tried.
    """

    def __init__(self, changes: Changes, tried: frozenset[str]) -> None:
        self._changes = changes
        self._tried = tried

    def rank(self, point: FaultPoint) -> int:
        """Smaller is earlier."""
        if self._changes.touch(point.path, point.line):
            return 0
        return 2 if site_of(point) in self._tried else 1


def order_of(config: pytest.Config) -> Order:
    """From git and pytest's cache, as far as they are there."""
    cache: Any = getattr(config, "cache", None)
    known = cache.get(CACHE_KEY, []) if cache is not None else []
    tried = frozenset(site for site in known if isinstance(site, str)) if isinstance(known, list) else frozenset()
    return Order(changes_of(str(config.rootpath)), tried)


def remember(config: pytest.Config, sites: Iterable[str]) -> None:
    """Keep the sites that were tried, for the next run."""
    cache: Any = getattr(config, "cache", None)
    tried = set(sites)
    if cache is None or not tried:
        return
    known = cache.get(CACHE_KEY, [])
    cache.set(CACHE_KEY, sorted(tried.union(known if isinstance(known, list) else ())))
