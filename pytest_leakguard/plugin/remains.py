"""What is still there after the last teardown: what leaked and lives on, and what may hold the exit."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, cast

import pytest

from pytest_leakguard import _real
from pytest_leakguard.core.model import NOBODY, Acquisition, Finding, Origin
from pytest_leakguard.known import known_by_design
from pytest_leakguard.plugin.entry import configs
from pytest_leakguard.plugin.exit_watch import watch_exit
from pytest_leakguard.plugin.parts import Plain
from pytest_leakguard.report.text import printable
from pytest_leakguard.suspects import Item

if TYPE_CHECKING:
    from pytest_leakguard.plugin.guard import Guard

_DESCRIBED_AT_MOST = 200
_TOLD_AT_MOST = 10
_UNKNOWN = Acquisition(owner=NOBODY, test="", phase=None, origin=Origin())


class Remains:
    """Looks once, in the process that ran the tests.

    Attributes:
        counts: how many there are of each kind.
        found: the first of them in words: ``kind``, ``what``, ``acquired``, ``owner``, ``holds_exit``.
        places: of threads and children that may hold the exit, where each was started.
    """

    def __init__(self, guard: Guard) -> None:
        self._guard = guard
        self.counts: dict[str, int] = {}
        self.found: list[dict[str, Any]] = []
        self.places: dict[Item, str] = {}

    def look(self) -> None:
        """After the last verdict. An error of ours is told, and never becomes one of the user's run."""
        try:
            self._look()
        except Exception as error:
            self._guard.errors.append(f"what is left at the end is not known: {type(error).__name__}: {error}")

    def data(self) -> dict[str, Any]:
        """As plain data, that a worker of pytest-xdist can send."""
        return {"counts": self.counts, "found": self.found}

    def _look(self) -> None:
        guard, watch = self._guard, self._guard.watch
        there = watch.items(watch.look(guard.kinds | {"thread", "process"}))
        left = {item: acquisition for item, acquisition in guard.judge.left.items() if item in there}
        others = [item for item in there if item not in left and _may_hold_exit(item)]
        suspects = watch.examine(others, _UNKNOWN) if others else []
        by_design = known_by_design(suspects)
        left.update({s.item: s.acquisition for s in suspects if s.item not in by_design})
        self.counts = dict(Counter(kind for kind, _ in left))
        for item in sorted(left, key=lambda item: (not _may_hold_exit(item), item[0]))[:_DESCRIBED_AT_MOST]:
            what, place = watch.roster.describe(*item).what, _place(left[item])
            # one that has ended waits for nobody
            holds = _may_hold_exit(item) and ", zombie" not in what and ", ended" not in what
            if holds:
                self.places[item] = place
            entry = {"kind": item[0], "what": what, "acquired": place, "owner": left[item].owner.name}
            self.found.append({**entry, "holds_exit": holds})


def _may_hold_exit(item: Item) -> bool:
    """Threads that are no daemons, and children."""
    kind, key = item
    if kind == "thread":
        ident = cast("tuple[int, int]", key)[0]
        thread = next((thread for thread in _real.enumerate_threads() if thread.ident == ident), None)
        return thread is not None and not thread.daemon
    return kind == "process"


def _place(acquisition: Acquisition) -> str:
    origin, owner = acquisition.origin, acquisition.owner
    where = f"{origin.file}:{origin.line} in {origin.function}" if origin.file else "at a place that is not known"
    return f"{where}, by {owner.name}" if owner.name else where


class Ending(Plain):
    """Tells what is left in all processes, and watches over the exit. A `Part`.

    Args:
        left: gives ``counts`` and ``found`` of all processes together.
    """

    name = "still_there"

    def __init__(self, guard: Guard, left: Callable[[], dict[str, Any]]) -> None:
        self._guard = guard
        self._left = left

    def close(self, session: pytest.Session, findings: list[Finding]) -> bool:
        """See `Part`."""
        if getattr(session.config.option, "dist", "no") == "no":  # else the tests ran elsewhere
            self._guard.remains.look()
        if len(configs) == 1:  # else the session of a test: the interpreter lives on, and the outer one watches
            guard = self._guard
            watch_exit(guard.watch.root, guard.remains.places, guard.registrations.places())
        return False

    def sections(self) -> list[tuple[str, str]]:
        """See `Part`."""
        left = self._left()
        if not left["counts"] or self._guard.settings.action == "report":
            return []
        lines = [", ".join(f"{count:,} {kind}" for kind, count in sorted(left["counts"].items()))]
        holders = [one for one in left["found"] if one["holds_exit"]]
        lines += [f"may hold the exit: {one['what']}; started {one['acquired']}" for one in holders[:_TOLD_AT_MOST]]
        if len(holders) > _TOLD_AT_MOST:
            lines.append(f"... and {len(holders) - _TOLD_AT_MOST:,} more that may hold the exit")
        return [("still there after the last teardown", "\n".join(map(printable, lines)))]

    def data(self) -> dict[str, Any]:
        """See `Part`."""
        return self._left()
