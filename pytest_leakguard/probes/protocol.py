"""The one protocol of all probes, and nothing more."""

from __future__ import annotations

from collections.abc import Hashable
from typing import Protocol, runtime_checkable

from pytest_leakguard.core.model import Key, Resource


@runtime_checkable
class Probe(Protocol):
    """Reads one kind of resource from the live process.

    A probe may have an attribute ``moves_are_recorded``: true says that nothing of
    its kind comes into being without an event that the record counts, so that
    `mark` need not be asked after every test.
    """

    @property
    def kind(self) -> str:
        """Its name on the command line and in allow rules."""

    @property
    def mechanism(self) -> str:
        """One phrase that says how it sees, for the header and the doctor."""

    def unavailable(self) -> str | None:
        """Why it can't work here, or None."""

    def mark(self) -> Hashable:
        """A cheap sign of movement: equal to the one before means that nothing moved."""

    def keys(self) -> frozenset[Key]:
        """The census: what exists now. Called when something moved; keep it cheap."""

    def describe(self, key: Key) -> Resource:
        """A suspect in words. May cost; it may be gone already, then say what is known."""
