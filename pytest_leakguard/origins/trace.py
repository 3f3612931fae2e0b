"""``--leakguard-trace``: the line of acquisitions that raise no audit event.

A profile function compares the number of open descriptors before and after
every call of a C function; where it rose, the stack is kept. Calls of C types
(``select.epoll()``) and of ctypes functions raise no such event before 3.12: these
are found by comparing at each new line too, unless a debugger or a coverage tool
has the trace function. Exact and slow, so on demand.
"""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable
from types import FrameType
from typing import Any

from pytest_leakguard.core.model import Key
from pytest_leakguard.origins import frames
from pytest_leakguard.origins.audit import Recorder
from pytest_leakguard.origins.closes import Closes
from pytest_leakguard.origins.hook import is_hushed
from pytest_leakguard.origins.record import Record
from pytest_leakguard.probes.descriptors import DescriptorTable

_CLOSERS = ("close", "__exit__")
_UNTOLD = "a call of a C type or a foreign function"


class Tracer:
    """Watches the descriptor count; a profiler that was there before is called too."""

    def __init__(self, recorder: Recorder, closes: Closes) -> None:
        self._recorder = recorder
        self._closes = closes
        self._unwrap: Callable[[], None] = lambda: None
        closes.opened = self.record
        self._table = DescriptorTable()
        self._count = 0
        self._seen: frozenset[Any] = frozenset()
        self._records: dict[Key, Record] = {}
        self._chained: Any = None
        self._lines = False
        self.running = False

    def start(self) -> None:
        """Trace this thread and those that start from now on."""
        self._chained = sys.getprofile()
        self._rebase()
        self.running = True
        self._unwrap = self._closes.wrap()
        threading.setprofile(self._profile)
        self._lines = sys.gettrace() is None
        if self._lines:
            threading.settrace(self._trace)
            sys.settrace(self._trace)
        sys.setprofile(self._profile)

    def stop(self) -> None:
        """Give the profile function and the trace function back."""
        if not self.running:
            return
        self.running = False
        self._unwrap()
        threading.setprofile(self._chained)
        if sys.getprofile() == self._profile:
            sys.setprofile(self._chained)
        if self._lines:
            threading.settrace(None)
            if sys.gettrace() == self._trace:
                sys.settrace(None)

    def record(self, key: Key) -> Record | None:
        """The record of the call that opened that descriptor."""
        return self._records.get(key)

    def _rebase(self) -> None:
        self._table.forget()
        self._seen = self._table.read()
        self._count = self._table.count()

    def _profile(self, frame: FrameType, event: str, arg: Any) -> None:
        if self._chained is not None:
            self._chained(frame, event, arg)
        if is_hushed():
            return  # one of ours
        if self.running and event in ("c_call", "c_return") and self._table.count() != self._count:
            # what rose before a C function was entered is not that function's
            name = str(getattr(arg, "__qualname__", "C function")) if event == "c_return" else _UNTOLD
            self._note(frames.walk(frame), name)
        if self.running and event == "c_call" and getattr(arg, "__name__", "") in _CLOSERS:
            with self._recorder.unharmed():
                self._closes.is_closing(getattr(arg, "__self__", None), frame)

    def _trace(self, frame: FrameType, event: str, arg: Any) -> Any:
        if frames.region(frame.f_code.co_filename) not in ("project", "dependency"):
            return None
        last = frame.f_lasti

        def line(frame: FrameType, event: str, arg: Any) -> Any:
            nonlocal last
            if self.running and not is_hushed() and self._table.count() != self._count:
                # it rose since this frame's last line, and no C function had a part in it
                outer = frames.walk(frame.f_back)
                self._note(((frame.f_code, last), *outer), _UNTOLD)
            last = frame.f_lasti
            return line

        return line

    def _note(self, stack: frames.Stack, event: str) -> None:
        before = self._seen
        self._rebase()
        self._closes.note(before - self._seen, stack, event)
        for key in self._seen - before:
            record = Record(event, None, stack, self._recorder.context())
            record.how = "trace"
            self._records[key] = record
