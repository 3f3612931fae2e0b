"""The driver for Python 3.12 and later: `sys.monitoring`, with a tool of our own and events of target code only."""

from __future__ import annotations

import dis
import inspect
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from types import CodeType, FrameType
from typing import Any

from pytest_leakguard import _real
from pytest_leakguard.faults import callees
from pytest_leakguard.faults.targets import Targets
from pytest_leakguard.faults.watching import Listener, Refused

# 0, 1, 2 and 5 have names: debugger, coverage, profiler, optimizer
TOOL_IDS = (4, 3)
TOOL_NAME = "pytest-leakguard faults"

_MISSES_STAR_CALLS = sys.version_info < (3, 13)
"""Python 3.12 raises no CALL event for a Python function that is called as ``f(*args)``; its start is seen instead."""


@contextmanager
def watching(targets: Targets, listener: Listener) -> Iterator[None]:
    """See `watching.watching`."""
    monitoring: Any = sys.monitoring  # type: ignore[attr-defined,unused-ignore]
    tool = next((tool for tool in TOOL_IDS if monitoring.get_tool(tool) is None), None)
    if tool is None:
        owners = ", ".join(repr(monitoring.get_tool(tool)) for tool in TOOL_IDS)
        raise Refused(f"both tool ids of sys.monitoring that are free for all are taken: {owners}; run without them")
    monitoring.use_tool_id(tool, TOOL_NAME)
    driver = _Driver(monitoring, tool, targets, listener)
    try:
        driver.start()
        yield
    finally:
        driver.stop()
        monitoring.free_tool_id(tool)


class _Driver:
    def __init__(self, monitoring: Any, tool: int, targets: Targets, listener: Listener) -> None:
        self._monitoring = monitoring
        self._events = monitoring.events
        self._tool = tool
        self._targets = targets
        self._listener = listener
        # by id: equal functions of two files are equal code objects
        self._local: dict[int, tuple[CodeType, int]] = {}
        self._wanted = 0
        if listener.line is not None:
            self._wanted |= self._events.LINE
        if listener.call is not None or listener.returned is not None:
            self._wanted |= self._events.CALL
        if listener.left is not None:
            self._wanted |= self._events.PY_RETURN

    def start(self) -> None:
        monitoring, events, tool = self._monitoring, self._events, self._tool
        monitoring.register_callback(tool, events.PY_START, self._on_start)
        monitoring.register_callback(tool, events.LINE, self._on_line)
        monitoring.register_callback(tool, events.CALL, self._on_call)
        monitoring.register_callback(tool, events.C_RETURN, self._on_c_return)
        monitoring.register_callback(tool, events.PY_RETURN, self._on_return)
        monitoring.register_callback(tool, events.PY_UNWIND, self._on_unwind)
        # an error on its way is told for all code or for none
        monitoring.set_events(tool, events.PY_START | (events.PY_UNWIND if self._listener.left is not None else 0))

    def stop(self) -> None:
        monitoring, tool, events = self._monitoring, self._tool, self._events
        monitoring.set_events(tool, 0)
        for code, _ in self._local.values():
            monitoring.set_local_events(tool, code, 0)
        for event in (events.PY_START, events.LINE, events.CALL, events.C_RETURN, events.PY_RETURN, events.PY_UNWIND):
            monitoring.register_callback(tool, event, None)

    def _add(self, code: CodeType, events: int) -> None:
        _, before = self._local.get(id(code), (code, 0))
        if before | events != before:
            self._local[id(code)] = (code, before | events)
            self._monitoring.set_local_events(self._tool, code, before | events)

    def _on_start(self, code: CodeType, offset: int) -> Any:
        # the module's own code runs when it is imported
        if self._targets.is_target(code.co_filename) and code.co_name != "<module>":
            self._add(code, self._wanted)
        if self._listener.call is None or not _MISSES_STAR_CALLS:
            return self._monitoring.DISABLE
        frame = _real.getframe(1)
        caller = frame.f_back
        if caller is None or not self._targets.is_target(caller.f_code.co_filename):
            # not for good where a target may be the next to call it
            return None if self._targets.is_target(code.co_filename) else self._monitoring.DISABLE
        if not _is_star_call(caller):
            return None
        error = self._listener.call(caller, callees.of_code(code, frame.f_globals.get("__name__")))
        if error is not None:
            del frame, caller
            _raise(error)
        return None

    def _on_line(self, code: CodeType, line: int) -> None:
        assert self._listener.line is not None
        error = self._listener.line(_real.getframe(1), line)
        if error is not None:
            _raise(error)

    def _on_call(self, code: CodeType, offset: int, callee: Any, first: Any) -> None:
        known = callees.of_object(callee)
        if known is None:
            return
        if self._listener.call is not None:
            error = self._listener.call(_real.getframe(1), known)
            if error is not None:
                del callee, first
                _raise(error)
        if self._listener.returned is not None and known.is_release:
            inner = getattr(getattr(callee, "__func__", callee), "__code__", None)
            if isinstance(inner, CodeType):
                self._add(inner, self._events.PY_RETURN)

    def _on_c_return(self, code: CodeType, offset: int, callee: Any, first: Any) -> None:
        inner = getattr(getattr(callee, "__func__", callee), "__code__", None)
        if isinstance(inner, CodeType) and inner.co_flags & inspect.CO_COROUTINE:
            return  # its coroutine was made, as at the end of an `async with`; it has not run yet
        known = callees.of_object(callee) if self._listener.returned is not None else None
        if known is not None and self._listener.returned is not None:
            error = self._listener.returned(_real.getframe(1), known)
            if error is not None:
                del callee, first
                _raise(error)

    def _on_unwind(self, code: CodeType, offset: int, error: BaseException) -> None:
        if self._listener.left is not None and self._targets.is_target(code.co_filename):
            self._listener.left(_real.getframe(1))

    def _on_return(self, code: CodeType, offset: int, value: Any) -> None:
        frame = _real.getframe(1)
        if self._listener.left is not None:
            self._listener.left(frame)
        caller = frame.f_back
        if caller is None or self._listener.returned is None or not self._targets.is_target(caller.f_code.co_filename):
            return
        error = self._listener.returned(caller, callees.of_code(code, frame.f_globals.get("__name__")))
        if error is not None:
            del frame, caller, value
            _raise(error)


def _is_star_call(caller: FrameType) -> bool:
    return caller.f_code.co_code[caller.f_lasti] == dis.opmap["CALL_FUNCTION_EX"]


def _raise(error: BaseException) -> None:
    # the traceback keeps this frame; it is not to keep the error
    try:
        raise error
    finally:
        del error
