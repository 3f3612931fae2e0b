"""Watches for the cleanup ledger on Python 3.10 and 3.11, by a trace function for the code under test."""

from __future__ import annotations

import sys
import threading
from types import FrameType
from typing import Any

from pytest_leakguard.faults.cleanup import Ledger
from pytest_leakguard.faults.watching import Refused


class TracingDriver:
    """The trace function of all threads that are started from now on, and of this one.

    Attributes:
        steps_aside: a sweep of single lines takes the place for a trial, and gives it back.
    """

    steps_aside = True

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger
        self._over = True
        self._in_threads: Any = None

    def start(self) -> None:
        """See `Driver`."""
        installed = sys.gettrace()
        if installed is not None:
            raise Refused(
                f"a trace function is installed ({type(installed).__name__}: a debugger or coverage) and Python before "
                "3.12 has room for one; run without it, or on 3.12"
            )
        self._over = False
        self._in_threads = getattr(threading, "_trace_hook", None)
        threading.settrace(self._trace)
        sys.settrace(self._trace)

    def resume(self) -> None:
        """See `Driver`."""
        if sys.gettrace() is None and not self._over:
            sys.settrace(self._trace)

    def stop(self) -> None:
        """See `Driver`. Threads that still run keep the function; it does nothing any more."""
        self._over = True
        if sys.gettrace() == self._trace:
            sys.settrace(None)
        if getattr(threading, "_trace_hook", None) == self._trace:
            threading.settrace(self._in_threads)

    def _trace(self, frame: FrameType, event: str, arg: Any) -> Any:
        if self._over:
            return None
        watched = self._ledger.watched(frame.f_code)
        if watched is None:
            return None
        if frame.f_lasti not in watched.marks.resumes:
            self._ledger.started(frame, watched)
        return self._local

    def _local(self, frame: FrameType, event: str, arg: Any) -> Any:
        ledger = self._ledger
        watched = ledger.watched(frame.f_code)
        if watched is None or self._over:
            return None
        if event == "line":
            ledger.line(frame, watched)
        elif event == "exception" and frame.f_lasti in watched.marks.yields:
            ledger.thrown(frame, watched)
        elif event == "return" and frame.f_lasti in watched.marks.returns:
            ledger.returned(frame, watched)
        return self._local
