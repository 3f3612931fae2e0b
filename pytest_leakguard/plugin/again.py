"""A test is run again when it is over, and finds the wider fixtures as its own run did.

pytest tears those down with the last test that uses them. While somebody wants to
repeat that test, their teardown is put off until the repetitions are over.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager

import pytest

from pytest_leakguard.plugin import internals
from pytest_leakguard.plugin.guard import Guard
from pytest_leakguard.plugin.trial import ItemSubject
from pytest_leakguard.plugin.unharmed import unharmed


class Again:
    """For one plugin that repeats tests; a test is repeated by one of them, not by several."""

    def __init__(self, guard: Guard) -> None:
        self._guard = guard
        self._held: internals.WiderFixturesHeld | None = None
        self._subject: ItemSubject | None = None

    @property
    def is_on(self) -> bool:
        """Whether the test under way can be repeated, and was not yet."""
        return self._held is not None

    @contextmanager
    def around(self, item: pytest.Item, is_target: Callable[[str], bool]) -> Iterator[None]:
        """Goes around the whole protocol of a test that may be repeated.

        Args:
            is_target: which files are code under test.
        """
        with self._unharmed(item):
            subject = ItemSubject(self._guard, item, is_target)
            self._held = internals.WiderFixturesHeld(item.session, subject.next)
            self._subject = subject
        try:
            yield
        finally:
            if self._held is not None:
                self._held.let_go()
            self._held = self._subject = None

    def at_the_end(self, item: pytest.Item, report: pytest.TestReport, repeat: Callable[[ItemSubject], object]) -> None:
        """To be called with the report of the teardown: the repetitions, then what was put off.

        Args:
            repeat: runs the subject as often as it likes.
        """
        subject, held = self._subject, self._held
        if subject is None or held is None:
            return
        self._held = None
        try:
            with self._unharmed(item):
                repeat(subject)
        finally:
            internals.end_wider_fixtures(item, report, held)

    def _unharmed(self, item: pytest.Item) -> AbstractContextManager[None]:
        return unharmed(self._guard.errors, f"{item.nodeid} could not be repeated")
