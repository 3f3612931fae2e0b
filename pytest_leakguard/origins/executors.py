"""Executors and pools: where one was made, and which threads, children and pipes are parts of it.

Nothing tells of the making of an executor, and its threads start only when work
comes. So `__init__` of the three classes of the standard library notes who calls
it; a class that is not loaded yet is wrapped when it is imported.

Only one that was not shut down has parts. What a shut-down one left running
is told thread by thread, with the place where it hangs.
"""

from __future__ import annotations

import contextlib
import functools
import importlib
import re
import sys
import threading
import weakref
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from types import FrameType
from typing import Any, cast

from pytest_leakguard import _real
from pytest_leakguard.core.model import Key, Resource
from pytest_leakguard.origins.audit import Recorder
from pytest_leakguard.origins.holders import pipes_of
from pytest_leakguard.origins.record import Record

CLASSES = {
    "concurrent.futures.thread": "ThreadPoolExecutor",
    "concurrent.futures.process": "ProcessPoolExecutor",
    "multiprocessing.pool": "Pool",
}
"""Module -> the class in it whose set-up is noted."""

_THREADS = ("_executor_manager_thread", "_worker_handler", "_task_handler", "_result_handler")
_QUEUES = ("_call_queue", "_result_queue", "_executor_manager_thread_wakeup", "_inqueue", "_outqueue")
_NAMED_BY_COUNT = re.compile(r"ThreadPoolExecutor-\d+")


@dataclass(frozen=True, slots=True)
class _Parts:
    """The idents of an executor's threads, the pids of its children, and the descriptors of its pipes."""

    threads: frozenset[int]
    pids: frozenset[int]
    numbers: frozenset[int]


class Executors:
    """Those that were made while this is switched on and are alive."""

    kind = "executor"

    def __init__(self, recorder: Recorder) -> None:
        self._recorder = recorder
        self._made: dict[int, tuple[weakref.ref[Any], Record]] = {}
        self.kept = (self._made,)
        self._next = 0
        self._undo: list[Callable[[], None]] = []
        recorder.listen({"import": self._on_import})

    def start(self) -> None:
        """Note the executors that are made from now on."""
        for module in CLASSES:
            if module in sys.modules:
                self._wrap(module)

    def stop(self) -> None:
        """Leave the classes as they were found."""
        while self._undo:
            self._undo.pop()()

    def keys(self) -> frozenset[Key]:
        """The executors that are alive."""
        for serial, (made, _) in tuple(self._made.items()):
            if made() is None:
                self._made.pop(serial, None)
        return frozenset(self._made)

    def record(self, key: Key) -> Record | None:
        """The call that made an executor."""
        made = self._made.get(cast(int, key))
        return None if made is None else made[1]

    def live(self, key: Key) -> object | None:
        """The executor itself, for the search of what may shut it down."""
        made = self._made.get(cast(int, key))
        return None if made is None else made[0]()

    def threads_of(self, key: Key) -> frozenset[int]:
        """The idents of the threads of an executor; none when it is shut down."""
        executor = self.live(key)
        return frozenset() if executor is None or _is_shut_down(executor) else _parts_of(executor).threads

    def whole_of(self, resource: Resource) -> Key | None:
        """The executor that a thread, a child or a descriptor is a part of."""
        if resource.kind not in ("thread", "process", "fd") or not self._made:
            return None
        number = resource.key[0] if isinstance(resource.key, tuple) else None
        for serial in self.keys():
            executor = self.live(serial)
            if executor is None or _is_shut_down(executor):
                continue
            parts = _parts_of(executor)
            if number in {"thread": parts.threads, "process": parts.pids, "fd": parts.numbers}[resource.kind]:
                return serial
        return None

    def in_words(self, part: Resource, key: Key) -> Resource:
        """The words for a part: those for the executor."""
        executor = self.live(key)
        if executor is None:
            return part
        parts = _parts_of(executor)
        name = type.__getattribute__(type(executor), "__name__")
        counted = (
            _counted(len(parts.pids), "child process", "es") if parts.pids else _counted(len(parts.threads), "thread")
        )
        prefix = vars(executor).get("_thread_name_prefix")
        if type(prefix) is not str or _NAMED_BY_COUNT.fullmatch(prefix):
            prefix = ""
        if _is_pool(executor):
            missing, fix = (
                "closed",
                f"close and join it: `with {name}() as pool:`, or close() and join() in a `finally`",
            )
        else:
            missing, fix = "shut down", f"shut it down: `with {name}() as executor:`, or shutdown() in a `finally`"
        called = f"{name} {prefix!r}" if prefix else name
        return replace(
            part, what=f"{called} that was never {missing}, with {counted}", subject=prefix or name, fix=fix
        )  # fmt: skip

    # -- noting them ---------------------------------------------------------

    def _on_import(self, args: Any, _frame: object) -> None:
        module = args[0]
        if module not in CLASSES or module in sys.modules:
            return
        # the event comes before the import: it is done here, and the importer finds it done;
        # what goes wrong in it goes wrong there again
        with contextlib.suppress(Exception):
            importlib.import_module(module)
            self._wrap(module)

    def _wrap(self, module: str) -> None:
        kind: Any = getattr(sys.modules[module], CLASSES[module], None)
        real = getattr(kind, "__init__", None)
        if real is None:
            return

        @functools.wraps(real)
        def __init__(executor: Any, *args: Any, **kwargs: Any) -> None:
            __tracebackhide__ = True
            real(executor, *args, **kwargs)
            if self._recorder.active:
                frame = _real.getframe(1)
                with self._recorder.unharmed():
                    self._note(executor, CLASSES[module], frame)

        def undo() -> None:
            if kind.__init__ is __init__:
                kind.__init__ = real

        kind.__init__ = __init__
        self._undo.append(undo)

    def _note(self, executor: Any, event: str, frame: FrameType) -> None:
        record = self._recorder.note(event, frame)
        record.how = "wrap"
        self._next += 1
        self._made[self._next] = (weakref.ref(executor), record)


def _counted(number: int, word: str, ending: str = "s") -> str:
    return f"{number} {word}{ending if number != 1 else ''}"


def _is_pool(executor: Any) -> bool:
    """Whether it is multiprocessing's, which has a life cycle of its own."""
    return "_worker_handler" in vars(executor)


def _is_shut_down(executor: Any) -> bool:
    names = vars(executor)
    if _is_pool(executor):
        return bool(names.get("_state") != "RUN")
    return bool(names.get("_shutdown") or names.get("_shutdown_thread"))


def _parts_of(executor: Any) -> _Parts:
    names = vars(executor)
    threads = [*_snapshot(names.get("_threads")), *(names.get(name) for name in _THREADS)]
    processes = names.get("_processes")  # the count of them in a Pool
    children = [*_snapshot(processes.values() if isinstance(processes, dict) else ()), *_snapshot(names.get("_pool"))]
    # ThreadPool's are threads in the clothes of processes
    threads += [child for child in children if isinstance(child, threading.Thread)]
    threads += [vars(names[name]).get("_thread") for name in _QUEUES if hasattr(names.get(name), "__dict__")]
    numbers: set[int] = set()
    for name in (*_QUEUES, "_change_notifier"):
        queue = names.get(name)
        for end in ("_reader", "_writer") if hasattr(queue, "__dict__") else ():
            numbers.add(getattr(vars(queue).get(end), "_handle", None) or -1)
    pids = set()
    for child in children:
        popen = getattr(child, "_popen", None)
        if popen is not None and not isinstance(child, threading.Thread):
            pids.add(popen.pid)
            numbers |= pipes_of(popen)
    return _Parts(
        frozenset(t.ident for t in threads if isinstance(t, threading.Thread) and t.ident is not None),
        frozenset(pids),
        frozenset(numbers - {-1}),
    )


def _snapshot(collection: Iterable[Any] | None) -> list[Any]:
    """The members of a collection that another thread may be changing."""
    while True:
        try:
            return list(collection or ())
        except RuntimeError:  # changed meanwhile
            continue
