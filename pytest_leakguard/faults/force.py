"""Runs that were ended by force. What cleans up after that does so because of us, and not because of the fault."""

from __future__ import annotations

_ends = 0


def note() -> None:
    """One is being ended now: what hangs in it gets an error, or a cancellation."""
    global _ends
    _ends += 1


def ends() -> int:
    """How many were ended so far."""
    return _ends
