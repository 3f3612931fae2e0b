"""Threads that were told as leaks and run on: what they open without an audit event is no later test's."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from typing import cast

from pytest_leakguard.core.model import Key
from pytest_leakguard.origins.record import Record
from pytest_leakguard.probes import procfs
from pytest_leakguard.probes.threads import ThreadKey
from pytest_leakguard.suspects import Item


class ToldThreads(Collection[Item]):
    """Their items, each with how often it had run when that was last asked."""

    def __init__(self) -> None:
        self._turns: dict[Item, str] = {}

    def __contains__(self, item: object) -> bool:
        return item in self._turns

    def __iter__(self) -> Iterator[Item]:
        return iter(self._turns)

    def __len__(self) -> int:
        return len(self._turns)

    def add(self, item: Item) -> None:
        """One more was told."""
        self._turns[item] = _turns(item)

    def have_run(self, alive: Collection[Key]) -> bool:
        """Whether one of them has run since it was told or this was last asked; where that is not known, yes.

        Args:
            alive: the keys of all threads that are alive. One that has ended is forgotten.
        """
        ran = False
        for item, before in list(self._turns.items()):
            now = _turns(item)
            ran |= now != before or not now
            if item[1] in alive:
                self._turns[item] = now
            else:
                del self._turns[item]
        return ran


def may_have_opened(kind: str, record: Record | None) -> bool:
    """Whether any thread may have opened what is of that kind and has that record."""
    return kind in ("fd", "socket") and record is None


def _turns(item: Item) -> str:
    """How often and how long a thread has run; empty where the kernel does not tell."""
    _, native_id = cast(ThreadKey, item[1])
    return procfs.read(f"/proc/self/task/{native_id}/schedstat")
