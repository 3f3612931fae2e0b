"""Never blind: one resource of each kind is leaked on purpose, must be seen, and is released again."""

from __future__ import annotations

import io
import os
import signal
import socket
import sys
import tempfile
import threading
import warnings
from collections.abc import Callable, Collection

from pytest_leakguard import _real
from pytest_leakguard.core.demands import Demand
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
    before = watch.items(watch.look([kind]))
    marks, moves = watch.roster.marks(), watch.recorder.moves
    release = leak(watch)
    try:
        # both halves have to work: the cheap sign of movement and the census
        moved = watch.roster.marks() != marks or watch.recorder.moves != moves
        return moved and bool(watch.items(watch.look([kind])) - before)
    finally:
        release()


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


class _Tracked:
    """Something that can be tracked."""


def _object(watch: Watch) -> Release:
    kept = [_Tracked()]
    watch.track(kept[0], _real.getframe(0))
    return kept.clear


CANARIES: dict[str, Callable[[Watch], Release]] = {
    "fd": _fd,
    "socket": _socket,
    "thread": _thread,
    "process": _process,
    "temp": _temp,
    "unclosed": _unclosed,
    "object": _object,
}
