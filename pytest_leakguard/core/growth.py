"""Counts of objects by type, run after run -> the types that grow every time. Pure."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

Counts = Mapping[str, tuple[int, ...]]
"""Full name of a type -> how many there were after each run, the warm-up first."""

_NAMED = 4
MACHINERY = ("_pytest", "pytest", "pluggy", "pytest_leakguard")


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

    A cache that fills once stops growing after the warm-up and is left out. What
    instances are made of grows along with them: types of the standard library are
    told only where no other class grows, and built-in containers only where no
    class grows at all.

    Args:
        besides: subjects of leaks that were told already; growth that may be theirs is not told.
    """
    told = set(besides)
    found = [
        Growth(name=name, added=added)
        for name, runs in sorted(counts.items())
        if (added := tuple(after - before for before, after in pairwise(runs)))
        and min(added) > 0
        and name.partition(".")[0] not in MACHINERY
    ]
    best = min(map(_tier, found), default=0)
    if told and best > 0:
        return []
    # what is made once a run stands nearer to the root than what that is made of
    rest = [growth for growth in found if _tier(growth) == best and growth.name not in told]
    return sorted(rest, key=lambda growth: (growth.added, growth.name))


def _tier(growth: Growth) -> int:
    """How little a type says about what leaks: a class of the project or of a package says most."""
    module = growth.name.partition(".")[0]
    return 2 if module == "builtins" else 1 if module in sys.stdlib_module_names else 0


def in_words(grown: Sequence[Growth]) -> str:
    """``app.Session objects grow with every repetition: +1, +1, +1``, and what grows with them."""
    first, *others = grown
    named = [f"{other.name} ({_counts(other)})" for other in others[:_NAMED]]
    more = [f"{len(others) - _NAMED} more types"] if len(others) > _NAMED else []
    besides = f"; with them {', '.join([*named, *more])}" if others else ""
    return f"{first.name} objects grow with every repetition: {_counts(first)}{besides}"


def _counts(growth: Growth) -> str:
    return ", ".join(f"+{n}" for n in growth.added)
