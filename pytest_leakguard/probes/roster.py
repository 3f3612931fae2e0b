"""The active probes. One that raises or talks nonsense is switched off and reported; the run goes on."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Hashable, Iterable
from dataclasses import dataclass
from typing import TypeVar

from pytest_leakguard.core.model import Key, Resource
from pytest_leakguard.probes.protocol import Probe

T = TypeVar("T")
Census = dict[str, frozenset[Key]]
"""Kind -> what exists of it."""

_KIND = re.compile(r"[A-Za-z_][\w.-]*")
_RESERVED = ("default", "all")


class Nonsense(TypeError):
    """A probe gave something that its protocol does not allow."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ProbeState:
    """How one kind is seen in this run, for the header and the report."""

    kind: str
    active: bool
    mechanism: str
    note: str = ""


class Roster:
    """Asks all active probes, and isolates one that fails.

    Args:
        probes: the first of a kind keeps it; another one of that kind is an error of its own.
        before_look: called before each census, so that probes may share one reading.
    """

    def __init__(self, probes: Iterable[Probe], *, before_look: Callable[[], None] = lambda: None) -> None:
        self._active: dict[str, Probe] = {}
        self._before_look = before_look
        self._off: dict[str, str] = {}
        self._known: dict[str, Probe] = {}
        self._cheap: list[tuple[str, Probe]] = []
        self.asked: list[Callable[[], Hashable]] = []
        """What gives the marks."""
        self.errors: list[str] = []
        for probe in probes:
            self._add(probe)
        self.remark()

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
                mechanism=_mechanism(probe) if kind in self._active else "",
                note=self._off.get(kind, ""),
            )
            for kind, probe in self._known.items()
        ]

    def marks(self) -> tuple[Hashable, ...]:
        """The cheap sign of movement of each probe, less those whose movements the record tells."""
        try:
            found = []
            for mark in self.asked:  # no comprehension: before 3.12 that is a call, after every test
                found.append(mark())
            marks = tuple(found)
            hash(marks)
        except Exception:  # find out whose it was
            return tuple([self._guarded(kind, probe, lambda p=probe: _mark(p), None) for kind, probe in [*self._cheap]])  # type: ignore[misc]
        return marks

    def look(self, kinds: Collection[str] | None = None) -> Census:
        """What exists now, of the given kinds or of all."""
        self._before_look()
        nothing: frozenset[Key] = frozenset()
        return {
            kind: self._guarded(kind, probe, lambda p=probe: _keys(p), nothing)  # type: ignore[misc]
            for kind, probe in tuple(self._active.items())
            if kinds is None or kind in kinds
        }

    def describe(self, kind: str, key: Key) -> Resource:
        """A suspect in words; a probe that fails to describe costs the words, not the finding."""
        probe = self._known[kind]
        plain = Resource(kind=kind, key=key, what=f"{kind} {key!r}", subject=kind, reason="its probe failed")
        try:
            return _described(probe, kind, key)
        except Exception as error:
            # it still sees: only the words are missing
            line = f"probe {kind!r} could not describe a resource: {_words(error)}"
            if line not in self.errors:
                self.errors.append(line)
            return plain

    def switch_off(self, kind: str, reason: str) -> None:
        """Stop asking a probe, and say why."""
        if kind in self._active:
            del self._active[kind]
            self._off[kind] = reason
            self.errors.append(f"probe {kind!r} switched off: {reason}")
            self.remark()

    def _add(self, probe: Probe) -> None:
        try:
            kind: object = probe.kind
            if not isinstance(kind, str) or not _KIND.fullmatch(kind) or kind in _RESERVED:
                raise Nonsense(f"its kind is {kind!r}, not a word")
            if kind in self._known:
                raise Nonsense(f"there is a probe of kind {kind!r} already")
        except Exception as error:
            self.errors.append(f"probe {type(probe).__qualname__} switched off: {_words(error)}")
            return
        self._known[kind] = probe
        try:
            reason = probe.unavailable()
            str(probe.mechanism)
            if reason is not None and not isinstance(reason, str):
                raise Nonsense(f"unavailable() gave {type(reason).__name__}, not None or a string")
        except Exception as error:
            self._off[kind] = _words(error)
            self.errors.append(f"probe {kind!r} switched off: {_words(error)}")
            return
        if reason is None:
            self._active[kind] = probe
        else:
            self._off[kind] = reason

    def remark(self) -> None:
        """Ask each probe anew whether its movements are recorded."""
        self._cheap = [
            (kind, probe)
            for kind, probe in self._active.items()
            if getattr(probe, "moves_are_recorded", False) is not True
        ]
        self.asked = [_mark_of(probe) for _, probe in self._cheap]

    def _guarded(self, kind: str, probe: Probe, ask: Callable[[], T], instead: T) -> T:
        try:
            return ask()
        except Exception as error:
            self.switch_off(kind, _words(error))
            return instead


def _mechanism(probe: Probe) -> str:
    try:
        return str(probe.mechanism)
    except Exception as error:
        return f"unknown: {_words(error)}"


def _words(error: Exception) -> str:
    try:
        return f"{type(error).__name__}: {error}"
    except Exception:
        return type(error).__name__


def _mark_of(probe: Probe) -> Callable[[], Hashable]:
    """The probe's method, looked up once; one that has none fails when it is called."""
    try:
        return probe.mark
    except Exception:
        return lambda: _mark(probe)


def _mark(probe: Probe) -> Hashable:
    mark = probe.mark()
    hash(mark)
    return mark


def _keys(probe: Probe) -> frozenset[Key]:
    keys = probe.keys()
    if type(keys) is frozenset:
        return keys
    if not isinstance(keys, (set, frozenset, list, tuple)):
        raise Nonsense(f"keys() gave {type(keys).__name__}, not a frozenset")
    return frozenset(keys)


def _described(probe: Probe, kind: str, key: Key) -> Resource:
    resource: object = probe.describe(key)
    if not isinstance(resource, Resource) or resource.kind != kind:
        raise Nonsense(f"describe() gave {type(resource).__name__}, not a Resource of kind {kind!r}")
    for name in ("what", "subject", "fix", "reason"):
        if not isinstance(getattr(resource, name), str):
            raise Nonsense(f"describe() gave a Resource whose {name} is no string")
    if not isinstance(resource.clues, tuple):
        raise Nonsense("describe() gave a Resource whose clues are no tuple")
    return resource
