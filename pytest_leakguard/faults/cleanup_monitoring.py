"""Watches for the cleanup ledger on Python 3.12 and later, by `sys.monitoring` with a tool of its own."""

from __future__ import annotations

import sys
from types import CodeType
from typing import Any

from pytest_leakguard import _real
from pytest_leakguard.faults.cleanup import Ledger
from pytest_leakguard.faults.monitoring import TOOL_IDS
from pytest_leakguard.faults.watching import Refused

TOOL_NAME = "pytest-leakguard cleanup"


class MonitoringDriver:
    """Local events in functions that have cleanup paths, and no others."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger
        self._monitoring: Any = sys.monitoring  # type: ignore[attr-defined,unused-ignore]
        self._tool = -1
        self._codes: dict[int, CodeType] = {}

    def start(self) -> None:
        """See `Driver`."""
        monitoring = self._monitoring
        # the other one is left for the sweeps
        tool = next((tool for tool in reversed(TOOL_IDS) if monitoring.get_tool(tool) is None), None)
        if tool is None:
            owners = ", ".join(repr(monitoring.get_tool(tool)) for tool in TOOL_IDS)
            raise Refused(f"both tool ids of sys.monitoring that are free for all are taken: {owners}")
        self._tool = tool
        monitoring.use_tool_id(tool, TOOL_NAME)
        events = monitoring.events
        for event, callback in self._callbacks():
            monitoring.register_callback(tool, event, callback)
        monitoring.set_events(tool, events.PY_START | events.PY_THROW)

    def resume(self) -> None:
        """See `Driver`. Nobody takes the place of a tool."""

    def stop(self) -> None:
        """See `Driver`."""
        if self._tool < 0:
            return
        monitoring = self._monitoring
        monitoring.set_events(self._tool, 0)
        for code in self._codes.values():
            monitoring.set_local_events(self._tool, code, 0)
        for event, _ in self._callbacks():
            monitoring.register_callback(self._tool, event, None)
        self._codes.clear()
        monitoring.free_tool_id(self._tool)
        self._tool = -1

    def _callbacks(self) -> list[tuple[int, Any]]:
        events = self._monitoring.events
        return [
            (events.PY_START, self._on_start),
            (events.LINE, self._on_line),
            (events.PY_THROW, self._on_throw),
            (events.PY_RETURN, self._on_return),
        ]

    def _on_start(self, code: CodeType, offset: int) -> Any:
        watched = self._ledger.watched(code)
        if watched is None:
            return self._monitoring.DISABLE
        if id(code) not in self._codes:
            self._codes[id(code)] = code
            events = self._monitoring.events
            self._monitoring.set_local_events(self._tool, code, events.LINE | events.PY_RETURN)
        self._ledger.started(_real.getframe(1), watched)
        return None

    def _on_line(self, code: CodeType, line: int) -> Any:
        watched = self._ledger.watched(code)
        if watched is None or line not in watched.marks.lines:
            return self._monitoring.DISABLE
        self._ledger.line(_real.getframe(1), watched)
        return None

    def _on_throw(self, code: CodeType, offset: int, error: BaseException) -> None:
        watched = self._ledger.watched(code)
        if watched is not None and offset in watched.marks.yields:
            self._ledger.thrown(_real.getframe(1), watched)

    def _on_return(self, code: CodeType, offset: int, value: Any) -> Any:
        watched = self._ledger.watched(code)
        if watched is not None:
            self._ledger.returned(_real.getframe(1), watched)
