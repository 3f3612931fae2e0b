"""Who keeps this object alive? The shortest chain of references from a root, searched backwards.

The heap is asked for the holders of an object, then for the holders of these,
breadth first, until one of them is a root: the globals of a module, a class, a
thread, a running frame. Each question is one pass over the heap in C; the clock
is looked at between two. What pytest and this plugin hold does not count, nor
do weak references, which the collector does not show.
"""

from __future__ import annotations

import contextvars
import sys
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from types import AsyncGeneratorType, CoroutineType, FrameType, FunctionType, GeneratorType, MethodType
from typing import Any

from pytest_leakguard import _real
from pytest_leakguard.core.holding import Edge, Miss, Path
from pytest_leakguard.origins import edges, frames
from pytest_leakguard.origins.holders import class_name
from pytest_leakguard.origins.roots import Roots

SECONDS_AT_MOST = 0.5
"""After which no further pass over the heap is begun."""
OBJECTS_AT_MOST = 5_000

_AT_ONCE = 32
"""Objects asked about in one pass: each makes the pass a little slower."""
_WALLS = ("_pytest", "pluggy", "pytest", "pytest_leakguard")
# by id: a metaclass may refuse to hash its classes
_SUSPENDED = {id(GeneratorType): "gi_code", id(CoroutineType): "cr_code", id(AsyncGeneratorType): "ag_code"}


def find(
    target: object,
    roots: Roots,
    *,
    root: str,
    seconds: float = SECONDS_AT_MOST,
    objects: int = OBJECTS_AT_MOST,
    clock: Callable[[], float] = _real.perf_counter,
) -> Path | Miss:
    """The shortest chain from a root to an object, or why there is none.

    Args:
        target: what is held; the caller's own references should be plain local variables.
        roots: read right before.
        root: paths are told relative to it.
        seconds: no pass over the heap is begun that would probably end later.
        objects: how many holders are followed at most.
    """
    search = _Search(roots, root)
    try:
        return search.run(target, seconds, objects, clock)
    finally:
        search.clear()


@dataclass(slots=True)
class _Candidate:
    """A root that was found.

    Attributes:
        rank: of several at the same distance the lowest is told.
        first: how the root holds `node`; None when `node` is the root.
    """

    rank: int
    node: Any
    first: Edge | None

    @property
    def order(self) -> tuple[int, str, str]:
        return (self.rank, self.first.holder if self.first else "", self.first.name if self.first else "")


@dataclass(slots=True)
class _Search:
    """One search; everything it meets is kept alive until it is over, so that no id is used twice."""

    roots: Roots
    root: str
    met: dict[int, Any] = field(default_factory=dict)
    held: dict[int, Any] = field(default_factory=dict)
    """Id of a holder -> the object on the way to the target that it holds."""
    below: list[Any] = field(default_factory=list)
    found: list[_Candidate] = field(default_factory=list)
    spare: _Candidate | None = None
    met_ours: bool = False

    def clear(self) -> None:
        for container in (self.met, self.held, self.below, self.found):
            container.clear()
        self.spare = None

    def run(self, target: Any, seconds: float, objects: int, clock: Callable[[], float]) -> Path | Miss:
        started = clock()
        last_pass = 0.0
        self.met[id(target)] = target
        level = [target]
        while level:
            for node in level:
                edge = self.roots.named.get(id(node))
                if edge is not None:
                    return self._path(_Candidate(0, node, edge), target)
            for at in range(0, len(level), _AT_ONCE):
                before = clock()
                # the first pass is always made: without it there is nothing to tell
                if last_pass and before - started + last_pass > seconds:
                    return self._path(self.spare, target) if self.spare else "too long"
                self._ask(level[at : at + _AT_ONCE], level, target)
                last_pass = clock() - before
            if self.found:
                return self._path(min(self.found, key=lambda candidate: candidate.order), target)
            if len(self.met) > objects:
                break
            level, self.below = self.below, []
        if self.spare is not None:
            return self._path(self.spare, target)
        return self._miss(bool(level), target)

    def _miss(self, gave_up: bool, target: Any) -> Miss:
        if gave_up:
            return "too long"
        if _real.gc_get_freeze_count() > _real.frozen_at_start:
            return "frozen"
        if issubclass(type(target), threading.Thread):
            return "running"
        return "ours" if self.met_ours else "unseen"

    def _ask(self, chunk: list[Any], level: list[Any], target: Any) -> None:
        """One pass over the heap: sort the holders of some objects into roots, walls, and what to follow."""
        holders = _real.gc_get_referrers(*chunk)
        containers = (self.met, self.held, self.below, self.found, chunk, level, holders)
        own = self.roots.own.union(id(container) for container in containers)
        nodes = {id(node): node for node in chunk}
        for holder in holders:
            identity = id(holder)
            if identity in self.met or identity in own:
                continue
            kind = type(holder)
            if kind is tuple and _is_argument(holder, chunk):
                continue
            if self._is_ours(holder, kind):
                self.met_ours = True
                continue
            if kind is FrameType and identity in self.roots.running:
                continue  # its locals are named roots
            node = chunk[0] if len(chunk) == 1 else self._held_by(holder, nodes)
            if node is None:
                continue
            module = self._module(holder, kind, identity)
            if module is not None:
                self._module_found(module, holder, node)
                continue
            self.met[identity] = holder
            self.held[identity] = node
            if issubclass(kind, type):
                if "<locals>" in type.__getattribute__(holder, "__qualname__"):
                    # made anew by each call: whoever holds the class says more
                    self.spare = self.spare or _Candidate(1, holder, None)
                else:
                    self.found.append(_Candidate(1, holder, None))
                    continue
            elif identity in self.roots.threads:
                self.found.append(_Candidate(2, holder, None))
                continue
            elif kind is contextvars.Context:
                self.found.append(_Candidate(3, holder, None))
                continue
            self.below.append(holder)
        nodes.clear()

    @staticmethod
    def _held_by(holder: Any, nodes: dict[int, Any]) -> Any:
        for referent in _real.gc_get_referents(holder):
            node = nodes.get(id(referent))
            if node is not None:
                return node
        return None

    def _module(self, holder: Any, kind: type, identity: int) -> str | None:
        """The name of the module whose globals a dict is, also of one that sys.modules does not know any more."""
        if kind is not dict:
            return None
        name = self.roots.namespaces.get(identity)
        if name is None and "__builtins__" in holder and type(holder.get("__name__")) is str:
            name = str(holder["__name__"])
        return name

    def _module_found(self, module: str, namespace: dict[Any, Any], node: Any) -> None:
        if module.partition(".")[0] in _WALLS:
            self.met_ours = True
            return
        file = namespace.get("__file__")
        is_foreign = type(file) is str and frames.region(file) in ("project", "dependency")
        name = edges.global_name(namespace, node)
        self.found.append(
            _Candidate(0 if is_foreign else 4, node, Edge(holder=f"module {module}", kind="global", name=name))
        )

    def _is_ours(self, holder: Any, kind: type) -> bool:
        """What pytest, pluggy and this plugin hold is their bookkeeping."""
        if class_name(kind).partition(".")[0] in _WALLS:
            return True
        if kind is FunctionType:
            return frames.region(holder.__code__.co_filename) in ("self", "runner")
        if kind is MethodType:
            function = holder.__func__
            return type(function) is FunctionType and self._is_ours(function, FunctionType)
        if kind is FrameType:
            return frames.region(holder.f_code.co_filename) in ("self", "runner")
        if id(kind) in _SUSPENDED:
            return frames.region(getattr(holder, _SUSPENDED[id(kind)]).co_filename) in ("self", "runner")
        if issubclass(kind, type):
            return class_name(holder).partition(".")[0] in _WALLS
        return False

    def _path(self, candidate: _Candidate, target: Any) -> Path:
        chain = [candidate.node]
        while chain[-1] is not target:
            chain.append(self.held[id(chain[-1])])
        try:
            return edges.in_words(candidate.first, chain, self.root)
        finally:
            chain.clear()


def _is_argument(holder: tuple[Any, ...], chunk: list[Any]) -> bool:
    """Whether a tuple is the question itself: since 3.13 the heap's answer has it too."""
    return (
        len(holder) == len(chunk)
        and all(one is other for one, other in zip(holder, chunk, strict=True))
        # as many as a tuple has that only the answer holds
        and sys.getrefcount(holder) <= _REFERENCES_OF_AN_ARGUMENT
    )


def _references(holder: object, _chunk: object) -> int:
    return sys.getrefcount(holder)


def _counted() -> int:
    """What `_is_argument` counts of a tuple that nothing but a list holds: 3.14 counts less than those before."""
    chunk = [object()]
    return max(_references(holder, chunk) for holder in [tuple(chunk)])


_REFERENCES_OF_AN_ARGUMENT = _counted()
