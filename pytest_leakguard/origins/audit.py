"""What was acquired, by whom and where: the record that the audit hook fills.

It never holds a user object (only weak references, ids and numbers) and never
runs user code.

What raises no event (threads before 3.12, dup, pipe, every close) is reached by
`wrap` and `trace`, or only seen by the census.
"""

from __future__ import annotations

import _socket
import os
import threading
import weakref
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType, MethodType
from typing import Any, cast

from pytest_leakguard import _real, native
from pytest_leakguard.core.ledger import OUTSIDE, Context, Ledger
from pytest_leakguard.core.model import How
from pytest_leakguard.origins import forkserver, frames, hook
from pytest_leakguard.origins.created import CreatedPaths
from pytest_leakguard.origins.hook import Handlers
from pytest_leakguard.origins.record import (
    BLOCK,
    Record,
    boot_seconds,
    inode_of,
    inode_of_path,
    is_pool_worker,
    plain_path,
    socket_fileno,
)

_recorders: list[Recorder] = []
KEPT_RECORDS = 20_000
"""Records kept at most; the oldest go first. Only a leak older than that loses its origin."""
LOOKUPS_PER_TEST = 50
"""How often a test may open a path anew and have the earlier descriptor looked up."""
THREADS_KEPT = 200
"""Records of thread starts after which those of dead threads are dropped."""
KEPT_FOR_FIXTURES = 2_000
"""Records kept from test to test at most, for wider fixtures that are alive."""


class Recorder(native.Recording):
    """What was acquired, by whom and where, while it is switched on.

    The commonest events are handled by the part in C, where there is one, on the thread that runs the tests: it does
    what the methods here do.
    """

    def __init__(self, ledger: Ledger) -> None:
        self._tools = (BLOCK, _socket.socket.fileno, frames.IMPORTERS, threading.Thread)  # for the part in C
        self.ledger = ledger
        self.active = False
        """Whether this recorder is the one that the hook feeds."""
        self.home = _real.get_ident()
        self.moves = 0
        self.thread_starts = 0
        self.process_starts = 0
        self.count = 0
        self.records: deque[Record] = deque(maxlen=KEPT_RECORDS)  # any thread may add: go through a copy of it
        self.before: tuple[Record, ...] = ()
        self.created = CreatedPaths(self._moved, self.records)
        self._unresolved: list[Record] = []
        self.known: Callable[[], frozenset[Any]] = frozenset
        """Gives the descriptors that were there at the last look, as the fd probe names them."""
        self.has_new: Callable[[], bool] = lambda: True
        """Cheap: whether there may be descriptors that were not there at the last look."""
        self._closed_until = 0
        self._closing: list[tuple[list[Record], Callable[[Record], object]]] = []
        self._opened: dict[str, Record] = {}
        self._lookups = 0
        self._thread_records: dict[int, Record] = {}
        self.waiting: list[Callable[[], object]] = []
        """Called once by `resolve`, at the latest when the next acquisition starts."""
        self._handlers: Handlers = {
            "open": self._on_open,
            "os.scandir": self._on_path,
            "socket.__new__": self._on_socket,
            "socket.bind": self._on_bind,
            "socket.connect": self._on_connect,
            "sqlite3.connect": self._on_sqlite,
            "subprocess.Popen": self._on_spawn,
            "os.fork": self._on_spawn,
            "os.forkpty": self._on_spawn,
            "os.posix_spawn": self._on_spawn,
            "_thread.start_new_thread": self._on_thread,
            "_thread.start_joinable_thread": self._on_thread,
            "os.mkdir": self.created.on_mkdir,
            "os.rename": self.created.on_rename,
            "os.link": self.created.on_second_path,
            "os.symlink": self.created.on_second_path,
        }
        if native.part is not None:
            self._handlers.update(
                {
                    "open": self.open_event,
                    "socket.__new__": self.socket_event,
                    "socket.bind": self.bind_event,
                    "socket.connect": self.connect_event,
                    "os.mkdir": self.mkdir_event,
                }
            )
        self._listeners = {event: [handler] for event, handler in self._handlers.items()}

    def listen(self, handlers: Handlers) -> None:
        """Have more events handled, after whoever handles them already; they must not raise or keep anything.

        Saying it twice is harmless: who watches again after a pause does.
        """
        for event, handler in handlers.items():
            listeners = self._listeners.setdefault(event, [])
            if handler not in listeners:
                listeners.append(handler)
                self._handlers[event] = hook.in_turn(listeners)
        hook.changed(self._handlers)

    def unlisten(self, handlers: Handlers) -> None:
        """End of `listen`."""
        for event, handler in handlers.items():
            listeners = self._listeners.get(event, [])
            if handler in listeners:
                listeners.remove(handler)
                if listeners:
                    self._handlers[event] = hook.in_turn(listeners)
                else:
                    del self._handlers[event]
        hook.changed(self._handlers)

    def note(self, event: str, frame: FrameType | None, detail: object = None) -> Record:
        """Record an acquisition for a handler that stands elsewhere."""
        self.moves += 1
        return self._add(event, detail, frame)

    def start(self) -> None:
        """Record from now on."""
        _recorders.append(self)
        _feed_last()

    @contextmanager
    def silence(self) -> Iterator[None]:
        """Leave out what this thread acquires inside the block: our own reading of the process."""
        before = hook.hush()
        try:
            yield
        finally:
            hook.unhush(before)

    hush = staticmethod(hook.hush)
    unhush = staticmethod(hook.unhush)

    def stop(self) -> None:
        """Stop recording; the hook stays and does nothing."""
        if self in _recorders:
            _recorders.remove(self)
            self.active = False
        _feed_last()

    @staticmethod
    @contextmanager
    def unharmed() -> Iterator[None]:
        """For work of ours inside a call of the user's: an error of it is told, and goes no further."""
        try:
            yield
        except Exception as error:
            hook.note_failure(error)

    def context(self) -> Context:
        """Who owns what this thread acquires now.

        On the thread that runs the tests that is the ledger's word. Any other
        thread carries the owner of the moment it was started: a server thread
        of a session fixture accepts connections for that fixture, whatever test
        is running. A thread nobody recorded was there before: nobody's.
        """
        ident = _real.get_ident()
        return self.ledger.now if ident == self.home else self._context_of(ident, self.started_by(ident))

    def _context_of(self, ident: int, started: Record | None) -> Context:
        now = self.ledger.now
        if started is None:
            return now
        owner = started.context.owner
        if owner.kind == "test":
            # a pool's worker that an earlier test left alive works for this one now
            return now if now is not OUTSIDE and is_pool_worker(ident) else started.context
        return OUTSIDE if owner.kind == "nobody" else Context(owner, started.context.test, now.phase)

    def clear(self) -> None:
        """Forget all that was recorded."""
        self.records.clear()
        self.created.clear()
        self._thread_records.clear()
        self._closing.clear()
        self._unresolved.clear()
        self._opened.clear()
        self._lookups = 0

    def started_by(self, ident: int) -> Record | None:
        """The record of the start of the thread with that ident."""
        thread = threading._active.get(ident)  # type: ignore[attr-defined]
        record = self._thread_records.get(_real.identity(thread))
        if record is not None and record.ref is not None and record.ref() is thread:
            return record
        return None

    def resolve(self) -> None:
        """Ask new sockets for their descriptors: the event comes before there is one."""
        if native.part is not None:
            self.resolve_all()
        else:
            self._resolve()

    def _resolve(self) -> None:
        while self.waiting:
            self.waiting.pop()()
        if self._closing:
            questions, self._closing = self._closing, []
            for records, answer in questions:
                closed = [record for record in records if inode_of(record.fd) != record.inode]
                if closed:
                    answer(closed[0])
        if self._unresolved:
            pending, self._unresolved = self._unresolved, []
            for record in pending:
                sock = record.ref() if record.ref is not None else None
                if sock is not None:
                    record.fd = socket_fileno(sock)
                    record.inode = inode_of(record.fd)

    def set_before(self) -> None:
        """What was recorded so far was there before the first test; kept apart, never forgotten."""
        # a bare number says nothing any more when others have used it since
        kept = [record for record in tuple(self.records) if type(record.detail) is not int]
        self.before = (*self.before, *kept)[-KEPT_RECORDS:]
        self.records.clear()

    def ask_which_closed(self, path: str, answer: Callable[[Record], object]) -> None:
        """A file of that name dies now: of several opens of it, the one whose descriptor is closed next.

        Only those count whose descriptor is known; asked again when the next
        acquisition starts, or when the test is judged.
        """
        last = self._opened.get(path)
        if last is not None and last.fd < 0:
            self._find_descriptor(last)  # it may be the one: not closed yet
        # a number is that of the latest that had it; an earlier open of the same file was closed before
        latest = {r.fd: r for r in tuple(self.records) if r.event == "open" and r.detail == path and r.fd >= 0}
        records = []
        for record in latest.values():
            if not record.spent:
                record.inode = inode_of(record.fd)
                if record.inode is not None:
                    records.append(record)
        if records:
            self._closing.append((records, answer))

    @property
    def has_questions(self) -> bool:
        """Whether `resolve` has something to find out that may be lost later."""
        return bool(self._closing)

    def forget(self) -> None:
        """Drop the records that can't become the origin of a leak any more."""
        if not self.records:
            return
        kept = [
            record
            for record in tuple(self.records)
            if (not record.context.is_of_test or record.pinned or record.blamed) and self._may_explain(record)
        ]
        if len(kept) > KEPT_FOR_FIXTURES:
            kept = kept[-KEPT_FOR_FIXTURES:]
        self.records.clear()
        self.records.extend(kept)
        self._opened.clear()
        self._lookups = 0
        if len(self._thread_records) > THREADS_KEPT:
            self._thread_records = {
                key: record
                for key, record in self._thread_records.items()
                if record.ref is not None and record.ref() is not None
            }

    def _may_explain(self, record: Record) -> bool:
        if record.pinned or record.blamed:
            return True
        owner = record.context.owner
        if owner.kind not in ("fixture", "node") or not self.ledger.is_alive(owner.serial):
            return False
        return record.ref is None or record.ref() is not None

    def thread_starting(self, function: object, how: How, frame: FrameType | None) -> None:
        """A thread is about to start; `function` is what it will run."""
        if native.part is not None:
            self.thread_event(function, how, frame)
            return
        self.moves += 1
        self.thread_starts += 1
        record = self._add("thread start", None, frame)
        record.how = how
        thread = function.__self__ if type(function) is MethodType else None
        if isinstance(thread, threading.Thread):
            record.ref = weakref.ref(thread)
            self._thread_records[_real.identity(thread)] = record

    def _open_again(self, earlier: Record) -> None:
        if self._lookups < LOOKUPS_PER_TEST:
            self._find_descriptor(earlier)

    def _find_descriptor(self, record: Record) -> None:
        """The same path is opened again: which descriptor is the earlier one, or is it closed by now?

        Without this, two places that open one path could not be told apart later.
        """
        if not self.has_new():
            # no descriptor is there that was not known before: nor is any of the earlier opens
            self._closed_until = self.count
            record.over = True
            return
        self._lookups += 1
        try:
            wanted = inode_of_path(str(record.detail))
            numbers = sorted(int(name) for name in _real.listdir("/proc/self/fd"))
        except (OSError, ValueError):
            return
        taken = {key[0] for key in self.known() if key[1:3] == wanted}
        for other in tuple(self.records):
            if other.detail == record.detail and other.fd >= 0 and not other.over and not other.spent:
                # an earlier one whose number leads elsewhere by now is closed
                may_be_open = other.number > self._closed_until or other.pinned or other.blamed
                if may_be_open and inode_of(other.fd) == wanted:
                    taken.add(other.fd)
                else:
                    other.over = True
        for number in numbers:
            if number not in taken and inode_of(number) == wanted:
                record.fd, record.inode = number, wanted
                return
        record.over = True

    def _add(self, event: str, detail: object, frame: FrameType | None) -> Record:
        if native.part is not None:
            return cast(Record, self.add(event, detail, frame))
        return self._add_elsewhere(event, detail, frame)

    def _add_elsewhere(self, event: str, detail: object, frame: FrameType | None) -> Record:
        """`_add` on any thread."""
        if self._unresolved or self._closing or self.waiting:
            self.resolve()
        ident = _real.get_ident()
        if ident == self.home:
            started, context = None, self.ledger.now
        else:
            started = self.started_by(ident)
            context = self._context_of(ident, started)
        record = Record(event, detail, frames.walk(frame), context)
        self.count += 1
        record.number = self.count
        # a thread works for the block that it was started in
        record.block = BLOCK.get() or (0 if started is None else started.block)
        self.records.append(record)
        return record

    def _moved(self, event: str, detail: object, frame: FrameType | None) -> Record:
        self.moves += 1
        return self._add(event, detail, frame)

    def _on_open(self, args: Any, frame: FrameType | None) -> None:
        path, mode, flags = args
        if frames.is_importing(frame):
            return
        detail = plain_path(path)
        self.moves += 1
        earlier = self._opened.get(detail) if type(detail) is str else None
        if earlier is not None:
            self._open_again(earlier)
        record = self._add("open", detail, frame)
        record.raw = mode is None
        if type(detail) is str:
            self._opened[detail] = record
        if type(detail) is str and type(flags) is int and flags & os.O_CREAT:
            self.created.opening(detail, record)

    def _on_path(self, args: Any, frame: FrameType | None) -> None:
        self.moves += 1
        record = self._add("os.scandir", plain_path(args[0]), frame)
        record.raw = True

    def _on_socket(self, args: Any, frame: FrameType | None) -> None:
        self.moves += 1
        sock = args[0]
        record = self._add("socket.__new__", None, frame)
        record.object_id = id(sock)
        try:
            record.ref = weakref.ref(sock)
        except TypeError:  # a bare _socket.socket
            return
        self._unresolved.append(record)

    def _on_bind(self, args: Any, frame: FrameType | None) -> None:
        self.resolve()
        address = args[1]
        if type(address) is str and address and not address.startswith("\0"):
            self.created.making(address, "socket.bind", frame)

    def _on_connect(self, args: Any, frame: FrameType | None) -> None:
        self.resolve()
        if forkserver.is_asked(args[1]):
            self._process_starting(frame)

    def _on_sqlite(self, args: Any, frame: FrameType | None) -> None:
        database = plain_path(args[0])
        self.moves += 1
        record = self._add("sqlite3.connect", database, frame)
        record.raw = True
        if type(database) is str and database and database != ":memory:" and not database.startswith("file:"):
            self.created.opening(database, record)

    def _on_spawn(self, args: Any, frame: FrameType | None) -> None:
        self._process_starting(frame)

    def _process_starting(self, frame: FrameType | None) -> None:
        self.moves += 1
        self.process_starts += 1
        record = self._add("process start", None, frame)
        record.when = boot_seconds()
        while frame is not None and frames.region(frame.f_code.co_filename) == "stdlib":
            # the object that will know the pid: subprocess's or multiprocessing's Popen
            holder = frame.f_locals.get("self")
            if type(holder).__name__ == "Popen":
                record.ref = weakref.ref(holder)
                break
            frame = frame.f_back

    def _on_thread(self, args: Any, frame: FrameType | None) -> None:
        self.thread_starting(args[0], "audit", frame)


def _feed_last() -> None:
    # a session may run inside a test of another: that one records on afterwards
    for recorder in _recorders:
        recorder.active = recorder is _recorders[-1]
    hook.feed(_recorders[-1]._handlers if _recorders else {})
