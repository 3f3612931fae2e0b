"""Two files at once: the second open may fail."""

from __future__ import annotations

import contextlib
import os


def hasty(path: str) -> int:
    """The length of a file, taken twice."""
    first = os.open(path, os.O_RDONLY)
    second = os.open(path, os.O_RDONLY)
    length = os.fstat(first).st_size + os.fstat(second).st_size
    os.close(second)
    os.close(first)
    return length


def careful(path: str) -> int:
    """The same, whatever fails."""
    with contextlib.ExitStack() as stack:
        length = 0
        for _ in range(2):
            descriptor = os.open(path, os.O_RDONLY)
            stack.callback(os.close, descriptor)
            length += os.fstat(descriptor).st_size
    return length
