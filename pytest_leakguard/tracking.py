"""`track_lock`, for code that has no fixture at hand."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pytest_leakguard import _real

if TYPE_CHECKING:
    from pytest_leakguard.probes.locks import LockProbe

probes: list[LockProbe] = []
"""Those of the running sessions, the innermost last."""


def track_lock(lock: Any, *, wrap: bool = False) -> Any:
    """Ask that a lock be released when the test or fixture that calls this is over.

    Does nothing while no test is checked, so it may stay in the code.

    Args:
        lock: of `threading`, `multiprocessing` or `asyncio`, or any other with a method ``locked()``.
        wrap: give a lock in its place that notes the line of each acquisition.
    Returns: the lock, or the one in its place.
    Raises:
        TypeError: it does not tell whether it is held, or can't be weakly referenced.
    """
    if probes:
        return probes[-1].track(lock, _real.getframe(1), wrap)
    return lock
