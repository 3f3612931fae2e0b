"""Narrow wrappers for what raises no audit event."""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable
from typing import Any

from pytest_leakguard import _real
from pytest_leakguard.origins.audit import Recorder
from pytest_leakguard.origins.hook import note_failure, planned_fault

THREAD_START_HAS_EVENT = sys.version_info >= (3, 12)


def wrap_thread_start(recorder: Recorder) -> Callable[[], None]:
    """Before 3.12 no event tells of a thread's start: stand in for the C function that starts it.

    That is narrower than replacing ``Thread.start``: subclasses that override it
    are seen too, and nothing that a test may look at or patch is changed.
    Returns: what undoes it.
    """
    if THREAD_START_HAS_EVENT:
        return lambda: None
    real = threading._start_new_thread  # type: ignore[attr-defined]

    def start_new_thread(function: Callable[..., object], *args: Any) -> int:
        if recorder.active:
            frame = fault = None
            try:
                frame = _real.getframe(1)
                fault = planned_fault("_thread.start_new_thread", (function, args), frame)
                if fault is None:
                    recorder.thread_starting(function, "wrap", frame)
            except Exception as error:  # an error of ours is told, and goes no further
                note_failure(error)
            del frame
            if fault is not None:
                raise fault
        return int(real(function, *args))

    threading._start_new_thread = start_new_thread  # type: ignore[attr-defined]

    def undo() -> None:
        if threading._start_new_thread is start_new_thread:  # type: ignore[attr-defined]
            threading._start_new_thread = real  # type: ignore[attr-defined]

    return undo
