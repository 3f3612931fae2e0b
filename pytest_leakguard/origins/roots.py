"""Where chains of references begin that the collector can't see: running frames, handlers, errors being handled."""

from __future__ import annotations

import signal
import sys
import threading
from collections.abc import Iterable
from contextlib import AbstractContextManager
from types import CodeType, FrameType, ModuleType
from typing import Any

from pytest_leakguard import _real
from pytest_leakguard.core.holding import Edge
from pytest_leakguard.origins import frames

_OPTIMIZED = 0x1  # CO_OPTIMIZED: a function's frame; what a module or class body calls its locals is no copy
_valid_signals, _getsignal = signal.valid_signals, signal.getsignal


class Roots(AbstractContextManager["Roots"]):
    """The roots of one search, read right before it; holds objects of the user until the ``with`` block ends.

    Attributes:
        named: id of an object -> the reference by which a root holds it directly.
        namespaces: id of a module's dict -> the module's name.
        threads: ids of the thread objects that are alive.
        own: ids of containers that hold nothing in the eyes of the user: the lists of all threads.
    """

    def __init__(
        self,
        *,
        root: str,
        test: CodeType | None = None,
        values: Iterable[tuple[object, Edge]] = (),
        without: int | None = None,
    ) -> None:
        """Read them all.

        Args:
            root: paths are told relative to it.
            test: code of the test that is running, whose locals are called so.
            values: objects and the words for what holds them, as the caller knows.
            without: ident of a thread whose own stack does not count.
        """
        self.named: dict[int, Edge] = {}
        self.kept: list[Any] = []  # while it is here no id can be given to another object
        self.running: set[int] = set()
        self.namespaces = _namespaces()
        self.threads = {id(thread) for thread in _real.enumerate_threads()}
        self._read_values(values)
        self._read_handlers()
        self._read_threads(root, test, without)
        # that a thread runs is no news, and no one's mistake
        self.own = {id(getattr(threading, name, None)) for name in ("_active", "_limbo")}

    def __exit__(self, *error: object) -> None:
        # a frame that is kept here may lead back to it: a cycle, which would keep all its locals
        self.kept.clear()
        self.named.clear()

    def _name(self, value: object, edge: Edge) -> None:
        if id(value) in self.named:
            return
        if _real.gc_is_tracked(value) or type.__getattribute__(type(value), "__flags__") & _HEAP_TYPE:
            self.kept.append(value)
            self.named[id(value)] = edge

    def _read_values(self, values: Iterable[tuple[object, Edge]]) -> None:
        for value, edge in values:
            self._name(value, edge)

    def _read_threads(self, root: str, test: CodeType | None, without: int | None) -> None:
        names = {thread.ident: thread_name(thread) for thread in _real.enumerate_threads()}
        me = _real.get_ident()
        stacks = _real.current_frames()
        while stacks:
            # popped, not looped over: one of them is this very frame, which must not keep itself
            ident, stack = stacks.popitem()
            place = "" if ident == me else f", thread '{names.get(ident, ident)}'"
            self._read_stack(stack, root, place, test if ident == me else None, reads=ident != without)
            del stack
        for ident, error in _handled_errors():
            self._name(error, Edge(holder=f"error being handled in thread '{names.get(ident, ident)}'", kind="exact"))

    def _read_stack(
        self, frame: FrameType | None, root: str, place: str, test: CodeType | None, *, reads: bool
    ) -> None:
        while frame is not None:
            code = frame.f_code
            region = frames.region(code.co_filename)
            if region != "self":  # one of ours would keep its locals, and this with it
                self.running.add(id(frame))
                self.kept.append(frame)
            if reads and code.co_flags & _OPTIMIZED and region not in ("self", "runner"):
                holder = f"{frame_name(frame, root)}{place}"
                for name, value in local_items(frame, at_rest=not place):
                    if name.startswith("@py"):
                        continue  # what pytest's rewritten assert statements note for their message
                    self._name(value, Edge(holder=holder, kind="test" if code is test else "local", name=name))
            frame = frame.f_back

    def _read_handlers(self) -> None:
        for number in _valid_signals():
            handler = _getsignal(number)
            if callable(handler):
                self._name(handler, Edge(holder=f"handler of {getattr(number, 'name', number)}", kind="exact"))


_HEAP_TYPE = 1 << 9  # Py_TPFLAGS_HEAPTYPE; of the others only what the collector tracks can be a holder


def local_items(frame: FrameType, *, at_rest: bool) -> list[tuple[str, Any]]:
    """The locals of a function's frame, by name, without leaving a copy behind.

    Up to Python 3.12 reading them makes a dict that stays with the frame, and with
    it everything in it; it is emptied again unless someone else has it too. What
    exec() put into it is no copy, and stays.

    Args:
        at_rest: the frame is of this thread, or not running: no trace function is at work on it.
    """
    code, namespace = frame.f_code, frame.f_locals
    try:
        return list(namespace.items())
    finally:
        # a trace function of another thread may be at work between two copies of that dict:
        # emptied then, the thread would lose its locals
        if (
            type(namespace) is dict
            and code.co_flags & _OPTIMIZED
            and sys.getrefcount(namespace) <= 3  # the frame's, ours and the argument
            and (at_rest or not _is_traced())
        ):
            for name in (*code.co_varnames, *code.co_cellvars, *code.co_freevars):
                namespace.pop(name, None)


def _is_traced() -> bool:
    hooks = (sys.gettrace(), sys.getprofile(), threading.gettrace(), threading.getprofile())
    return any(hook is not None for hook in hooks)


def frame_name(frame: FrameType, root: str) -> str:
    """``load (app/loader.py:42)``."""
    code = frame.f_code
    line = frames.line_of(code, frame.f_lasti)
    return f"{frames.name_of(code)} ({frames.shorten(code.co_filename, root)}:{line})"


def thread_name(thread: threading.Thread) -> str:
    """The name of a thread, without running code of its class."""
    try:
        return str(object.__getattribute__(thread, "_name"))
    except AttributeError:
        return "?"


def _namespaces() -> dict[int, str]:
    found: dict[int, str] = {}
    for name, module in tuple(sys.modules.items()):
        # not by isinstance: the libraries of cffi say that they are modules
        if issubclass(type(module), ModuleType):
            found.setdefault(id(ModuleType.__getattribute__(module, "__dict__")), str(name))
    return found


def _handled_errors() -> list[tuple[int, BaseException]]:
    found = []
    for ident, handled in getattr(sys, "_current_exceptions", dict)().items():
        error = handled[1] if isinstance(handled, tuple) else handled  # a tuple up to 3.11
        if isinstance(error, BaseException):
            found.append((ident, error))
    return found
