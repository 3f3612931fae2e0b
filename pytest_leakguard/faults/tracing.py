"""The driver for Python 3.10 and 3.11: a trace function for lines, a profile function for calls, target code only."""

from __future__ import annotations

import dis
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any

from pytest_leakguard.faults import callees
from pytest_leakguard.faults.targets import Targets
from pytest_leakguard.faults.watching import Listener, Refused

_RESUMABLE = 0x20 | 0x80 | 0x200  # generator, coroutine, asynchronous generator


@contextmanager
def watching(targets: Targets, listener: Listener) -> Iterator[None]:
    """See `watching.watching`."""
    driver = _Driver(targets, listener)
    lines, calls = listener.line is not None, listener.call is not None or listener.returned is not None
    ours = getattr(sys.gettrace(), "__self__", None)
    if lines and isinstance(ours, _Driver):
        # one that looks on already: there is room for one trace function, and it tells both
        lines = False
        ours.others.append(driver)
    with _set(lines, "trace", driver.trace, driver), _set(calls, "profile", driver.profile, driver):
        try:
            yield
        finally:
            driver.over = True


@contextmanager
def _set(wanted: bool, kind: str, function: Any, driver: _Driver) -> Iterator[None]:
    """Install the function in this thread and in those that are started."""
    if not wanted:
        yield
        return
    installed = getattr(sys, f"get{kind}")()
    if not getattr(getattr(installed, "__self__", None), "steps_aside", installed is None):
        raise Refused(
            f"a {kind} function is installed ({type(installed).__name__}: a debugger, coverage, a profiler or "
            "--leakguard-trace) and Python before 3.12 has room for one; run without it, or on 3.12"
        )
    in_threads = getattr(threading, f"_{kind}_hook", None)
    getattr(threading, f"set{kind}")(function)
    getattr(sys, f"set{kind}")(function)
    try:
        yield
    finally:
        driver.over = True
        if getattr(sys, f"get{kind}")() in (function, None):  # it is taken off where it has raised
            getattr(sys, f"set{kind}")(installed)
        getattr(threading, f"set{kind}")(in_threads)


class _Driver:
    """One trace and profile function.

    Attributes:
        over: threads that still run keep the function; it does nothing any more.
        others: started later, for lines of the same code; told by this one.
    """

    def __init__(self, targets: Targets, listener: Listener) -> None:
        self.over = False
        self.others: list[_Driver] = []
        self._targets = targets
        self._listener = listener

    def trace(self, frame: FrameType, event: str, arg: Any) -> Any:
        """Called for each new frame; gives the function for its lines when it is target code."""
        code = frame.f_code
        if self.over or code.co_name == "<module>" or not self._targets.is_target(code.co_filename):
            return None
        return self._lines

    def _lines(self, frame: FrameType, event: str, arg: Any) -> Any:
        if event == "line":
            for driver in (self, *self.others):
                error = driver.ask(frame)
                if error is not None:
                    self._outlast()
                    del frame
                    _raise(error)
        elif event == "return":
            self._leave(frame)
        return self._lines

    def _leave(self, frame: FrameType) -> None:
        if not _is_suspended(frame):
            for driver in (self, *self.others):
                if driver._listener.left is not None and not driver.over:
                    driver._listener.left(frame)

    def _outlast(self) -> None:
        """CPython removes a trace function that raises: see to it that the others hear of what follows."""
        if self.others and sys.getprofile() is None:
            sys.setprofile(self._set_again)
            return
        for driver in self.others:
            if driver._listener.lost is not None:
                driver._listener.lost()

    def _set_again(self, frame: FrameType, event: str, arg: Any) -> None:
        """At the next call or return the trace function is put back."""
        sys.setprofile(None)
        if self.over:
            return
        sys.settrace(self.trace)
        here: FrameType | None = frame
        while here is not None:
            if self._targets.is_target(here.f_code.co_filename):
                here.f_trace = self._lines
                for driver in (self, *self.others):
                    driver.ask(here)
            here = here.f_back
        if event == "return" and self._targets.is_target(frame.f_code.co_filename):
            self._leave(frame)

    def ask(self, frame: FrameType) -> BaseException | None:
        """What the listener says of the line that is about to run."""
        if self.over or self._listener.line is None:
            return None
        return self._listener.line(frame, frame.f_lineno)

    def profile(self, frame: FrameType, event: str, arg: Any) -> None:
        """Called at each call and each return."""
        if self.over:
            return
        if event in ("c_call", "c_return"):
            caller, known = frame, callees.of_object(arg) if self._is_caller(frame) else None
        elif event in ("call", "return") and frame.f_back is not None and self._is_caller(frame.f_back):
            if frame.f_code.co_flags & _RESUMABLE and not _is_first_or_last(event, frame):
                return
            # before 3.11 a coroutine begins where it is awaited, not where it is called
            begins = bool(frame.f_code.co_flags & _RESUMABLE)
            if event == "call" and not begins and not _is_calling(frame.f_back):
                return  # run by the interpreter: a destructor, the callback of a weak reference, a property
            caller, known = frame.f_back, _of_frame(frame)
        else:
            return
        if known is None:
            return
        ask = self._listener.call if event in ("c_call", "call") else self._listener.returned
        error = ask(caller, known) if ask is not None else None
        if error is not None:
            del frame, caller, arg
            _raise(error)

    def _is_caller(self, frame: FrameType) -> bool:
        code = frame.f_code
        return code.co_name != "<module>" and self._targets.is_target(code.co_filename)


_CALLS = frozenset(number for name, number in dis.opmap.items() if name.startswith(("CALL", "PRECALL")))


_CACHE = dis.opmap.get("CACHE")


def _is_calling(caller: FrameType) -> bool:
    """Whether a frame is at an instruction that calls."""
    instructions, at = caller.f_code.co_code, caller.f_lasti
    while _CACHE is not None and instructions[at] == _CACHE:
        at -= 2  # Python 3.11 has moved on over what the instruction keeps behind it
    return instructions[at] in _CALLS


_HEAD = 6
"""Instructions before the first line of a generator or coroutine, at most."""


_SUSPENDS = frozenset(dis.opmap[name] for name in ("YIELD_VALUE", "YIELD_FROM", "SEND") if name in dis.opmap)

_YIELD_FROM = bytes([dis.opmap["YIELD_FROM"]]) if "YIELD_FROM" in dis.opmap else None


def _is_suspended(frame: FrameType) -> bool:
    """Whether a generator or coroutine gives control away and goes on later."""
    code, at = frame.f_code, frame.f_lasti
    if not code.co_flags & _RESUMABLE or at < 0:
        return False
    # Python 3.10 goes back by one, to do a YIELD_FROM again
    return code.co_code[at] in _SUSPENDS or code.co_code[at + 2 : at + 3] == _YIELD_FROM


def _is_first_or_last(event: str, frame: FrameType) -> bool:
    """Whether a generator or coroutine is called or has returned: it was neither resumed nor suspended."""
    if event == "call":
        return frame.f_lasti <= 2 * _HEAD
    return frame.f_lasti >= 0 and frame.f_code.co_code[frame.f_lasti] == dis.opmap["RETURN_VALUE"]


def _of_frame(frame: FrameType) -> callees.Callee | None:
    """What the function of a frame is; a constructor has the name of its class."""
    code = frame.f_code
    known = callees.of_code(code, frame.f_globals.get("__name__"))
    if code.co_name not in ("__init__", "__new__") or not code.co_varnames:
        return known
    made = frame.f_locals.get(code.co_varnames[0])
    if isinstance(made, BaseException):
        return None
    kind = type(made)
    return callees.Callee(kind.__name__, known.module, known.is_own, kind.__module__, kind.__qualname__)


def _raise(error: BaseException) -> None:
    # the traceback keeps this frame; it is not to keep the error
    try:
        raise error
    finally:
        del error
