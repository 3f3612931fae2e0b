"""The live side of a check, without pytest: probes, record and collector put together.

The plugin, the ``leak_check`` fixture and the doctor all look through this, so
that the same leak gives the same finding wherever it is asked for.
"""

from __future__ import annotations

import io
import os
import sys
from collections.abc import Callable, Collection, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from types import FrameType
from typing import Any, cast

from pytest_leakguard import _real, tracked
from pytest_leakguard.core.ledger import OUTSIDE, Context, Ledger
from pytest_leakguard.core.model import KINDS, Acquisition, Key, Origin, Resource
from pytest_leakguard.origins import frames, holders
from pytest_leakguard.origins.audit import Recorder
from pytest_leakguard.origins.match import Match, Matcher, acquisition_of, is_event_loop, is_popen_pipe
from pytest_leakguard.origins.record import Record
from pytest_leakguard.origins.trace import Tracer
from pytest_leakguard.origins.wrap import wrap_thread_start
from pytest_leakguard.probes.descriptors import DescriptorKey, DescriptorTable
from pytest_leakguard.probes.fds import FdProbe
from pytest_leakguard.probes.instances import Instances
from pytest_leakguard.probes.objects import ObjectProbe
from pytest_leakguard.probes.processes import ProcessProbe, has_children
from pytest_leakguard.probes.protocol import Probe
from pytest_leakguard.probes.roster import Census, Roster
from pytest_leakguard.probes.sockets import SocketProbe
from pytest_leakguard.probes.tempfiles import TempProbe
from pytest_leakguard.probes.threads import ThreadProbe, shortener
from pytest_leakguard.probes.unclosed import UnclosedProbe

Item = tuple[str, Key]
"""Kind and key: one resource."""


@dataclass(slots=True)
class Suspect:
    """A resource that is new, with all that is known of it.

    Attributes:
        live: the Python object behind it, if one was found; never kept beyond a judgement.
        mark: equal for what one call acquired together.
    """

    item: Item
    resource: Resource
    acquisition: Acquisition
    record: Record | None
    live: Any = None
    mark: Key = None


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
        self.ledger = Ledger(_pytest_tears_down)
        self.recorder = Recorder(self.ledger)
        self.recorder.tmp_roots = tmp_roots
        self.table = DescriptorTable()
        short = shortener(root)
        self._threads = ThreadProbe(root)
        self.unclosed = UnclosedProbe(self.recorder, short)
        self.objects = ObjectProbe()
        self.instances = Instances(self.objects, self.recorder)
        self.tracer = Tracer(self.recorder) if trace else None
        self.roster = Roster(
            [
                FdProbe(self.table, short),
                SocketProbe(self.table, short),
                self._threads,
                ProcessProbe(),
                TempProbe(self.recorder, short),
                self.unclosed,
                self.objects,
                *others,
            ],
            before_look=self.table.forget,
        )
        self._others = bool(self.roster.kinds - set(KINDS)) or not {"fd", "socket"} <= self.roster.kinds
        self._thread_mark = (-1, -1)
        self._undo: list[Callable[[], None]] = []

    def start(self) -> None:
        """Begin to record."""
        self.recorder.start()
        self._undo.append(wrap_thread_start(self.recorder))
        tracked.trackers.append(self._track)
        if hasattr(os, "register_at_fork"):
            os.register_at_fork(after_in_child=self._in_child)

    def stop(self) -> None:
        """Leave the process as it was found, but for the audit hook, which does nothing any more."""
        self.recorder.stop()
        self.unclosed.unwatch()
        self.instances.stop()
        if self._track in tracked.trackers:
            tracked.trackers.remove(self._track)
        if self.tracer is not None:
            self.tracer.stop()
        while self._undo:
            self._undo.pop()()

    def _join_attached(self, suspects: list[Suspect]) -> None:
        """ATTACH opens a database inside sqlite and raises no event: it goes with the connection made last."""
        latest = next((r for r in reversed(self.recorder.records) if r.event == "sqlite3.connect"), None)
        for suspect in suspects if latest is not None else ():
            path = next((str(value) for clue, value in suspect.resource.clues if clue == "path"), "")
            if suspect.record is None and suspect.item[0] == "fd" and _is_database(path):
                suspect.record = latest
                reason = "a database attached to a sqlite connection; ATTACH raises no event, try --leakguard-trace"
                connection = acquisition_of(Match(latest), root=self.root, otherwise=suspect.acquisition)
                suspect.acquisition = replace(connection, origin=Origin(reason=reason))

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

    def is_hopeless(self, item: Item) -> bool:
        """Whether nothing can release it any more, so that waiting is in vain."""
        return item[0] == "object" and self.objects.is_dead(item[1])

    def is_own_process(self) -> bool:
        """False in a fork of it, which must not report."""
        return _real.getpid() == self.pid

    def _in_child(self) -> None:
        self.recorder.stop()

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

    def is_still(self, census: Census) -> bool:
        """Whether certainly nothing came and nothing went since that census; cheaper than a new one."""
        if census.get("temp") or self.recorder.created or self._others:
            return False
        if self.objects.keys() != census.get("object", frozenset()):
            return False
        if census.get("process") or has_children():
            return False
        mark = (self._threads.mark(), self.recorder.thread_starts)
        if mark != self._thread_mark:
            if self._threads.keys() != census.get("thread"):
                return False
            self._thread_mark = mark
        descriptors = census.get("fd", frozenset()) | census.get("socket", frozenset())
        return self.table.is_still(cast("frozenset[DescriptorKey]", descriptors))

    def look_and_mark(self) -> Census:
        """A census that `is_still` can be asked about."""
        self._thread_mark = (self._threads.mark(), self.recorder.thread_starts)
        return self.look()

    def gone(self, items: Collection[Item]) -> set[Item]:
        """Which of these don't exist any more."""
        kinds = {kind for kind, _ in items}
        return set(items) - self.items(self.look(kinds))

    @contextmanager
    def collecting(self, context: Context | None, forward: Callable[[], None]) -> Iterator[None]:
        """Collections of ours run inside: what they bring up belongs to the judged test.

        A ResourceWarning that the user's filters turn into an error comes out of
        a finalizer as unraisable; the passive filter has noted it already.
        Anything else goes on to the hook that was there, and `forward` is told.
        """
        original = sys.unraisablehook

        def hook(unraisable: Any) -> None:
            if not isinstance(unraisable.exc_value, ResourceWarning):
                forward()
                original(unraisable)

        before, self.unclosed.by_collector = self.unclosed.by_collector, context
        sys.unraisablehook = hook
        try:
            yield
        finally:
            if sys.unraisablehook is hook:
                sys.unraisablehook = original
            self.unclosed.by_collector = before

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
            for suspect in suspects:
                suspect.live = self._live(suspect, held)
            _join_event_loops(suspects)
            _join_pipes(suspects)
            self._join_attached(suspects)
            _join_copies(suspects)
            held.clear()
            return suspects

    def sketch(self, items: Collection[Item], otherwise: Acquisition) -> list[Suspect]:
        """Explain resources by the record alone: cheaper than `examine`, which asks the heap too."""
        with self.recorder.silence():
            matcher = self.matcher()
            suspects = [self._suspect(item, matcher, otherwise) for item in sorted(items, key=_stable)]
            self._join_attached(suspects)
        return suspects

    def _suspect(self, item: Item, matcher: Matcher, otherwise: Acquisition) -> Suspect:
        kind, key = item
        resource = self.roster.describe(kind, key)
        traced = None
        if self.tracer is not None and kind in ("fd", "socket") and isinstance(key, tuple):
            traced = self.tracer.record(key)
        match = matcher.match(resource)
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
        if kind == "fd" and record is not None and isinstance(key, tuple):
            record.fd, record.inode = key[0], (key[1], key[2])
        mark = item if kind == "object" else self._mark_of(record)
        return Suspect(item, resource, acquisition, record, mark=mark)

    def _mark_of(self, record: Record | None) -> Key:
        """Equal for what belongs together: made by one call, or by the constructor of a watched object."""
        key = None if record is None else self.objects.made_with(record)
        return _mark(record) if key is None else ("object", key)

    def describe_now(self, suspect: Suspect) -> Resource:
        """The words for a suspect anew: a thread is elsewhere by now, a child may have ended, an object gone."""
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
        kind, key = suspect.item
        if kind in ("fd", "socket") and isinstance(key, tuple):
            if key[0] in held:
                return held[key[0]]
            record = suspect.record
            if record is not None and record.event == "sqlite3.connect":
                return holders.object_with_id(record.object_id, "sqlite3.Connection")
            return None
        if kind == "thread" and isinstance(key, tuple):
            return holders.thread_object(key[0])
        if kind == "object":
            # nothing reaches what is dead: no scope can release it any more
            return object() if self.objects.is_dead(key) else self.objects.live(key)
        if suspect.record is not None and suspect.record.ref is not None:
            return suspect.record.ref()
        return None

    def may_still_change(self, hopeless: Collection[Item] = ()) -> bool:
        """Whether any other thread could still release something.

        Args:
            hopeless: leaked threads that were told already; nothing is expected of them.
        """
        if _real.active_count() == 1 and len(_real.current_frames()) == 1:
            return False
        return bool(self.items({"thread": self._threads.keys()}) - set(hopeless))


def _pytest_tears_down() -> bool:
    # pytest's own word for where it is; a test that empties the environment leaves us with "call"
    return _real.environ_get("PYTEST_CURRENT_TEST", "").endswith("(teardown)")


def _stable(item: Item) -> tuple[str, str]:
    kind, key = item
    return kind, repr(key)


def _mark(record: Record | None) -> Key:
    """Equal for resources that one call acquired together: a child and its pipes, a loop's sockets."""
    if record is None or not (record.event == "process start" or is_popen_pipe(record) or is_event_loop(record)):
        return None
    for index, (code, lasti) in enumerate(record.stack):
        if frames.region(code.co_filename) != "stdlib":
            return (code.co_filename, code.co_name, lasti, len(record.stack) - index)
    return None


def _join_pipes(suspects: list[Suspect]) -> None:
    """The pipes that a child's own object holds are parts of the child."""
    for child in suspects:
        if child.item[0] == "process" and child.live is not None:
            child.mark = child.item
            numbers = _pipes_of(child.live)
            for suspect in suspects:
                if suspect.item[0] == "fd" and isinstance(suspect.item[1], tuple) and suspect.item[1][0] in numbers:
                    suspect.mark = child.mark


def _pipes_of(popen: Any) -> set[int]:
    """The descriptors that subprocess's or multiprocessing's Popen keeps."""
    attributes = vars(popen)
    candidates: list[Any] = [attributes.get("sentinel")]
    for args in getattr(attributes.get("finalizer"), "_args", None) or ():
        candidates.extend(args if isinstance(args, (tuple, list)) else (args,))
    for name in ("stdin", "stdout", "stderr"):
        stream = attributes.get(name)
        if isinstance(stream, io.IOBase) and not stream.closed:
            candidates.append(stream.fileno())
    return {number for number in candidates if type(number) is int}


def _is_database(path: str) -> bool:
    """Whether a file is sqlite's, or will be: it is empty until something is written."""
    try:
        with open(path, "rb") as file:
            start = file.read(16)
    except (OSError, ValueError):
        return False
    return start.startswith(b"SQLite format 3") or (not start and os.path.splitext(path)[1] in _DATABASE_ENDINGS)


_DATABASE_ENDINGS = (".db", ".db3", ".sqlite", ".sqlite3")


def _join_copies(suspects: list[Suspect]) -> None:
    """A second descriptor on the same file (dup, mmap) shares its owner; where it was made stays unknown."""
    originals = {
        clue: suspect for suspect in suspects if suspect.record is not None for clue in suspect.resource.clues
        if clue[0] == "inode"
    }  # fmt: skip
    for suspect in suspects:
        if suspect.record is None and suspect.item[0] == "fd":
            original = next((originals[clue] for clue in suspect.resource.clues if clue in originals), None)
            if original is not None:
                suspect.record = original.record
                suspect.acquisition = replace(original.acquisition, origin=suspect.acquisition.origin)


def _join_event_loops(suspects: list[Suspect]) -> None:
    """An event loop is a selector and a pair of sockets: its epoll descriptor takes their origin."""
    loops = [s for s in suspects if s.record is not None and is_event_loop(s.record)]
    polls = [s for s in suspects if s.resource.subject == "epoll"]
    for loop, poll in zip(loops[::2], polls, strict=False):
        poll.mark = loop.mark
        poll.acquisition = loop.acquisition
    for loop in loops:
        loop.resource = replace(
            loop.resource,
            what="event loop that was not closed, with its selector and socket pair",
            subject="event loop",
            fix="close the loop on every path; asyncio.run and asyncio.Runner do",
        )
