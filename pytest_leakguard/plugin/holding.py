"""Asks who holds a leaked object when it is about to be blamed, and puts the answer in words."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping

import pytest

from pytest_leakguard import _real
from pytest_leakguard.core.holding import Edge, Held, Miss
from pytest_leakguard.core.verdict import Case, fingerprint
from pytest_leakguard.origins import holding
from pytest_leakguard.origins.roots import Roots
from pytest_leakguard.report.graphs import Graphs
from pytest_leakguard.report.holding import REASONS, chain
from pytest_leakguard.suspects import Item, Suspect
from pytest_leakguard.watch import Watch

SECONDS_PER_ORIGIN = 1.0
"""Of one run, for all leaks with one fingerprint: a suite may leak the same thing in each of its tests."""


class Holding:
    """Tells who holds what; keeps no object itself.

    Args:
        fixtures: the values of the fixtures that are set up, and their names.
        folder: for pictures; empty for none.
    """

    def __init__(
        self,
        config: pytest.Config,
        watch: Watch,
        *,
        fixtures: Callable[[], Iterable[tuple[object, str]]],
        folder: str = "",
    ) -> None:
        self._watch = watch
        self._fixtures = fixtures
        self._graphs = Graphs(folder, str(config.invocation_params.dir)) if folder else None
        self._spent: dict[str, float] = {}
        self.errors: list[str] = []

    def held(self, case: Case, blamed: Mapping[Item, Suspect], item: pytest.Item | None = None) -> Held:
        """Who holds the resource of a case.

        Args:
            blamed: the suspects of this judgement.
            item: the test, while that is still running.
        """
        suspect = blamed.get((case.resource.kind, case.resource.key))
        if suspect is None or case.resource.kind == "temp":
            return Held()
        name = fingerprint(case)
        spent = self._spent.get(name, 0.0)
        if spent >= SECONDS_PER_ORIGIN:
            return _missed("spent")
        started = _real.perf_counter()
        try:
            with self._watch.recorder.silence():
                return self._search(suspect, name, item)
        except Exception as error:  # the finding is worth telling without its holder
            line = f"who holds a {case.resource.kind} could not be told: {type(error).__name__}: {error}"
            if line not in self.errors:
                self.errors.append(line)
            return Held()
        finally:
            self._spent[name] = spent + _real.perf_counter() - started

    def draw(self) -> None:
        """After the last test: have graphviz draw what was written."""
        if self._graphs is not None:
            with self._watch.recorder.silence():
                problem = self._graphs.render()
            if problem:
                self.errors.append(f"graphviz: {problem}")

    def _search(self, suspect: Suspect, name: str, item: pytest.Item | None) -> Held:
        kind, key = suspect.item
        ident = key[0] if kind == "thread" and isinstance(key, tuple) else None
        test = getattr(getattr(item, "obj", None), "__code__", None)
        funcargs = getattr(item, "funcargs", {})
        values = [
            (value, Edge(holder=f"fixture '{fixture}'", kind="fixture"))
            for value, fixture in (*self._fixtures(), *((value, fixture) for fixture, value in funcargs.items()))
        ]
        # read before the object itself is a local variable of ours
        with Roots(root=self._watch.root, test=test, values=values, without=ident) as roots:
            del values, funcargs
            live = self._watch.live(suspect)
            if live is None:
                return _missed("bare" if _is_bare(suspect) else "none")
            found = holding.find(live, roots, root=self._watch.root)
            del live
        if isinstance(found, str):
            return _missed(found)
        graph = ""
        if self._graphs is not None:
            try:
                graph = self._graphs.write(found, name)
            except OSError as error:
                self.errors.append(f"picture of {name!r} not written: {error}")
        return Held(chain=chain(found), graph=graph)


def _is_bare(suspect: Suspect) -> bool:
    """Whether it is certain that a descriptor is only a number: os.open gave it, and no object has it."""
    return (
        suspect.item[0] in ("fd", "socket")
        and suspect.record is not None
        and suspect.record.event == "open"
        and suspect.record.raw
        and _real.gc_get_freeze_count() <= _real.frozen_at_start
    )


def _missed(miss: Miss) -> Held:
    seconds = SECONDS_PER_ORIGIN if miss == "spent" else holding.SECONDS_AT_MOST
    return Held(reason=REASONS[miss].format(seconds=seconds))
