"""The part in C, where it was built; Python does the same otherwise, at some times the cost.

It is what runs at every event, frame and descriptor of other people's tests, and
decides nothing. The environment variable `LEAKGUARD_PURE`, set to anything, leaves
it out, when the package is built and when it is used.
"""

from __future__ import annotations

import importlib
import os
from collections.abc import Callable, Sequence
from types import CodeType, FrameType
from typing import Any, Protocol, cast

Entry = tuple[CodeType, int]


class Native(Protocol):
    """What `_native.c` offers."""

    def add_hook(self, hook: Callable[[str, Any], object], /) -> None:
        """Have `hook` called at the audit events that `tell` names. Raises RuntimeError the second time."""

    def tell(self, names: Sequence[str], /) -> None:
        """The hook is told of the events of these names from now on, and of no others."""

    def walk(
        self,
        frame: FrameType | None,
        end: dict[str, Any] | None,
        callers: tuple[tuple[dict[str, Any], Entry], ...],
        depth: int,
        /,
    ) -> tuple[Entry, ...]:
        """The stack from `frame` outwards: at most `depth` entries, none of the module whose globals `end` is.

        A frame with the globals of a caller, unless it is the first, is the last: its entry stands for it.
        """

    def size_of(self, path: str, /) -> int:
        """The size of a file in bytes. Raises OSError."""

    def inode_of(self, number: int, /) -> tuple[int, int] | None:
        """Device and inode of an open descriptor."""

    def is_still(self, picture: bytes, /) -> bool:
        """Whether each descriptor leads to the same file; of each three 64-bit numbers: itself, device, inode."""


def _find() -> Native | None:
    if os.environ.get("LEAKGUARD_PURE"):
        return None
    try:
        return cast(Native, importlib.import_module("pytest_leakguard._native"))
    except ImportError:  # no compiler was there, or it is another Python's
        return None


part = _find()
