"""Child processes that do the slow work."""

from __future__ import annotations

import contextlib
import subprocess
import sys
from collections.abc import Iterator

# Ends when its standard input does, so at the latest when this process is gone.
_WORK = "import sys; sys.stdin.read()"

_helpers: dict[str, subprocess.Popen[bytes]] = {}


def start_helper(name: str) -> subprocess.Popen[bytes]:
    """Start a helper. Careless: it runs until someone calls `stop_helper`."""
    process = subprocess.Popen(
        [sys.executable, "-c", _WORK],
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    _helpers[name] = process
    return process


def stop_helper(name: str) -> None:
    """Close the helper's input and wait for its end."""
    _helpers.pop(name).communicate(timeout=30.0)


@contextlib.contextmanager
def helper(name: str) -> Iterator[subprocess.Popen[bytes]]:
    """A helper for the length of the `with` block."""
    process = start_helper(name)
    try:
        yield process
    finally:
        stop_helper(name)
