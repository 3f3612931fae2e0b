"""Never blind: one resource of each kind is leaked on purpose, must be seen, and is released again."""

from __future__ import annotations

import importlib
import io
import mmap
import os
import signal
import socket
import sys
import tempfile
import threading
import warnings
from collections.abc import Callable, Collection
from contextlib import nullcontext
from types import ModuleType
from typing import Any

from pytest_leakguard import _real
from pytest_leakguard.core.demands import Demand
from pytest_leakguard.core.holding import Path
from pytest_leakguard.origins.holding import find
from pytest_leakguard.origins.roots import Roots
from pytest_leakguard.probes.instances import Instances
from pytest_leakguard.probes.tempfiles import temp_folder
from pytest_leakguard.watch import Watch

Release = Callable[[], object]


def blind_kinds(watch: Watch, kinds: Collection[str]) -> dict[str, str]:
    """Leak one of each active kind, look, release it.

    Returns: kind -> why it is blind; empty when every probe sees.
    """
    blind: dict[str, str] = {}
    for kind, leak in CANARIES.items():
        if kind in kinds and kind in watch.roster.kinds:
            try:
                seen = sees(watch, kind, leak)
            except OSError as error:
                blind[kind] = f"the canary could not be made: {error}"
                continue
            if not seen:
                blind[kind] = "a resource leaked on purpose was not seen"
    if "object" in kinds and "object" not in blind and watch.instances.is_asked and not sees_instances(watch):
        blind["object"] = "an instance that was never closed on purpose was not seen"
    return blind


def sees(watch: Watch, kind: str, leak: Callable[[Watch], Release]) -> bool:
    """Whether the probe of a kind sees what `leak` leaves behind."""
    try:
        with watch.state.watching() if kind == "state" else nullcontext():
            watch.roster.remark()  # what is watched decides who is asked
            return _sees(watch, kind, leak)
    finally:
        watch.roster.remark()


def _sees(watch: Watch, kind: str, leak: Callable[[Watch], Release]) -> bool:
    before = watch.items(watch.look([kind]))
    marks, moves = watch.roster.marks(), watch.recorder.moves
    release = leak(watch)
    try:
        # both halves have to work: the cheap sign of movement and the census
        moved = watch.roster.marks() != marks or watch.recorder.moves != moves
        return moved and bool(watch.items(watch.look([kind])) - before)
    finally:
        release()


def holder_is_seen() -> bool:
    """Whether the search finds who holds an object that a module keeps on purpose."""
    module = ModuleType("leakguard_canary")
    vars(module).update(__builtins__={}, kept=[_Tracked()])
    with Roots(root="") as roots:
        found = find(vars(module)["kept"][0], roots, root="")
    return isinstance(found, Path) and [edge.name for edge in found.edges] == ["kept", "0"]


def sees_instances(watch: Watch) -> bool:
    """Whether instances that nobody closes are noticed, one of a class of Python code and one of a C type."""
    objects = watch.objects
    before, asked = objects.keys(), (objects.before_look, objects.moves_are_recorded)
    instances = Instances(objects, watch.recorder)
    watch.ledger.begin_test("canary")
    try:
        instances.ask(Demand(pattern=name, methods=("close",)) for name in (f"{__name__}.Closable", "_io.BytesIO"))
        before |= instances.begin_test()
        kept = (Closable(), io.BytesIO())
        new = objects.keys() - before
        for one in kept:
            one.close()
        left = objects.keys() & new
        for key in new:
            objects.forget(key)
        return len(new) == len(kept) and not left
    finally:
        instances.stop()
        watch.ledger.end_test()
        objects.before_look, objects.moves_are_recorded = asked


class Closable:
    """Something that has to be closed."""

    def close(self) -> None:
        """Nothing is behind it."""


def _fd(watch: Watch) -> Release:
    number = _real.os_open(os.devnull, os.O_RDONLY)
    return lambda: _real.close(number)


def _socket(watch: Watch) -> Release:
    return socket.socket().close


def _mmap(watch: Watch) -> Release:
    return mmap.mmap(-1, mmap.PAGESIZE).close


def _sqlite(watch: Watch) -> Release:
    # not the whole of sqlite3, which a test may want to import by itself
    connect = importlib.import_module("_sqlite3").connect
    release: Release = connect(":memory:").close
    return release


def _thread(watch: Watch) -> Release:
    stop, up = threading.Event(), threading.Event()

    def wait() -> None:
        up.set()
        stop.wait()

    thread = threading.Thread(target=wait, name="leakguard-canary", daemon=True)
    thread.start()
    up.wait()

    def release() -> None:
        stop.set()
        thread.join()

    return release


def _process(watch: Watch) -> Release:
    # not a fork: that would run the at-fork handlers of the user's libraries
    pid = os.posix_spawn(sys.executable, [sys.executable, "-I", "-S", "-c", ""], {})

    def release() -> None:
        _real.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)

    return release


def _lock(watch: Watch) -> Release:
    lock = watch.locks.track(threading.Lock(), _real.getframe(0), False)
    lock.acquire()
    # the probe keeps nothing alive: the release does
    release: Release = lock.release
    return release


def _temp(watch: Watch) -> Release:
    number, path = tempfile.mkstemp(prefix="leakguard-canary-", dir=temp_folder())
    _real.close(number)

    def release() -> None:
        os.unlink(path)
        watch.recorder.created.pop(os.path.abspath(path), None)

    return release


def _unclosed(watch: Watch) -> Release:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        watch.unclosed.watch()
        stream = open(os.devnull)  # noqa: SIM115  closed by its reference count, two lines on
        del stream

    def release() -> None:
        for key in sorted(watch.unclosed.keys(), key=repr):
            watch.unclosed.forget(key)

    return release


def _task(watch: Watch) -> Release:
    asyncio: Any = sys.modules.get("asyncio")
    before = watch.tasks.keys()
    coroutine = _never_awaited()
    if hasattr(asyncio, "SelectorEventLoop"):
        loop = asyncio.SelectorEventLoop()
        task = loop.create_task(coroutine)
        task._log_destroy_pending = False
    else:
        # asyncio is not imported for the sake of a canary
        loop = None
        with warnings.catch_warnings(), watch.collecting(watch.recorder.context, lambda: None):
            watch.unclosed.watch()
            del coroutine

    def release() -> None:
        for key in watch.tasks.keys() - before:
            watch.tasks.forget(key)
        if loop is not None:
            coroutine.close()
            loop.close()

    return release


async def _never_awaited() -> None:
    """Made, and that is all."""


class _Tracked:
    """Something that can be tracked."""


def _object(watch: Watch) -> Release:
    kept = [_Tracked()]
    watch.track(kept[0], _real.getframe(0))
    return kept.clear


def _state(watch: Watch) -> Release:
    limit = sys.getrecursionlimit()
    sys.setrecursionlimit(limit + 1)
    return lambda: sys.setrecursionlimit(limit)


CANARIES: dict[str, Callable[[Watch], Release]] = {
    "fd": _fd,
    "socket": _socket,
    "mmap": _mmap,
    "sqlite": _sqlite,
    "thread": _thread,
    "process": _process,
    "lock": _lock,
    "task": _task,
    "temp": _temp,
    "unclosed": _unclosed,
    "object": _object,
    "state": _state,
}
