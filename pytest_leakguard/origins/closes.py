"""Closes that hit the wrong descriptor: a second one of the same number, or one under the object that owns it.

No event tells of a close, so most of this works under ``--leakguard-trace`` only: there the
tracer tells which descriptor each call closed, ``os.close`` is wrapped, and a file or socket
object that is about to close is asked whether its number still leads anywhere. Without it one
thing is seen, at no cost: a socket that was known, is gone, and whose object still believes
that it is open.

Left out is what is meant: a close inside ``pytest.raises`` or ``assertRaises``, the loop that closes
every number there could be, and the standard library's own bookkeeping.
"""

from __future__ import annotations

import _socket
import errno
import os
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from types import FrameType
from typing import Any, cast

from pytest_leakguard import _real
from pytest_leakguard.core.ledger import OUTSIDE, Context
from pytest_leakguard.core.model import Key
from pytest_leakguard.core.verdict import Case
from pytest_leakguard.origins import frames
from pytest_leakguard.origins.audit import Recorder
from pytest_leakguard.origins.expected import is_expected
from pytest_leakguard.origins.misclosed import Misclosed
from pytest_leakguard.origins.owners import number_of, owner_of
from pytest_leakguard.origins.record import BLOCK, Record, inode_of, socket_fileno
from pytest_leakguard.probes.descriptors import DescriptorKey, key_of
from pytest_leakguard.probes.fds import descriptor_path

_PASSES_ON = ("contextlib.py", "functools.py", "weakref.py")
"""Parts of the standard library that only call what the user gave them."""
_STANDARD = 3
"""Numbers below are stdin, stdout and stderr, which a program may close and replace as it likes."""
_ONE_CLOSER = (
    "let one place close it and forget the number there: by the second close another thread may have been given it"
)
_BY_ITS_OBJECT = (
    "close the object instead, or take the number out of it with detach() first: its own close will hit "
    "whoever is given the number next"
)


@dataclass(slots=True)
class Closing:
    """The last close of a number.

    Attributes:
        excused: it was told already, or follows from one that was.
    """

    key: DescriptorKey
    path: str
    record: Record
    excused: bool = False


class Closes:
    """Keeps the wrong closes until they are judged.

    Attributes:
        opened: the record of the call that opened a descriptor, where that was traced.
    """

    def __init__(self, recorder: Recorder, shorten: Callable[[str], str] = str) -> None:
        self._recorder = recorder
        self._shorten = shorten
        self._closed: dict[int, Closing] = {}
        self._robbed: set[int] = set()
        self._seen: list[tuple[Misclosed, Key, Closing | None]] = []
        self.kept = self._seen
        """Empty while there is nothing to judge."""
        self._sweeps: set[Key] = set()
        self.opened: Callable[[DescriptorKey], Record | None] = lambda key: None

    def take(self, root: str, otherwise: Context, is_others: Callable[[int], bool] = lambda block: False) -> list[Case]:
        """What was seen since the last time, less what a loop over all numbers met.

        Args:
            otherwise: whose doing it must have been where no close was seen.
            is_others: whether what was done in the block with that serial is left for another time.
        """
        seen = [one for one in self._seen if not is_others(one[0].block)]
        self._seen[:] = [one for one in self._seen if is_others(one[0].block)]
        cases = []
        for one, place, closing in seen:
            if place not in self._sweeps and not (closing is not None and closing.excused):
                cases.append(one.case(root, otherwise))
                if closing is not None:
                    closing.excused = True
        self._sweeps.clear()
        return cases

    def clear(self) -> None:
        """Forget all that was seen."""
        self._closed.clear()
        self._robbed.clear()
        self._seen.clear()
        self._sweeps.clear()

    def note(self, keys: Iterable[DescriptorKey], stack: frames.Stack, event: str) -> None:
        """These have been closed by that call; the wrapper of ``os.close`` has noted its own already."""
        for key in keys if frames.region(stack[0][0].co_filename) != "self" else ():
            self._closed[key[0]] = self._closing(key, "", stack, event)

    def wrap(self) -> Callable[[], None]:
        """Stand in for ``os.close``, which tells nobody of its argument. Returns: what undoes it."""
        real = os.close

        def close(fd: Any) -> None:
            __tracebackhide__ = True
            number = fd if isinstance(fd, int) else -1
            with self._unobtrusive():
                self._is_closing(number, _real.getframe(1))
            try:
                real(fd)
            except OSError as error:
                if error.errno == errno.EBADF:
                    with self._unobtrusive():
                        self._failed(number, _real.getframe(1))
                raise

        os.close = close

        def undo() -> None:
            if os.close is close:
                os.close = real

        return undo

    def is_closing(self, obj: object, frame: FrameType) -> None:
        """A file or socket object is about to close its descriptor: does its number lead anywhere?"""
        number = number_of(obj)
        if number < _STANDARD:
            return
        if number in self._robbed:
            self._robbed.discard(number)
            if number in self._closed:
                self._closed[number].excused = True
        elif inode_of(number) is None:
            with self._unobtrusive():
                if not is_expected(frame):
                    name, kind = ("socket", "socket") if isinstance(obj, _socket.socket) else ("file", "fd")
                    what = f"gone before the {name} object that owns it closed it: another call had closed the number"
                    self._tell(number, what, _ONE_CLOSER, kind, frame, "close")

    def vanished(self, keys: Iterable[Key]) -> None:
        """Known sockets that are gone. Closed by their objects: then these know it."""
        for key in cast("Iterable[DescriptorKey]", keys):
            number, inode = key[0], (key[1], key[2])
            record = self._record_of_socket(number, inode)
            closing = self._closed.get(number)
            if closing is not None and closing.key != key:
                closing = None
            if record is None or (closing is not None and closing.excused):
                continue
            self._tell_robbed(number, record, closing)

    def look_at_sockets(self) -> None:
        """Of the sockets that were recorded, see those whose number leads nowhere while they believe to be open."""
        for record in tuple(self._recorder.records):
            sock = record.ref() if record.ref is not None and not record.blamed else None
            number = socket_fileno(sock) if sock is not None else -1
            if number >= _STANDARD and number not in self._robbed and inode_of(number) is None:
                self._tell_robbed(number, record, self._closed.get(number))

    def _tell_robbed(self, number: int, record: Record, closing: Closing | None) -> None:
        """A socket object was not asked, and has no descriptor any more."""
        close = closing.record if closing is not None else None
        one = Misclosed(
            number=number, what="closed under the socket object that owns it", fix=_BY_ITS_OBJECT, path="",
            kind="socket", context=close.context if close is not None else None, close=close, earlier=None,
            opened=record, block=record.block,
        )  # fmt: skip
        self._seen.append((one, None, closing))
        self._robbed.add(number)

    def _record_of_socket(self, number: int, inode: tuple[int, int]) -> Record | None:
        """The acquisition of a socket whose object still believes to have that number."""
        for record in (*self._recorder.records, *self._recorder.before):
            if record.inode == inode and record.fd == number and record.ref is not None and not record.blamed:
                sock = record.ref()
                return record if sock is not None and socket_fileno(sock) == number else None
        return None

    def _is_closing(self, number: int, frame: FrameType) -> None:
        """``os.close`` is called: does an object own that number?"""
        key = key_of(number)
        if key is None:
            return
        link = descriptor_path(key)
        path = self._shorten(link) if link.startswith("/") else ""  # not socket:[77]
        owner = owner_of(number) if number >= _STANDARD and _is_users(frame) else None
        if owner is not None and not is_expected(frame):
            what = f"closed by os.close under the {owner} object that owns it"
            kind = "socket" if owner == "socket" else "fd"
            self._tell(number, what, _BY_ITS_OBJECT, kind, frame, "os.close", key=key, path=path)
            self._robbed.add(number)
        self._closed[number] = self._closing(key, path, frames.walk(frame), "os.close")

    def _failed(self, number: int, frame: FrameType) -> None:
        """``os.close`` found nothing to close."""
        if number < _STANDARD or not _is_users(frame):
            return
        place = (frame.f_code, frame.f_lasti)
        if number not in self._closed:
            self._sweeps.add(place)  # nobody had that number: it is tried with all of them
        elif not is_expected(frame):
            what = "closed twice: there was nothing to close the second time"
            self._tell(number, what, _ONE_CLOSER, "fd", frame, "os.close", place=place)

    def _tell(
        self, number: int, what: str, fix: str, kind: str, frame: FrameType, event: str,
        *, key: DescriptorKey | None = None, path: str = "", place: Key = None,
    ) -> None:  # fmt: skip
        context = self._recorder.context()
        stack = frames.walk(frame)
        if context is OUTSIDE or frames.is_import(stack) or frames.is_plugin_hook(stack):
            return
        earlier = self._closed.get(number)
        of, closing = key, None
        if key is None and earlier is not None:  # nothing is there now: it is about what was
            of, path, closing = earlier.key, earlier.path, earlier
        elif earlier is not None and earlier.record.context.test != context.test:
            earlier = None  # the number's life in another test explains nothing
        one = Misclosed(
            number=number, what=what, fix=fix, path=path, kind=kind, context=context,
            close=self._record(stack, event, context), earlier=earlier.record if earlier is not None else None,
            opened=self.opened(of) if of is not None else None, block=BLOCK.get(),
        )  # fmt: skip
        self._seen.append((one, place, closing))
        self._recorder.moves += 1

    @contextmanager
    def _unobtrusive(self) -> Iterator[None]:
        """Inside a call of the user's: what it does is not traced, and an error of it goes no further."""
        with self._recorder.silence(), self._recorder.unharmed():
            yield

    def _closing(self, key: DescriptorKey, path: str, stack: frames.Stack, event: str) -> Closing:
        excused = key[0] in self._robbed
        return Closing(key, path, self._record(stack, event, self._recorder.context()), excused)

    @staticmethod
    def _record(stack: frames.Stack, event: str, context: Context) -> Record:
        record = Record(event, None, stack, context)
        record.how = "trace"
        return record


def _is_users(frame: FrameType) -> bool:
    """Whether it is not the standard library, pytest or one of us who closes."""
    filename = frame.f_code.co_filename
    return frames.region(filename) in ("project", "dependency") or filename.endswith(_PASSES_ON)
