"""``--leakguard-trace``: the line of acquisitions that raise no audit event.

A profile function compares the number of open descriptors after every call of
a C function; where it rose, the stack is kept. Exact and slow, so on demand.
"""

from __future__ import annotations

import sys
import threading
from types import FrameType
from typing import Any

from pytest_leakguard.core.model import Key
from pytest_leakguard.origins import frames
from pytest_leakguard.origins.audit import Record, Recorder
from pytest_leakguard.probes.descriptors import DescriptorTable


class Tracer:
    """Watches the descriptor count; a profiler that was there before is called too."""

    def __init__(self, recorder: Recorder, table: DescriptorTable) -> None:
        self._recorder = recorder
        self._table = DescriptorTable() if table.folder is not None else table
        self._count = 0
        self._seen: frozenset[Any] = frozenset()
        self._records: dict[Key, Record] = {}
        self._chained: Any = None
        self.running = False

    def start(self) -> None:
        """Trace this thread and those that start from now on."""
        self._chained = sys.getprofile()
        self._rebase()
        self.running = True
        threading.setprofile(self._profile)
        sys.setprofile(self._profile)

    def stop(self) -> None:
        """Give the profile function back."""
        if self.running:
            self.running = False
            threading.setprofile(self._chained)
            if sys.getprofile() == self._profile:
                sys.setprofile(self._chained)

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
        if event != "c_return" or not self.running:
            return
        count = self._table.count()
        if count == self._count:
            return
        before, grew = self._seen, count > self._count
        self._rebase()
        if grew:
            name = getattr(arg, "__qualname__", "C function")
            for key in self._seen - before:
                record = Record(str(name), None, frames.walk(frame), self._recorder.context())
                record.how = "trace"
                self._records[key] = record
