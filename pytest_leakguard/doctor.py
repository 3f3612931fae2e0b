"""``python -m pytest_leakguard doctor``: leaks one of each kind on purpose and prints which probes see it."""

from __future__ import annotations

import os
import platform
import sys

from pytest_leakguard import __version__, native
from pytest_leakguard.origins.holding import SECONDS_AT_MOST
from pytest_leakguard.origins.wrap import THREAD_START_HAS_EVENT
from pytest_leakguard.plugin.canary import CANARIES, holder_is_seen, sees, sees_instances
from pytest_leakguard.watch import Watch

_ORIGINS = {
    "fd": "audit events open, os.scandir, sqlite3.connect; pipe, dup and epoll raise none (--leakguard-trace)",
    "socket": "audit event socket.__new__",
    "mmap": "audit event mmap.__new__",
    "sqlite": "audit event sqlite3.connect",
    "thread": "audit event of the thread's start" if THREAD_START_HAS_EVENT else "wrapper of the thread's start",
    "process": "audit events subprocess.Popen, os.fork, os.posix_spawn",
    "lock": "the line that called track_lock, or that acquired a wrapped lock",
    "task": "asyncio's registry of tasks; of a coroutine never awaited the one line that can have made it",
    "temp": "audit events open, os.mkdir, os.rename, os.link, os.symlink, socket.bind",
    "unclosed": "matched with the acquisition by path, descriptor, pid or address",
    "object": "the line that called track, or that made the instance of a class of leakguard_track",
    "state": "audit events os.chdir, os.putenv, os.unsetenv; other values raise none",
}
_LIMITS = (
    "a test's own catch_warnings, pytest.warns or recwarn hides ResourceWarnings raised inside it",
    "what a task waits for is not run: a task that would end by itself on a loop that lives on is told as pending",
    "asynchronous generators that are dropped unfinished are closed by asyncio soon after, and not told",
    "threads of C libraries without Python state are not judged",
)


def main() -> int:
    """Print the table. Returns 0 when every kind is seen here, else 1."""
    watch = Watch(root=os.getcwd())
    watch.start()
    try:
        print(
            f"pytest-leakguard {__version__}, {platform.python_implementation()} {platform.python_version()} "
            f"on {sys.platform}"
        )
        good = True
        for state in watch.roster.states():
            if not state.active:
                verdict, good = f"not watched: {state.note}", False
            else:
                try:
                    seen = sees(watch, state.kind, CANARIES[state.kind])
                    verdict = "seen" if seen else "BLIND: leaked on purpose, not seen"
                except OSError as error:
                    seen, verdict = False, f"could not be tried: {error}"
                good = good and seen
            print(f"{state.kind:<9} {verdict}")
            print(f"{'':<9}   census: {state.mechanism}")
            print(f"{'':<9}   origin: {_ORIGINS[state.kind]}")
        instances = sees_instances(watch)
        good = good and instances
        print(f"{'':<9}   classes of leakguard_track: {'seen' if instances else 'BLIND: never closed, not seen'}")
        seen = holder_is_seen()
        good = good and seen
        print(f"{'holder':<9} {'found' if seen else 'BLIND: who holds an object was not found'}")
        print(f"{'':<9}   search: the collector's referrers, breadth first, at most {SECONDS_AT_MOST:g} s")
        print(f"descriptors: {watch.table.count()} open, limit {watch.table.limit:,}")
        print(f"part in C: {native.STATE}")
        print("known limits:")
        for limit in _LIMITS:
            print(f"  - {limit}")
        return 0 if good else 1
    finally:
        watch.stop()
