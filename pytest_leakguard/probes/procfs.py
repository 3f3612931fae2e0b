"""Reads what the kernel tells of this process, without an object that a test could see."""

from __future__ import annotations

import os

from pytest_leakguard import _real


def read(path: str) -> str:
    """The text of a file below /proc; empty where there is none, or it can't be read."""
    # os.open and os.read: half the cost of open()
    try:
        number = _real.os_open(path, os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return ""
    try:
        return os.read(number, 65536).decode("utf-8", "replace")
    except OSError:
        return ""
    finally:
        _real.close(number)
