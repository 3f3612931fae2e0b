"""Counts of objects by type, run after run -> the types that grow every time. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from itertools import pairwise

Counts = Mapping[str, tuple[int, ...]]
"""Full name of a type -> how many there were after each run, the warm-up first."""

MACHINERY = ("_pytest", "pytest", "pluggy", "pytest_leakguard")
_BUILTIN = "builtins."


@dataclass(frozen=True, slots=True, kw_only=True)
class Growth:
    """One type that grows.

    Attributes:
        name: module and class.
        added: how many more after each run than after the one before; the warm-up is left out.
    """

    name: str
    added: tuple[int, ...]


def growing(counts: Counts, besides: Iterable[str] = ()) -> list[Growth]:
    """The types of which each run after the warm-up left more than the one before.

    A cache that fills once stops growing after the warm-up and is left out. The
    built-in containers that instances are made of grow along with them: they
    are told only when no other type grows.

    Args:
        besides: types that were told already.
    """
    told = set(besides)
    found = [
        Growth(name=name, added=added)
        for name, runs in sorted(counts.items())
        if (added := tuple(after - before for before, after in pairwise(runs)))
        and min(added) > 0
        and name.partition(".")[0] not in MACHINERY
    ]
    classes = [growth for growth in found if not growth.name.startswith(_BUILTIN)]
    if classes:
        return [growth for growth in classes if growth.name not in told]
    return found if not told else []


def in_words(growth: Growth) -> str:
    """``app.Session objects grow with every repetition: +1, +1, +1``."""
    return f"{growth.name} objects grow with every repetition: {', '.join(f'+{n}' for n in growth.added)}"
