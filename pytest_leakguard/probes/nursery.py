"""Instances that have just been made, before anybody asks for them.

Nearly all of them are gone, or closed, by the end of their test. Until then each is one
weak reference and the stack of its making; only what is still there, or went without the call
that it owed, becomes an entry of the object probe.
"""

from __future__ import annotations

import weakref
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from pytest_leakguard import _real, native
from pytest_leakguard.core.ledger import Context
from pytest_leakguard.origins.frames import Stack

Duty = tuple[str, ...]
"""One of these methods must have been called."""

FULL = 512
"""Newborn instances that are kept at most: a loop may make a million that die at once."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What is asked of the instances of one class.

    Attributes:
        name: of the class, with its module.
        event: what makes one, in a report.
        must_go: they have to be gone.
        duties: what is to be called on them.
    """

    name: str
    event: str
    must_go: bool
    duties: tuple[Duty, ...]

    def is_met_by(self, method: str) -> bool:
        """Whether that call is all that an instance owes."""
        return not self.must_go and len(self.duties) == 1 and method in self.duties[0]


class Newborn:
    """One instance: what a record of its making will tell."""

    __slots__ = ("context", "is_done", "plan", "ref", "stack")

    def __init__(self, obj: Any, plan: Plan, context: Context, stack: Stack) -> None:
        self.ref = weakref.ref(obj)
        self.plan = plan
        self.context = context
        self.stack = stack
        self.is_done = False

    @property
    def duties(self) -> tuple[Duty, ...]:
        """What is still to be called on it."""
        return () if self.is_done else self.plan.duties


if native.part is not None and not TYPE_CHECKING:
    Newborn = native.part.Newborn


class Nursery(native.Crib):
    """Keeps them in the order of their making. Any thread may add to it."""

    def __init__(self) -> None:
        self.made: deque[Newborn] = deque()
        """Those to be looked at, the oldest first."""
        self._owing: dict[int, Newborn] = {}

    def add(self, obj: Any, plan: Plan, context: Context, stack: Stack) -> bool:
        """An instance was made; one that is here is left as it is: its constructor has run twice.

        Returns: whether it is time to look, before more are made.
        """
        if plan.duties:
            identity = _real.identity(obj)
            known = self._owing.get(identity)
            if known is not None and known.ref() is obj:
                return False
            newborn = self._owing[identity] = Newborn(obj, plan, context, stack)
        else:
            newborn = Newborn(obj, plan, context, stack)
        self.made.append(newborn)
        return len(self.made) >= FULL

    def called(self, obj: Any, method: str) -> bool:
        """Whether that call was all that a newborn instance owed: it is done with then."""
        identity = _real.identity(obj)
        newborn = self._owing.get(identity)
        if newborn is None or not newborn.plan.is_met_by(method) or newborn.ref() is not obj:
            return False
        newborn.is_done = True
        self._owing.pop(identity, None)
        return True

    def take(self) -> Iterator[tuple[Newborn, Any]]:
        """Empty it: those that are still there, and, with None, those that went without the call they owed."""
        self._owing.clear()
        while self.made:
            newborn = self.made.popleft()
            obj = newborn.ref()
            if obj is not None or newborn.duties:
                yield newborn, obj
