"""Which new paths are no litter: caches that tools keep from run to run on purpose."""

from __future__ import annotations

import os
from collections.abc import Iterable

CACHE_PARTS = frozenset(
    {
        "__pycache__",
        ".pytest_cache",
        ".mypy_cache",
        ".ruff_cache",
        ".hypothesis",
        ".benchmarks",
        ".git",
        ".tox",
        ".nox",
    }
)
"""Folder names that mark everything below them as a cache of a tool."""

COVERAGE_PREFIX = ".coverage"
DEVICES = ("/dev/", "/proc/", "/sys/")
SHARED_MEMORY = "/dev/shm/"


def is_litter(path: str, caches: Iterable[str] = ()) -> bool:
    """Whether a path that a test created and left counts as left behind.

    Args:
        path: absolute.
        caches: absolute folders in which programs keep things between runs.
    """
    if path.startswith(DEVICES) and not path.startswith(SHARED_MEMORY):
        return False
    if any(path == cache or path.startswith(cache.rstrip(os.sep) + os.sep) for cache in caches):
        return False
    parts = path.split(os.sep)
    name = parts[-1]
    if name.startswith(COVERAGE_PREFIX) or name.endswith((".pyc", ".pyo")):
        return False
    return CACHE_PARTS.isdisjoint(parts)
