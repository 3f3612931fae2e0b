"""A toy library with its own table of handles, as a device driver or a C extension has one.

The kernel knows nothing of these handles, so no built-in probe can see them.
"""

from __future__ import annotations

import itertools

_slots: dict[int, tuple[int, str]] = {}  # slot -> serial, name
_serials = itertools.count(1)
opened_in_all = 0


def open_handle(name: str) -> int:
    """Take the lowest free slot. Slots are used again, serials never."""
    global opened_in_all
    slot = next(number for number in itertools.count() if number not in _slots)
    _slots[slot] = (next(_serials), name)
    opened_in_all += 1
    return slot


def close_handle(slot: int) -> None:
    del _slots[slot]


def table() -> dict[int, tuple[int, str]]:
    """What is open now: slot -> serial, name."""
    return dict(_slots)
