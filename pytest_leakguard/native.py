"""The part in C, where it was built; Python does the same otherwise, at some times the cost.

It is what runs at every event, frame, descriptor and watched instance of other
people's tests, and knows no rule that the Python code does not have. The
environment variable `LEAKGUARD_PURE`, set to anything, leaves it out, when the
package is built and when it is used.
"""

from __future__ import annotations

import importlib
import os
from collections.abc import Callable, Hashable, Mapping
from types import CodeType, FrameType
from typing import TYPE_CHECKING, Any, Protocol, cast

Entry = tuple[CodeType, int]
_Frame = FrameType | None
_Handler = Callable[[Any, _Frame], object]


class Native(Protocol):
    """What the part offers; its sources are in the folder native/ beside this package."""

    # events: origins.hook

    def add_hook(self, failed: Callable[[Exception], object], /) -> None:
        """Have the events handled that `feed` names; `failed` hears of errors. Raises RuntimeError when said before."""

    def feed(self, handlers: Mapping[str, _Handler], instead: Callable[[str, Any, _Frame], object] | None, /) -> None:
        """From now on these handlers are called with the arguments of their events and the frame that calls.

        instead: called in place of them all; its errors come out of what raised the event.
        Raises OverflowError when too many different names were given in all.
        """

    def hush(self) -> int:
        """The events of this thread are left out: give the result to `unhush`."""

    def unhush(self, before: int, /) -> None:
        """End of `hush`."""

    def is_hushed(self) -> bool:
        """Whether the events of this thread are left out."""

    # stacks: origins.frames

    def end_stacks(
        self, end: dict[str, Any] | None, callers: tuple[tuple[dict[str, Any], Entry], ...], depth: int, /
    ) -> None:
        """Stacks have at most `depth` entries from now on, none of the module whose globals `end` is.

        A frame with the globals of a caller, unless it is the first, is the last: its entry stands for it.
        """

    def walk(self, frame: _Frame, /) -> tuple[Entry, ...]:
        """The stack from `frame` outwards."""

    # the record: origins.record and origins.audit

    Record: Any
    """What stands for origins.record.Record."""
    Recording: type[Recording]

    # instances of watched classes: probes.nursery, probes.instances

    Newborn: Any
    """What stands for probes.nursery.Newborn."""
    Crib: type[Crib]

    def made(
        self,
        recorder: Any,
        nursery: Any,
        full: int,
        entry: Any,
        slowly: Callable[[Any, FrameType], object],
        obj: Any,
        frame: FrameType,
        /,
    ) -> None:
        """An instance of a watched class was made by the code of `frame`; `slowly` is told of all but plain cases."""

    def called(
        self, recorder: Any, nursery: Any, slowly: Callable[[Any, str], object], obj: Any, method: str, /
    ) -> None:
        """A method is called on one; `slowly` is told where that is not all that a newborn instance owes."""

    def have_new_subclasses(self, entries: dict[Any, Any], /) -> bool:
        """Whether any of these `probes.watched.Watched` has more or fewer subclasses than it knows."""

    # descriptors: probes.descriptors

    def count(self, table: Any, /) -> int:
        """As DescriptorTable.count, where the size of the folder tells the number."""

    def inode_of(self, number: int, /) -> tuple[int, int] | None:
        """Device and inode of an open descriptor."""

    def is_still(self, picture: bytes, /) -> bool:
        """Whether each descriptor leads to the same file; of each three 64-bit numbers: itself, device, inode."""

    # looks: probes.roster

    def have_marks(self, roster: Any, marks: tuple[Hashable, ...], /) -> bool:
        """Whether each of `roster.asked` gives what is at its place there. One that fails does not."""


class Recording:
    """The base of origins.audit.Recorder: attributes and methods that are in use at every event.

    Each method does what the one of Recorder that is named here does, on the thread that runs the tests.
    """

    def add(self, event: str, detail: object, frame: _Frame, /) -> Any:
        """`_add`."""

    def resolve_all(self) -> None:
        """`_resolve`."""

    def open_event(self, args: Any, frame: _Frame, /) -> None:
        """`_on_open`."""

    def socket_event(self, args: Any, frame: _Frame, /) -> None:
        """`_on_socket`."""

    def bind_event(self, args: Any, frame: _Frame, /) -> None:
        """`_on_bind`."""

    def connect_event(self, args: Any, frame: _Frame, /) -> None:
        """`_on_connect`."""

    def mkdir_event(self, args: Any, frame: _Frame, /) -> None:
        """`created.on_mkdir`."""

    def thread_event(self, function: object, how: str, frame: _Frame, /) -> None:
        """`thread_starting`."""

    def forget_all(self, threads: int, /) -> bool:
        """`forget`, where each record is of a test and neither pinned nor blamed. Returns whether it was so.

        threads: how many records of threads may be kept.
        """
        return False


class Crib:
    """The base of probes.nursery.Nursery."""

    def clear_if_gone(self) -> bool:
        """Empty it, where each is gone and owed no call. Returns whether it was so."""
        return False


def _find() -> tuple[Native | None, str]:
    if os.environ.get("LEAKGUARD_PURE"):
        return None, "left out by LEAKGUARD_PURE; Python does the same"
    try:
        return cast(Native, importlib.import_module("pytest_leakguard._native")), "in use"
    except ImportError:  # no compiler was there, or it is another Python's
        return None, "not built for this Python, which does the same at more cost"


part, STATE = _find()
"""The part itself, or None; and in words whether it is in use."""

if part is not None and not TYPE_CHECKING:
    Recording, Crib = part.Recording, part.Crib
