"""The active probes. One that raises is switched off and reported; the run goes on."""

from __future__ import annotations

from collections.abc import Callable, Collection, Hashable, Iterable
from dataclasses import dataclass
from typing import TypeVar

from pytest_leakguard.core.model import Key, Resource
from pytest_leakguard.probes.protocol import Probe

T = TypeVar("T")
Census = dict[str, frozenset[Key]]
"""Kind -> what exists of it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ProbeState:
    """How one kind is seen in this run, for the header and the report."""

    kind: str
    active: bool
    mechanism: str
    note: str = ""


class Roster:
    """Asks all active probes, and isolates one that fails."""

    def __init__(self, probes: Iterable[Probe], *, before_look: Callable[[], None] = lambda: None) -> None:
        self._active: dict[str, Probe] = {}
        self._before_look = before_look
        self._off: dict[str, str] = {}
        self._known: dict[str, Probe] = {}
        self._cheap: list[Callable[[], Hashable]] = []
        self.errors: list[str] = []
        for probe in probes:
            self._known[probe.kind] = probe
            unknown: str | None = "can't be asked"
            reason = self._guarded(probe, probe.unavailable, unknown)
            if reason is None and probe.kind not in self._off:
                self._active[probe.kind] = probe
            elif reason is not None:
                self._off[probe.kind] = reason
        self._remark()

    @property
    def kinds(self) -> frozenset[str]:
        """The kinds that are seen."""
        return frozenset(self._active)

    def get(self, kind: str) -> Probe | None:
        """The active probe of a kind."""
        return self._active.get(kind)

    def states(self) -> list[ProbeState]:
        """One entry a kind, the switched-off ones with the reason."""
        return [
            ProbeState(
                kind=kind,
                active=kind in self._active,
                mechanism=str(self._guarded(probe, lambda probe=probe: probe.mechanism, "") or ""),  # type: ignore[misc]
                note=self._off.get(kind, ""),
            )
            for kind, probe in self._known.items()
        ]

    def marks(self) -> tuple[Hashable, ...]:
        """The cheap sign of movement of each probe, less those whose movements the record tells."""
        try:
            return tuple([mark() for mark in self._cheap])
        except Exception:  # find out whose it was
            return tuple([self._guarded(probe, probe.mark, None) for probe in tuple(self._active.values())])

    def look(self, kinds: Collection[str] | None = None) -> Census:
        """What exists now, of the given kinds or of all."""
        self._before_look()
        return {
            kind: self._guarded(probe, probe.keys, frozenset())
            for kind, probe in tuple(self._active.items())
            if kinds is None or kind in kinds
        }

    def describe(self, kind: str, key: Key) -> Resource:
        """A suspect in words; a probe that fails to describe costs the words, not the finding."""
        probe = self._known[kind]
        plain = Resource(kind=kind, key=key, what=f"{kind} {key!r}", subject=kind, reason="its probe failed")
        return self._guarded(probe, lambda: probe.describe(key), plain)

    def _remark(self) -> None:
        self._cheap = [probe.mark for probe in self._active.values() if not getattr(probe, "moves_are_recorded", False)]

    def switch_off(self, kind: str, reason: str) -> None:
        """Stop asking a probe, and say why."""
        if kind in self._active:
            del self._active[kind]
            self._remark()
            self._off[kind] = reason
            self.errors.append(f"probe {kind!r} switched off: {reason}")

    def _guarded(self, probe: Probe, ask: Callable[[], T], instead: T) -> T:
        try:
            return ask()
        except Exception as error:
            reason = f"{type(error).__name__}: {error}"
            if probe.kind in self._active:
                self.switch_off(probe.kind, reason)
            elif probe.kind not in self._off:
                self._off[probe.kind] = reason
                self.errors.append(f"probe {probe.kind!r} switched off: {reason}")
            return instead
