"""Threads that Python knows, and raw ones that run Python code.

Threads of C libraries without any Python state are not judged: such pools live
as long as the process, and nothing a test does could end them.
"""

from __future__ import annotations

import re
import sys
import threading
from collections.abc import Callable
from typing import cast

from pytest_leakguard import _real
from pytest_leakguard.core.model import Key, Resource
from pytest_leakguard.origins import frames

ThreadKey = tuple[int, int]
"""Ident and native id; the native id is 0 where it is not known."""


class ThreadProbe:
    """Sees threads that are alive, less the main thread and the one that looks."""

    kind = "thread"
    mechanism = "threading and the interpreter's frames"

    def __init__(self, root: str = "") -> None:
        self._root = root
        self.mark = _real.thread_count  # asked after every test: without a call in between

    def unavailable(self) -> str | None:
        return None

    def keys(self) -> frozenset[Key]:
        own = _real.get_ident()
        main = _real.main_thread().ident
        running = set(_real.current_frames())
        keys: set[Key] = set()
        for thread in _real.enumerate_threads():
            ident = thread.ident
            if ident is None or ident in (own, main):
                continue
            if ident not in running:
                # what stands for a foreign thread outlives it; it is gone
                continue
            running.discard(ident)
            keys.add((ident, thread.native_id or 0))
        keys.update((ident, 0) for ident in running if ident not in (own, main))
        return frozenset(keys)

    def describe(self, key: Key) -> Resource:
        ident, _ = cast(ThreadKey, key)
        thread = next((t for t in _real.enumerate_threads() if t.ident == ident), None)
        place = self._place(ident)
        clues = (("thread", ident),)
        if thread is None or isinstance(thread, threading._DummyThread):
            return Resource(
                kind=self.kind, key=key, what=f"thread {ident} not made by the threading module{place}",
                subject="raw thread", fix="let its function return before the test ends", clues=clues,
                reason="it was not started by the threading module",
            )  # fmt: skip
        daemon = "daemon" if thread.daemon else "not daemon"
        return Resource(
            kind=self.kind, key=key, what=f"thread {thread.name!r}, {daemon}{place}", subject=str(thread.name),
            fix=_remedy(thread), clues=clues, reason="it was started before recording began",
        )  # fmt: skip

    def _place(self, ident: int) -> str:
        frame = sys._current_frames().get(ident)
        try:
            stack = frames.walk(frame)
        finally:
            del frame
        if not stack:
            return ""
        origin = frames.origin_of(stack, root=self._root, how="unknown", event="")
        return f", now at {origin.file}:{origin.line} in {origin.function}"


def _remedy(thread: threading.Thread) -> str:
    try:
        target = object.__getattribute__(thread, "_target")
    except AttributeError:
        target = None
    if getattr(target, "__module__", "") == "concurrent.futures.thread":
        return "shut the executor down: `with ThreadPoolExecutor() as pool:` or pool.shutdown()"
    if isinstance(thread, threading.Timer):
        return "cancel the timer, then join it"
    return "tell it to stop and join it before the test ends"


BASETEMP = "<basetemp>/"
_NUMBERED = re.compile(r"^.*?/pytest-of-[^/]+/pytest-\d+/(popen-gw\d+/)?")


def shortener(root: str) -> Callable[[str], str]:
    """A function that makes paths below `root` relative to it.

    The numbered folder that pytest makes for each run is left out, so that a
    path reads the same in every run.
    """

    def shorten(path: str) -> str:
        if not path:
            return ""
        short = _NUMBERED.sub(BASETEMP, path)
        return short if short != path else frames.shorten(path, root)

    return shorten
