"""One-time initialisations: what a library starts once and keeps for the life of the process, on purpose.

Something is here only when the library really does keep it. It is told in one
of two ways, neither of them by a substring of a name: by the qualified name of a
function on the stack of the acquisition, or because the library's one global
object holds it.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Collection
from dataclasses import dataclass

from pytest_leakguard.core.model import Key
from pytest_leakguard.known_libffi import file_of_libffi
from pytest_leakguard.known_libuv import pipe_of_libuv
from pytest_leakguard.origins import frames
from pytest_leakguard.origins.reach import reach
from pytest_leakguard.origins.record import Record
from pytest_leakguard.suspects import Suspect


@dataclass(frozen=True, slots=True, kw_only=True)
class OnceRule:
    """One function whose acquisitions of some kinds are kept on purpose.

    Attributes:
        module: where it stands, as path from the import root.
        function: its qualified name.
        reason: why that is no leak.
    """

    kinds: frozenset[str]
    module: str
    function: str
    reason: str

    def matches(self, record: Record) -> bool:
        """Whether the function is on the stack of the acquisition."""
        module = os.sep + self.module.replace("/", os.sep)
        return any(
            code.co_filename.endswith(module) and _is_named(frames.name_of(code), self.function)
            for code, _ in record.stack
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Singleton:
    """A library's one global object that lives as long as the process.

    Attributes:
        module, attribute: where it is found, if the module is loaded.
        pids, descriptors: names of its attributes that hold such numbers.
        reason: why what it holds is no leak.
    """

    module: str
    attribute: str
    reason: str
    pids: tuple[str, ...] = ()
    descriptors: tuple[str, ...] = ()

    def get(self) -> object | None:
        """The object, when there is one now."""
        return getattr(sys.modules.get(self.module), self.attribute, None)


ONCE: tuple[OnceRule, ...] = (
    OnceRule(
        kinds=frozenset({"thread"}),
        module="trio/_core/_thread_cache.py",
        function="WorkerThread.__init__",
        reason="trio keeps idle worker threads for the next use; they end by themselves after ten seconds",
    ),
    OnceRule(
        kinds=frozenset({"fd", "socket"}),
        module="anyio/_backends/_asyncio.py",
        function="TestRunner.__enter__",
        reason="anyio's plugin keeps one event loop for the tests and fixtures that overlap, and closes it after them",
    ),
    OnceRule(
        kinds=frozenset({"task"}),
        module="anyio/_backends/_asyncio.py",
        function="AsyncIOBackend.setup_process_pool_exit_at_shutdown",
        reason="anyio keeps worker processes for the life of a loop, and a task that ends them when it is cancelled",
    ),
    OnceRule(
        kinds=frozenset({"fd", "mmap"}),
        module="multiprocessing/heap.py",
        function="Arena.__init__",
        reason="multiprocessing keeps the arenas of its shared memory heap and uses them again",
    ),
    OnceRule(
        kinds=frozenset({"temp"}),
        module="multiprocessing/util.py",
        function="get_temp_dir",
        reason="multiprocessing keeps one folder for the whole process and removes it at exit",
    ),
    OnceRule(
        kinds=frozenset({"thread"}),
        module="tqdm/_monitor.py",
        function="TMonitor.__init__",
        reason="tqdm keeps one thread that refreshes all its bars, a daemon",
    ),
    OnceRule(
        kinds=frozenset({"thread", "fd", "socket"}),
        module="fsspec/asyn.py",
        function="get_loop",
        reason="fsspec keeps one event loop in a daemon thread for all its file systems",
    ),
    OnceRule(
        kinds=frozenset({"temp"}),
        module="joblib/_memmapping_reducer.py",
        function="_get_temp_dir",
        reason="joblib keeps a folder for what its pools share and removes it at exit",
    ),
    OnceRule(
        kinds=frozenset({"process", "thread", "fd"}),
        module="jedi/inference/compiled/subprocess/__init__.py",
        function="CompiledSubprocess._get_process",
        reason="jedi keeps the process in which it looks at modules, and ends it with its environment or at exit",
    ),
)

_TRACKER = "the resource tracker serves the whole process and ends with it"
_POOL = "loky keeps one pool of workers for the whole process and ends it at exit"

SINGLETONS: tuple[Singleton, ...] = (
    Singleton(
        module="multiprocessing.resource_tracker",
        attribute="_resource_tracker",
        pids=("_pid",),
        descriptors=("_fd",),
        reason=_TRACKER,
    ),
    Singleton(
        module="multiprocessing.forkserver",
        attribute="_forkserver",
        pids=("_forkserver_pid",),
        descriptors=("_forkserver_alive_fd",),
        reason="the fork server serves the whole process and ends with it",
    ),
    *(
        item
        for package in ("loky", "joblib.externals.loky")
        for item in (
            Singleton(
                module=f"{package}.backend.resource_tracker",
                attribute="_resource_tracker",
                pids=("_pid",),
                descriptors=("_fd",),
                reason=_TRACKER,
            ),
            Singleton(module=f"{package}.reusable_executor", attribute="_executor", reason=_POOL),
        )
    ),
)


def known_by_design(suspects: Collection[Suspect]) -> dict[tuple[str, Key], str]:
    """Which suspects are one-time initialisations, each with the reason why that is no leak."""
    known: dict[tuple[str, Key], str] = {}
    for suspect in suspects:
        rule = _rule_for(suspect)
        if rule is not None:
            known[suspect.item] = rule.reason
    for singleton in SINGLETONS:
        rest = [suspect for suspect in suspects if suspect.item not in known]
        root = singleton.get() if rest else None
        if root is not None:
            for suspect in _held_by(root, singleton, rest):
                known[suspect.item] = singleton.reason
    for kept_by in (pipe_of_libuv, file_of_libffi):
        known |= kept_by([suspect for suspect in suspects if suspect.item not in known])
    return known


def _rule_for(suspect: Suspect) -> OnceRule | None:
    if suspect.record is None:
        return None
    kind = suspect.item[0]
    return next((rule for rule in ONCE if kind in rule.kinds and rule.matches(suspect.record)), None)


def _held_by(root: object, singleton: Singleton, suspects: list[Suspect]) -> list[Suspect]:
    numbers = {
        (kind, number)
        for kind, names in (("process", singleton.pids), ("fd", singleton.descriptors))
        for name in names
        if (number := getattr(root, name, None)) is not None
    }
    live = [suspect.live for suspect in suspects if suspect.live is not None]
    paths = [str(suspect.item[1]) for suspect in suspects if suspect.item[0] == "temp"]
    pids = [_number(suspect) for suspect in suspects if suspect.item[0] == "process"]
    found = reach([root], live, paths, numbers=[pid for pid in pids if pid is not None])
    return [
        suspect
        for suspect in suspects
        if (suspect.item[0], _number(suspect)) in numbers
        or id(suspect.live) in found.objects
        or str(suspect.item[1]) in found.texts
        or (suspect.item[0] == "process" and _number(suspect) in found.numbers)
    ]


def _number(suspect: Suspect) -> int | None:
    """The descriptor or pid of a suspect."""
    key = suspect.item[1]
    return key[0] if isinstance(key, tuple) and key and isinstance(key[0], int) else None


def _is_named(qualified: str, wanted: str) -> bool:
    # before 3.11 a code object knows its bare name only
    return qualified == wanted or ("." not in qualified and qualified == wanted.rpartition(".")[2])
