"""One-time initialisations: what a library starts once and keeps for the life of the process, on purpose.

A rule is here only when the library really does keep it. It matches the
qualified name of a function on the stack of the acquisition, never a substring
of a name or a path; where no acquisition is recorded, the library is asked.
"""

from __future__ import annotations

import os
import sys
from dataclasses import dataclass

from pytest_leakguard.origins import frames
from pytest_leakguard.origins.audit import Record
from pytest_leakguard.watch import Suspect


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
        module = self.module.replace("/", os.sep)
        return any(
            code.co_filename.endswith(os.sep + module) and _is_named(frames.name_of(code), self.function)
            for code, _ in record.stack
        )


ONCE: tuple[OnceRule, ...] = (
    OnceRule(
        kinds=frozenset({"thread"}),
        module="trio/_core/_thread_cache.py",
        function="WorkerThread.__init__",
        reason="trio keeps idle worker threads for the next use; they end by themselves after ten seconds",
    ),
    OnceRule(
        kinds=frozenset({"fd", "temp"}),
        module="multiprocessing/heap.py",
        function="Arena.__init__",
        reason="multiprocessing keeps the arenas of its shared memory heap and uses them again",
    ),
    OnceRule(
        kinds=frozenset({"thread", "process", "fd", "temp"}),
        module="loky/reusable_executor.py",
        function="_ReusablePoolExecutor.get_reusable_executor",
        reason="loky keeps one pool of workers for the whole process and ends it at exit",
    ),
    OnceRule(
        kinds=frozenset({"thread", "process", "fd", "temp"}),
        module="loky/process_executor.py",
        function="ProcessPoolExecutor._ensure_executor_running",
        reason="loky keeps one pool of workers for the whole process and ends it at exit",
    ),
    OnceRule(
        kinds=frozenset({"process", "fd"}),
        module="loky/backend/resource_tracker.py",
        function="ResourceTracker.ensure_running",
        reason="loky's resource tracker serves the whole process and ends with it",
    ),
)


def known_by_design(suspect: Suspect) -> str | None:
    """The reason why a suspect is a one-time initialisation, or None."""
    kind, key = suspect.item
    if suspect.record is not None:
        for rule in ONCE:
            if kind in rule.kinds and rule.matches(suspect.record):
                return rule.reason
    if isinstance(key, tuple) and key and key[0] in _helpers_of_multiprocessing(kind):
        return "multiprocessing's resource tracker or fork server: one for the whole process"
    return None


def _is_named(qualified: str, wanted: str) -> bool:
    # before 3.11 a code object knows its bare name only
    return qualified == wanted or ("." not in qualified and qualified == wanted.rpartition(".")[2])


def _helpers_of_multiprocessing(kind: str) -> tuple[object, ...]:
    """Pids or descriptors of the helpers, asked of the modules when they are loaded."""
    names = {"process": ("_pid", "_forkserver_pid"), "fd": ("_fd", "_forkserver_alive_fd")}.get(kind, ())
    singletons = [
        getattr(sys.modules.get(module), attribute, None)
        for module, attribute in (
            ("multiprocessing.resource_tracker", "_resource_tracker"),
            ("multiprocessing.forkserver", "_forkserver"),
            ("joblib.externals.loky.backend.resource_tracker", "_resource_tracker"),
            ("loky.backend.resource_tracker", "_resource_tracker"),
        )
    ]
    values = [getattr(one, name, None) for one in singletons if one is not None for name in names]
    return tuple(value for value in values if value is not None)
