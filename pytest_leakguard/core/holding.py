"""The chain of references that keeps a leaked object alive: strings only."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

EdgeKind = Literal[
    "global",
    "class",
    "thread",
    "fixture",
    "test",
    "exact",
    "attribute",
    "key",
    "index",
    "element",
    "closure",
    "default",
    "local",
    "traceback",
    "argument",
    "cache",
    "context",
    "thread-local",
    "awaits",
    "callback",
    "inside",
]
"""How one object holds the next; ``exact`` and ``inside`` have no name to tell."""

Miss = Literal["too long", "frozen", "unseen", "ours", "running", "bare", "spent", "none"]
"""Why there is no chain: see `report.holding.REASONS`; ``ours`` and ``none`` are not told."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Edge:
    """One reference.

    Attributes:
        holder: the object that holds, in words: ``dict``, ``Pool``, ``function load``, ``module app.cache``.
        name: the key, index, attribute or variable by which it holds the next object.
    """

    holder: str
    kind: EdgeKind
    name: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Path:
    """The shortest chain that was found.

    Attributes:
        edges: the first one starts at the root: a module, a class, a thread, a running frame.
        target: the type of the leaked object.
    """

    edges: tuple[Edge, ...]
    target: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Held:
    """What a finding tells of its holder.

    Attributes:
        chain: the path in words, from the root to the object; empty when none is known.
        reason: why there is no chain, where that is worth telling.
        graph: the file with the picture of it.
    """

    chain: tuple[str, ...] = ()
    reason: str = ""
    graph: str = ""
