"""What probes share whose resources are Python objects that an event announced, with parts in the descriptor table."""

from __future__ import annotations

from collections.abc import Sized
from typing import Protocol

from pytest_leakguard.core.model import Key, Resource
from pytest_leakguard.origins.record import Record


class RecordedProbe(Protocol):
    """A probe that knows the record of each resource it sees, so that none has to be matched."""

    kind: str

    @property
    def kept(self) -> tuple[Sized, ...]:
        """Where it keeps what it sees: while all of these are empty there is none."""

    def keys(self) -> frozenset[Key]:
        """The census, as every probe gives it."""

    def record(self, key: Key) -> Record | None:
        """The acquisition."""

    def live(self, key: Key) -> object | None:
        """The object itself, for a search that lets it go again."""

    def whole_of(self, resource: Resource) -> Key | None:
        """The key of what a resource, of this kind or a descriptor, is a part of; its own when it is whole."""
