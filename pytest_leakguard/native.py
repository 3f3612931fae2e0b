"""The part in C, where it was built; Python does the same otherwise, at some times the cost.

It is what runs at every event, frame and descriptor of other people's tests, and
decides nothing. The environment variable `LEAKGUARD_PURE`, set to anything, leaves
it out, when the package is built and when it is used.
"""

from __future__ import annotations

import importlib
import os
from collections.abc import Callable, Iterable, Mapping
from types import CodeType, FrameType
from typing import Any, Protocol, cast

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

    # the record: the methods of origins.audit.Recorder of the same names, on the thread that runs the tests

    def add(self, recorder: Any, event: str, detail: object, frame: _Frame, /) -> Any: ...

    def on_open(self, recorder: Any, args: Any, frame: _Frame, /) -> None: ...

    def on_socket(self, recorder: Any, args: Any, frame: _Frame, /) -> None: ...

    def on_bind(self, recorder: Any, args: Any, frame: _Frame, /) -> None: ...

    def on_connect(self, recorder: Any, args: Any, frame: _Frame, /) -> None: ...

    def on_mkdir(self, recorder: Any, args: Any, frame: _Frame, /) -> None: ...

    def thread_starting(self, recorder: Any, function: object, how: str, frame: _Frame, /) -> None: ...

    def resolve(self, recorder: Any, /) -> None: ...

    def are_done_with(self, records: Iterable[Any], /) -> bool:
        """Whether each record is of a test, and neither pinned nor blamed."""

    # descriptors: probes.descriptors

    def size_of(self, path: str, /) -> int:
        """The size of a file in bytes. Raises OSError."""

    def inode_of(self, number: int, /) -> tuple[int, int] | None:
        """Device and inode of an open descriptor."""

    def is_still(self, picture: bytes, /) -> bool:
        """Whether each descriptor leads to the same file; of each three 64-bit numbers: itself, device, inode."""


def _find() -> tuple[Native | None, str]:
    if os.environ.get("LEAKGUARD_PURE"):
        return None, "left out by LEAKGUARD_PURE; Python does the same"
    try:
        return cast(Native, importlib.import_module("pytest_leakguard._native")), "in use"
    except ImportError:  # no compiler was there, or it is another Python's
        return None, "not built for this Python, which does the same at more cost"


part, STATE = _find()
"""The part itself, or None; and in words whether it is in use."""
