"""Whether nothing came and nothing went: the cheap question, so that most tests need no census."""

from __future__ import annotations

from collections.abc import Mapping, Sized
from dataclasses import dataclass, field
from typing import cast

from pytest_leakguard.core.model import Key
from pytest_leakguard.origins.audit import Recorder
from pytest_leakguard.probes.descriptors import DescriptorKey, DescriptorTable, Picture
from pytest_leakguard.probes.objects import ObjectProbe
from pytest_leakguard.probes.processes import has_children
from pytest_leakguard.probes.recorded import RecordedProbe
from pytest_leakguard.probes.roster import Census
from pytest_leakguard.probes.state import StateProbe
from pytest_leakguard.probes.tasks import TaskProbe
from pytest_leakguard.probes.threads import ThreadProbe

_NONE: frozenset[Key] = frozenset()


@dataclass(slots=True, kw_only=True)
class Stillness:
    """Compares what can be counted with what it was at the last census.

    Attributes:
        recorded: the probes that see by the record, by their kinds.
        of_capture: descriptors that pytest's capturing sets and uses all the time. They need no look after each
            test: in the place of one, what a test left would be overwritten, or written to.
        has_others: there are probes of which nothing cheap is known, or descriptors can't be seen.
    """

    recorder: Recorder
    table: DescriptorTable
    threads: ThreadProbe
    objects: ObjectProbe
    tasks: TaskProbe
    state: StateProbe
    recorded: Mapping[str, RecordedProbe]
    has_others: bool
    of_capture: frozenset[int] = frozenset()
    _thread_mark: tuple[int, int] = (-1, -1)
    _process_starts: int = 0
    _task_mark: int = -1
    _pictured: Census | None = None
    _picture: Picture = field(default_factory=lambda: Picture(()))
    _is_plain: bool = False
    _had_passing: bool = False
    _objects: frozenset[Key] = _NONE
    _tasks: frozenset[Key] | None = None
    _states: frozenset[Key] = _NONE
    _count: int = 0
    _kept: tuple[Sized, ...] = ()

    def __post_init__(self) -> None:
        recorded = tuple(kept for probe in self.recorded.values() for kept in probe.kept)
        self._kept = (self.recorder.created, self.state.kept, *self.objects.kept, *recorded)

    def mark(self) -> None:
        """A census is about to be made."""
        recorder = self.recorder
        self._thread_mark = (self.threads.mark(), recorder.thread_starts)
        self._process_starts = recorder.process_starts
        self._task_mark = self.tasks.mark()

    def holds(self, census: Census, *, thorough: bool = False, descriptors: int | None = None) -> bool:
        """Whether certainly nothing came and nothing went since that census; cheaper than a new one.

        Args:
            thorough: ask for child processes too when none was seen to start.
            descriptors: how many are open now, when that was asked just now.
        """
        if census is not self._pictured:
            self._take(census)
        if self._had_passing or self.recorder.process_starts != self._process_starts:
            return False
        if thorough and has_children():
            return False
        # nearly always there is nothing else than descriptors, and no need to ask each probe for itself
        if self._is_plain and self.objects.before_look is None and not any(self._kept):
            if self.threads.mark() or (self.tasks.mark() != self._task_mark and self.tasks.keys()):
                return False
        elif not self._holds_each(census):
            return False
        return (self.table.count() if descriptors is None else descriptors) == self._count and self._picture.is_still()

    def _holds_each(self, census: Census) -> bool:
        recorder = self.recorder
        if recorder.created or self.objects.keys() != self._objects:
            return False
        for kind, probe in self.recorded.items():
            if kind in census and probe.keys() != census[kind]:
                return False
        if (self._tasks or self.tasks.mark() != self._task_mark) and self.tasks.keys() != self._tasks:
            return False
        if self.state.keys() != self._states:
            return False
        return (self.threads.mark(), recorder.thread_starts) == self._thread_mark or self._same_threads(census)

    def _take(self, census: Census) -> None:
        """What can be worked out of a census once, for all the tests that are compared with it."""
        pictured = cast("frozenset[DescriptorKey]", census.get("fd", frozenset()) | census.get("socket", frozenset()))
        self._picture = Picture(key for key in pictured if key[0] not in self.of_capture)
        # what may go at any time is asked for one by one, and what only a third party knows
        self._had_passing = bool(census.get("temp") or census.get("process") or self.has_others)
        self._objects = census.get("object", _NONE)
        self._tasks = census.get("task")
        self._states = census.get("state", _NONE)
        self._is_plain = not any(keys for kind, keys in census.items() if kind not in ("fd", "socket"))
        self._count = _descriptors_in(census)
        self._pictured = census

    def as_many_descriptors(self, census: Census) -> bool:
        """Whether as many are open as in that census."""
        return self.table.count() == _descriptors_in(census)

    def _same_threads(self, census: Census) -> bool:
        alive, _ = mark = (self.threads.mark(), self.recorder.thread_starts)
        # none before and none now: nothing can have taken another's place
        if (alive or census.get("thread")) and self.threads.keys() != census.get("thread"):
            return False
        self._thread_mark = mark
        return True


def _descriptors_in(census: Census) -> int:
    return len(census.get("fd", ())) + len(census.get("socket", ()))
