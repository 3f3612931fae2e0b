"""Tells what an interpreter waits for that does not exit: threads, children, callbacks of atexit.

Python ends in three steps: functions that `threading` calls first, the threads
that are no daemons, the callbacks of `atexit`. Any of them can wait for ever,
and nothing on the screen says so. A daemon thread that is started with the
first step looks once, after a second, and writes to the descriptor of stderr.
It holds nothing up, and is gone with the process.
"""

from __future__ import annotations

import os
import shlex
import sys
import threading
from collections.abc import Mapping
from types import CodeType, FrameType

import psutil

from pytest_leakguard import _real
from pytest_leakguard.core.model import Key
from pytest_leakguard.origins import frames
from pytest_leakguard.report import pages
from pytest_leakguard.report.text import printable

SECONDS = 1.0
_CAN_START_LATE = sys.version_info[:2] != (3, 12)
"""Python 3.12 starts no thread any more by then: there the thread waits from the end of the session on."""
_CHILDREN_TOLD = 10
_STDERR = 2

Places = Mapping[tuple[str, Key], str]
"""Thread or child -> where it was started, in words."""


class _Watch:
    """The one watch of the process; each session that ends leaves it what it knows."""

    def __init__(self) -> None:
        self.root = ""
        self.places: Places = {}
        self.registered: Mapping[CodeType, str] = {}
        self._pid = 0
        self._ends = threading.Event()

    def arm(self) -> None:
        """Start with the end of the interpreter; in this process, not in a fork of it."""
        if self._pid == _real.getpid():
            return
        self._pid = _real.getpid()
        # its functions run before anything is waited for; those of atexit come after the threads
        register = getattr(threading, "_register_atexit", None)
        if register is None:
            return
        try:
            register(self._start)
            if not _CAN_START_LATE:
                self._start_thread()
        except RuntimeError:  # the interpreter ends already
            pass

    def _start(self) -> None:
        try:
            if self._pid == _real.getpid():
                self._ends.set()
                if _CAN_START_LATE:
                    self._start_thread()
        except Exception:  # nobody is left to be told, and the exit must not change
            pass

    def _start_thread(self) -> None:
        threading.Thread(target=self._look, name="leakguard-exit", daemon=True).start()

    def _look(self) -> None:
        self._ends.wait()
        _real.sleep(SECONDS)
        try:
            lines = self._lines()
            if lines:
                head = f"leakguard: the interpreter has been waiting to exit for {SECONDS:g} s:"
                link = f"leakguard: {pages.line([pages.WAITING_TO_EXIT])}"
                text = "\n".join(["", head, *(f"  {printable(line)}" for line in lines), link, ""])
                # not through a stream: its lock, held by a daemon thread, would abort the interpreter
                os.write(_STDERR, text.encode("utf-8", "backslashreplace"))
        except Exception:  # as above
            pass

    def _lines(self) -> list[str]:
        return [*_callback(self.root, self.registered), *self._threads(), *self._children()]

    def _threads(self) -> list[str]:
        running = _real.current_frames()
        lines = []
        for thread in _real.enumerate_threads():
            if thread.daemon or thread is _real.main_thread() or thread.ident is None:
                continue
            frame = running.get(thread.ident)
            place = self.places.get(("thread", (thread.ident, thread.native_id or 0)))
            started = f"; started {place}" if place else ""
            lines.append(f"thread {thread.name!r}, not daemon{_now(frame, self.root)}{started}")
        return lines

    def _children(self) -> list[str]:
        started = {
            key[0]: place for (kind, key), place in self.places.items() if kind == "process" and isinstance(key, tuple)
        }
        lines = []
        for child in psutil.Process().children()[:_CHILDREN_TOLD]:
            try:
                if child.status() != psutil.STATUS_ZOMBIE:
                    place = f"; started {started[child.pid]}" if child.pid in started else ""
                    lines.append(f"child process {child.pid}: {shlex.join(child.cmdline())[:120]}{place}")
            except psutil.Error:  # it has ended since
                continue
        return lines


def _callback(root: str, registered: Mapping[CodeType, str]) -> list[str]:
    """What the main thread is in: a callback of atexit, or nothing but the wait for threads."""
    frame = _real.current_frames().get(_real.main_thread().ident or 0)
    stack = frames.walk(frame)
    now = _now(frame, root)
    del frame
    if not stack:
        return []
    code = stack[-1][0]
    if code.co_filename == threading.__file__ and code.co_name == "_shutdown":
        return []
    place = f"{frames.shorten(code.co_filename, root)}:{code.co_firstlineno}"
    during = f", registered during {registered[code]}" if code in registered else ""
    return [f"callback of atexit {frames.name_of(code)} ({place}){during}{now}"]


def _now(frame: FrameType | None, root: str) -> str:
    stack = frames.walk(frame)
    if not stack:
        return ""
    origin = frames.origin_of(stack, root=root, how="unknown", event="")
    return f", now at {origin.file}:{origin.line} in {origin.function}"


_watch = _Watch()


def watch_exit(root: str, places: Places, registered: Mapping[CodeType, str]) -> None:
    """From the end of the interpreter on, tell what it waits for.

    Args:
        root: paths are told relative to it.
        places: where the threads and children that are there now were started.
        registered: code of a callback of atexit -> the test that registered it.
    """
    _watch.root, _watch.places, _watch.registered = root, dict(places), dict(registered)
    _watch.arm()
