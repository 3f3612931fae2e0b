"""Child processes, running or zombie, by pid and start time. Looking never reaps one."""

from __future__ import annotations

import os
import re
import shlex
import weakref
from typing import Any, cast

from pytest_leakguard import _real
from pytest_leakguard.core.model import Key, Resource
from pytest_leakguard.origins import forkserver
from pytest_leakguard.probes import procfs

ProcessKey = tuple[int, float]
"""Pid, and start time in clock ticks since boot (seconds where psutil tells it)."""

_TASKS = "/proc/self/task"
_NAMED_BY_COUNT = re.compile(r"(\w+)-\d+(?::\d+)*")


class ProcessProbe:
    """Sees the children of this process, and those that multiprocessing's fork server started for it."""

    kind = "process"
    moves_are_recorded = True

    def __init__(self) -> None:
        self._served: weakref.WeakKeyDictionary[Any, ProcessKey] = weakref.WeakKeyDictionary()
        self._children_files = os.path.exists(f"{_TASKS}/{_real.getpid()}/children")

    @property
    def mechanism(self) -> str:
        if self._children_files:
            return "the kernel's list of children, asked only when waitid says that there are any"
        return "psutil's list of children"

    def unavailable(self) -> str | None:
        if self._children_files:
            return None
        import psutil

        try:
            psutil.Process().children()
        except (psutil.Error, OSError, NotImplementedError) as error:
            return f"children can't be listed here: {error}"
        return None

    def mark(self) -> frozenset[Key]:
        return self.keys()

    def keys(self) -> frozenset[Key]:
        return self._own() | frozenset(self._key_of(popen) for _, popen in forkserver.children())

    def _key_of(self, popen: Any) -> ProcessKey:
        # kept: a child of the server is gone when it has ended, its start time too
        if popen not in self._served:
            self._served[popen] = (popen.pid, _start_ticks(popen.pid))
        return self._served[popen]

    def _own(self) -> frozenset[Key]:
        if not has_children():
            return frozenset()
        if not self._children_files:
            import psutil

            return frozenset((child.pid, child.create_time()) for child in psutil.Process().children())
        found: set[Key] = set()
        for task in _real.listdir(_TASKS):
            for pid in procfs.read(f"{_TASKS}/{task}/children").split():
                found.add((int(pid), _start_ticks(int(pid))))
        return frozenset(found)

    def describe(self, key: Key) -> Resource:
        pid, start = cast(ProcessKey, key)
        served = next((process for process, popen in forkserver.children() if self._key_of(popen) == key), None)
        if served is None:
            command, state = _command_and_state(pid)
        else:  # its command line is the server's, and the server has waited for it
            command, state = _name_of(served), "running" if 0 < start == _start_ticks(pid) else "ended"
        short = command if len(command) <= 120 else command[:117] + "..."
        fix = (
            f"it has ended: wait for it ({'join()' if served else '`with Popen(...)`, wait() or communicate()'})"
            if state in ("zombie", "ended")
            else f"end it and wait for it on every path: terminate(), then {'join()' if served else 'wait()'}"
        )
        return Resource(
            kind=self.kind, key=key, what=f"child process {pid}, {state}{short and ': ' + short}",
            subject=command or f"pid {pid}", fix=fix, clues=(("pid", pid), ("started", start)),
            reason="no event tells of its start",
        )  # fmt: skip


def _name_of(process: Any) -> str:
    """The name of a process of multiprocessing's, without the number that it gets by default."""
    name = str(vars(process).get("_name", ""))  # a class of the user may have a `name` of its own
    numbered = _NAMED_BY_COUNT.fullmatch(name)
    return numbered[1] if numbered is not None else name


def has_children() -> bool:
    """Whether this process has any child, running or zombie; one system call, reaps nothing."""
    if _real.waitid is None:
        return True
    try:
        _real.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT)
    except ChildProcessError:
        return False
    except OSError:
        return True
    return True


def _start_ticks(pid: int) -> float:
    fields = procfs.read(f"/proc/{pid}/stat").rpartition(")")[2].split()
    return float(fields[19]) if len(fields) > 19 else 0.0


def _command_and_state(pid: int) -> tuple[str, str]:
    try:
        import psutil  # with all descriptors in use it can't even be loaded
    except OSError:
        return "", "running or zombie"
    try:
        process: Any = psutil.Process(pid)
        state = "zombie" if process.status() == psutil.STATUS_ZOMBIE else "running"
        try:
            return shlex.join(process.cmdline()) or process.name(), state
        except (psutil.Error, OSError):
            return process.name(), state
    except (psutil.Error, OSError):
        return "", "gone"
