"""The pipe that libuv makes with the first event loop of a process, as uvloop's, and keeps to the end.

It holds one byte, by which libuv's threads take turns. No event tells of it and no object of Python's holds it, so it
is told by what it is: both ends of one pipe that nobody in Python made, with that byte in it, once in a process.
"""

from __future__ import annotations

import sys
from collections import defaultdict
from collections.abc import Collection

from pytest_leakguard.core.model import Key
from pytest_leakguard.suspects import Suspect

REASON = "libuv keeps one pipe for the whole process"

_known: set[int] = set()
"""The inode of that pipe, once it was seen."""


def pipe_of_libuv(suspects: Collection[Suspect]) -> dict[tuple[str, Key], str]:
    """The two ends of the pipe, if they are among the suspects, each with the reason why that is no leak."""
    if "uvloop.loop" not in sys.modules or _known:
        return {}
    ends: dict[int, list[Suspect]] = defaultdict(list)
    for suspect in suspects:
        key = suspect.item[1]
        if suspect.item[0] == "fd" and suspect.record is None and suspect.live is None and isinstance(key, tuple):
            ends[key[2]].append(suspect)
    for inode, both in ends.items():
        if len(both) == 2 and any(_holds_one_byte(suspect.item[1][0]) for suspect in both):  # type: ignore[index]
            _known.add(inode)
            return {suspect.item: REASON for suspect in both}
    return {}


def _holds_one_byte(descriptor: int) -> bool:
    """Whether that is a pipe in which one byte waits to be read."""
    import array
    import fcntl
    import termios

    count = array.array("i", [0])
    try:
        fcntl.ioctl(descriptor, termios.FIONREAD, count)
    except OSError:
        return False
    return count[0] == 1
