"""The live side of a check, without pytest: probes, record and collector put together.

The plugin, the ``leak_check`` fixture and the doctor all look through this, so
that the same leak gives the same finding wherever it is asked for.
"""

from __future__ import annotations

import os
import weakref
from collections.abc import Callable, Collection, Iterable
from contextlib import ExitStack
from dataclasses import replace
from functools import cache
from types import FrameType
from typing import Any

from pytest_leakguard import _real, tracked
from pytest_leakguard.collecting import Collecting
from pytest_leakguard.core.ledger import OUTSIDE, Context, Ledger
from pytest_leakguard.core.model import KINDS, Acquisition, Key, Origin, Resource
from pytest_leakguard.joining import join_attached, join_copies, join_event_loops, join_pipes, join_same, mark_of_call
from pytest_leakguard.origins import frames, holders
from pytest_leakguard.origins.audit import Recorder
from pytest_leakguard.origins.closes import Closes
from pytest_leakguard.origins.executors import Executors
from pytest_leakguard.origins.match import Match, Matcher, acquisition_of
from pytest_leakguard.origins.phase import current_phase, sign
from pytest_leakguard.origins.record import Record
from pytest_leakguard.origins.trace import Tracer
from pytest_leakguard.origins.wrap import wrap_thread_start
from pytest_leakguard.probes.connections import EVENT as CONNECT
from pytest_leakguard.probes.connections import ConnectionProbe
from pytest_leakguard.probes.descriptors import DescriptorTable
from pytest_leakguard.probes.fds import FdProbe
from pytest_leakguard.probes.instances import Instances
from pytest_leakguard.probes.locks import LockProbe
from pytest_leakguard.probes.mappings import MappingProbe
from pytest_leakguard.probes.objects import ObjectProbe
from pytest_leakguard.probes.processes import ProcessProbe
from pytest_leakguard.probes.protocol import Probe
from pytest_leakguard.probes.recorded import RecordedProbe
from pytest_leakguard.probes.roster import Census, Roster
from pytest_leakguard.probes.sockets import SocketProbe
from pytest_leakguard.probes.state import StateProbe
from pytest_leakguard.probes.tasks import TaskProbe
from pytest_leakguard.probes.tempfiles import TempProbe
from pytest_leakguard.probes.threads import ThreadProbe, shortener
from pytest_leakguard.probes.unclosed import UnclosedProbe
from pytest_leakguard.stillness import Stillness
from pytest_leakguard.suspects import Item, Suspect
from pytest_leakguard.young import YoungGarbage


class Watch:
    """Looks at the process and explains what it sees.

    Args:
        root: reports tell paths relative to it.
        tmp_roots: paths that start with one of these are cleaned up by pytest.
        others: third-party probes.
    """

    def __init__(
        self, *, root: str, tmp_roots: tuple[str, ...] = (), others: Iterable[Probe] = (), trace: bool = False
    ) -> None:
        self.root = root
        self.pid = _real.getpid()
        self.is_fork = False
        self.ledger = Ledger(current_phase, sign)
        self.recorder = Recorder(self.ledger)
        self.recorder.created.tmp_roots = tmp_roots
        self.table = DescriptorTable()
        short = shortener(root)
        self._threads = ThreadProbe(root)
        self.young = YoungGarbage()
        self.unclosed = UnclosedProbe(self.recorder, short)
        self.objects = ObjectProbe()
        mappings = MappingProbe(self.recorder, short)
        self.connections = ConnectionProbe(self.recorder, short)
        self.executors = Executors(self.recorder)
        self.locks = LockProbe(self.recorder)
        self._recorded: dict[str, RecordedProbe] = {
            probe.kind: probe for probe in (mappings, self.connections, self.executors, self.locks)
        }
        self.tasks = TaskProbe(self.recorder, root=root)
        self.unclosed.on_runtime_warning = self.tasks.note_unawaited
        self.state = StateProbe(self.recorder, root)
        self.instances = Instances(self.objects, self.recorder)
        self.closes = Closes(self.recorder, short)
        self.tracer = Tracer(self.recorder, self.closes) if trace else None
        self.roster = Roster(
            [
                FdProbe(self.table, short),
                SocketProbe(self.table, short),
                mappings,
                self.connections,
                self._threads,
                ProcessProbe(),
                self.locks,
                self.tasks,
                TempProbe(self.recorder, short),
                self.unclosed,
                self.objects,
                self.state,
                *others,
            ],
            before_look=self.table.forget,
        )
        self.state.errors = self.roster.errors
        self.stillness = Stillness(
            recorder=self.recorder, table=self.table, threads=self._threads, objects=self.objects,
            tasks=self.tasks, state=self.state, recorded=self._recorded,
            has_others=bool(self.roster.kinds - set(KINDS)) or not {"fd", "socket"} <= self.roster.kinds,
        )  # fmt: skip
        self.locks.on_first = self.roster.remark
        self._undo: list[Callable[[], None]] = []

    def start(self, kinds: Collection[str] = KINDS) -> None:
        """Begin to record.

        Args:
            kinds: what is watched; asyncio is left alone where that is not among it.
        """
        self.recorder.start()
        if "task" in kinds:
            self.tasks.arm(trace=self.tracer is not None)
        self._undo.append(wrap_thread_start(self.recorder))
        self.executors.start()
        self._undo.append(self.executors.stop)
        self._enter(tracked.trackers, self._track)
        self._enter(tracked.lock_probes, self.locks)
        self._enter(_started, self)
        _stop_in_forks()

    def _enter(self, everyone: list[Any], this: Any) -> None:
        """Be among those until `stop`."""
        everyone.append(this)
        self._undo.append(lambda: everyone.remove(this))

    def stop(self) -> None:
        """Leave the process as it was found, but for the audit hook, which does nothing any more."""
        undo = [
            self.recorder.stop,
            self.unclosed.unwatch,
            self.tasks.disarm,
            self.state.unwatch,
            self.instances.stop,
            *([self.tracer.stop] if self.tracer is not None else ()),
            *reversed(self._undo),
        ]
        self._undo.clear()
        with ExitStack() as stack:  # each of them, whatever another one raises
            for part in reversed(undo):
                stack.callback(part)

    def track(self, obj: object, frame: FrameType) -> None:
        """Watch an object; `frame` is the caller's. Raises TypeError when it can't be weakly referenced."""
        record = Record("leak_check.track", None, frames.walk(frame), self.recorder.context())
        record.how = "track"
        self.objects.track(obj, record)
        self.recorder.moves += 1

    def _track(self, obj: object, frame: FrameType) -> None:
        """`track` in the code under test: outside a checked test it does nothing, and it never raises."""
        context = self.recorder.context()
        if context is OUTSIDE or not self.recorder.active:
            return
        record = Record("track", None, frames.walk(frame), context)
        record.how = "track"
        try:
            self.objects.track(obj, record)
        except TypeError as error:
            place = frames.origin_of(record.stack, root=self.root, how="track", event="track")
            line = f"{error} ({place.file}:{place.line})"
            if line not in self.roster.errors:
                self.roster.errors.append(line)
        self.recorder.moves += 1

    def is_own_process(self) -> bool:
        """False in a fork of it, which must not report, made by Python (`is_fork`) or not."""
        return _real.getpid() == self.pid

    def look(self, kinds: Collection[str] | None = None) -> Census:
        """The census, less what the looking itself takes."""
        before = self.recorder.hush()
        try:
            return self.roster.look(kinds)
        finally:
            self.recorder.unhush(before)

    def items(self, census: Census) -> set[Item]:
        """A census as one set."""
        return {(kind, key) for kind, keys in census.items() for key in keys}

    def look_and_mark(self) -> Census:
        """A census that `stillness` can be asked about."""
        self.stillness.mark()
        return self.look()

    def gone(self, items: Collection[Item]) -> set[Item]:
        """Which of these don't exist any more."""
        kinds = {kind for kind, _ in items}
        return set(items) - self.items(self.look(kinds))

    def collecting(self, whose: Callable[[], Context] | None, forward: Callable[[], object]) -> Collecting:
        """Collections of ours run inside: `Collecting` tells what becomes of what they bring up."""
        return Collecting(self.unclosed, whose, forward)

    def examine(self, items: Collection[Item], otherwise: Acquisition) -> list[Suspect]:
        """Describe resources and find their origins. Costly: for suspects only.

        Args:
            otherwise: what the census alone tells of owner, test and phase.
        """
        with self.recorder.silence():
            numbers = {key[0] for kind, key in items if kind in ("fd", "socket") and isinstance(key, tuple)}
            held = holders.descriptor_holders(numbers)
            matcher = Matcher(self.recorder, tracked=self.objects.records, held=held.__contains__)
            suspects = [self._suspect(item, matcher, otherwise) for item in sorted(items, key=_stable)]
            join_attached(suspects, self.recorder, self.connections, self.root)
            for suspect in suspects:
                suspect.live = self._live(suspect, held)
                suspect.weak = _weak(suspect.live)
            join_same(suspects, self.objects, self.connections)
            join_event_loops(suspects)
            join_pipes(suspects)
            join_copies(suspects)
            held.clear()
            return suspects

    def sketch(self, items: Collection[Item], otherwise: Acquisition) -> list[Suspect]:
        """Explain resources by the record alone: cheaper than `examine`, which asks the heap too."""
        with self.recorder.silence():
            matcher = self.matcher()
            suspects = [self._suspect(item, matcher, otherwise) for item in sorted(items, key=_stable)]
            join_same(suspects, self.objects, self.connections)
            join_event_loops(suspects)
            join_pipes(suspects)
            join_copies(suspects)
            join_attached(suspects, self.recorder, self.connections, self.root)
        return suspects

    def _suspect(self, item: Item, matcher: Matcher, otherwise: Acquisition) -> Suspect:
        kind, key = item
        resource = self.roster.describe(kind, key)
        if kind == "state":
            return Suspect(item, resource, self.state.acquisition(key), None)
        traced = None
        if self.tracer is not None and kind in ("fd", "socket") and isinstance(key, tuple):
            traced = self.tracer.record(key)
        match, whole = (Match(self.tasks.record(key)), None) if kind == "task" else self._match(resource, matcher)
        if whole is not None and whole[0] == "executor":
            resource = self.executors.in_words(resource, whole[1])
        record = match.record
        if traced is not None and (record is None or record.event == "open"):
            # exact: it is about this very descriptor
            record = traced
            origin = frames.origin_of(traced.stack, root=self.root, how="trace", event=traced.event)
            acquisition = Acquisition(
                owner=traced.context.owner,
                test=traced.context.test,
                phase=traced.context.phase,
                origin=origin,
            )
        else:
            acquisition = acquisition_of(match, root=self.root, otherwise=otherwise)
        if kind == "task" and acquisition.origin.file is None:
            acquisition = replace(acquisition, origin=Origin(reason=resource.reason))
        # of the descriptors on a database it is not certain yet which one is the connection's
        is_certain = kind == "fd" and self.connections.whole_of(resource) is None and whole is None
        if is_certain and record is not None and isinstance(key, tuple):
            record.fd, record.inode = key[0], (key[1], key[2])
        mark = whole or (item if kind == "object" else self._mark_of(record))
        return Suspect(item, resource, acquisition, record, mark=mark, whole=whole)

    def _match(self, resource: Resource, matcher: Matcher) -> tuple[Match, Item | None]:
        """The record of a resource, and what it is a part of, or itself, where a probe knows that."""
        for kind, probe in self._recorded.items():
            if (key := probe.whole_of(resource)) is not None:
                # a database may have been opened as a file too
                match = matcher.match(resource) if (resource.kind, kind) == ("fd", "sqlite") else Match(None)
                if match.record is None or match.record.event == CONNECT:
                    return Match(probe.record(key)), (kind, key)
                return match, None
        return matcher.match(resource), None

    def _mark_of(self, record: Record | None) -> Key:
        """Equal for what belongs together: made by one call, or by the constructor of a watched object."""
        key = None if record is None else self.objects.made_with(record)
        return mark_of_call(record) if key is None else ("object", key)

    def describe_now(self, suspect: Suspect) -> Resource:
        """The words for a suspect anew: a thread is elsewhere by now, a child may have ended, an object gone."""
        if suspect.whole is not None and suspect.whole[0] == "executor":
            return self.executors.in_words(suspect.resource, suspect.whole[1])
        if suspect.item[0] not in ("thread", "process", "object"):
            return suspect.resource
        with self.recorder.silence():
            return replace(self.roster.describe(*suspect.item), clues=suspect.resource.clues)

    def examine_unclosed(self, key: Key, matcher: Matcher) -> Suspect:
        """One ResourceWarning: the acquisition if one matches, else what went on when it came."""
        caught = self.unclosed.caught(key)
        resource = self.roster.describe("unclosed", key)
        match = Match(caught.record) if caught.record is not None else matcher.match(resource, caught.count)
        otherwise = Acquisition(
            owner=caught.context.owner, test=caught.context.test, phase=caught.context.phase, origin=Origin()
        )
        acquisition = acquisition_of(match, root=self.root, otherwise=otherwise)
        return Suspect(("unclosed", key), resource, acquisition, match.record, mark=self._mark_of(match.record))

    def matcher(self) -> Matcher:
        """A fresh matcher: each record explains one resource."""
        return Matcher(self.recorder, tracked=self.objects.records)

    def _live(self, suspect: Suspect, held: dict[int, Any]) -> Any:
        if suspect.whole is not None:
            return self._recorded[suspect.whole[0]].live(suspect.whole[1])
        kind, key = suspect.item
        if kind in ("fd", "socket") and isinstance(key, tuple):
            return held.get(key[0])
        if kind == "thread" and isinstance(key, tuple):
            return holders.thread_object(key[0])
        if kind == "object":
            # nothing reaches what is dead: no scope can release it any more
            return object() if self.objects.is_dead(key) else self.objects.live(key)
        if kind == "task":
            return self.tasks.live(key)
        if suspect.record is not None and suspect.record.ref is not None:
            return suspect.record.ref()
        return None

    def live(self, suspect: Suspect) -> Any:
        """The Python object behind a suspect, or None; for a moment only, nothing of it is kept."""
        obj = suspect.weak() if suspect.weak is not None else None
        if obj is not None:
            return obj
        kind, key = suspect.item
        held = holders.descriptor_holders({key[0]} if kind in ("fd", "socket") and isinstance(key, tuple) else ())
        try:
            obj = self._live(suspect, held)
        finally:
            held.clear()
        if obj is None and kind == "process" and isinstance(key, tuple):
            return holders.popen_of(key[0])
        return obj

    def keep_sight(self, suspect: Suspect) -> None:
        """Before its probe forgets a suspect that is told: who holds it is asked later."""
        if suspect.weak is None and suspect.item[0] in ("task", "object"):
            suspect.weak = _weak(self._live(suspect, {}))

    def may_end(self, item: Item) -> bool:
        """Whether a resource could go while this thread waits, as far as its kind tells."""
        kind, key = item
        if kind == "object":
            return not self.objects.is_dead(key)
        return kind != "state" and (kind != "task" or self.tasks.may_end(key))

    def may_still_change(self, hopeless: Collection[Item] = ()) -> bool:
        """Whether any other thread could still release something.

        Args:
            hopeless: leaked threads that were told already; nothing is expected of them.
        """
        if _real.active_count() == 1 and len(_real.current_frames()) == 1:
            return False
        return bool(self.items({"thread": self._threads.keys()}) - set(hopeless))


def _weak(obj: object) -> weakref.ref[Any] | None:
    try:
        return None if obj is None else weakref.ref(obj)
    except TypeError:  # an epoll object, a sqlite connection: searched for again
        return None


_started: list[Watch] = []


@cache
def _stop_in_forks() -> None:
    """A fork of the process must not report; said once, for it can't be taken back."""

    def stop() -> None:
        for watch in _started:
            watch.is_fork = True
            watch.recorder.stop()

    if hasattr(os, "register_at_fork"):
        os.register_at_fork(after_in_child=stop)


def _stable(item: Item) -> tuple[str, str]:
    kind, key = item
    return kind, repr(key)
