"""When the process was looked at last: how much may have moved since, and how old what is found now may be."""

from __future__ import annotations

from collections.abc import Hashable
from functools import partial

from pytest_leakguard import native
from pytest_leakguard.watch import Watch

FULL_LOOK_EVERY = 200
"""Tests after which a full look is made although nothing seemed to move."""


class Looks:
    """Compares the cheap signs of movement with what they were at the last look, and counts the tests since.

    Attributes:
        moves: the count of what was acquired, as far as events tell, at the last look.
        since: the last test after which everything was looked at, where what no event tells of may be older than
            the judged test; else empty.
        uncollected: the last test whose garbage was collected, where garbage may be older than the judged test.
    """

    def __init__(self, watch: Watch) -> None:
        self._watch = watch
        self._marks: tuple[Hashable, ...] = ()
        self.moves = 0
        # asked after every test, so each is one step away
        self._recorder, self._ledger = watch.recorder, watch.ledger
        self._have = self._have_marks if native.part is None else partial(native.part.have_marks, watch.roster)
        self._tests = 0
        self._looked = 0  # of these, at the last look
        self._collected = 0  # and at the last collection
        self._after = ""
        self._collected_after = ""
        self.since = ""
        self.uncollected = ""

    def is_due(self) -> bool:
        """A test is over: whether a look is to be made. The cheap question, asked after every one."""
        self._tests += 1
        return (
            self._recorder.moves != self.moves
            or not self._have(self._marks)
            or len(self._ledger.ended) > 0
            or self._tests - self._looked >= FULL_LOOK_EVERY
        )

    def begin(self) -> None:
        """A look begins."""
        self.since = ""
        # with the same numbers as at the last look, what no event told of may be any earlier test's
        if self._tests - self._looked > 1 and self._have(self._marks):
            self.since = self._after

    def collecting(self, test: str) -> None:
        """The garbage of that test is about to be collected."""
        self.uncollected = ""
        if self._tests - self._collected > 1:
            self.uncollected = self._collected_after
            self._watch.tasks.may_find_older = True
        self._collected, self._collected_after = self._tests, test

    def end(self, test: str) -> None:
        """All was looked at after that test."""
        self._looked, self._after = self._tests, test
        self._watch.tasks.may_find_older = False

    def mark(self) -> tuple[Hashable, ...]:
        """The marks of this moment, for `settle`."""
        return self._marks if self._have(self._marks) else self._watch.roster.marks()

    def settle(self, marks: tuple[Hashable, ...] | None = None) -> None:
        """What is there now is known, with these marks or those of this moment."""
        self._marks = self._watch.roster.marks() if marks is None else marks
        self.moves = self._recorder.moves

    def _have_marks(self, marks: tuple[Hashable, ...]) -> bool:
        return self._watch.roster.marks() == marks
