"""What ``--leakguard-probes=help`` prints: the kinds that can be named here, and how each is seen."""

from __future__ import annotations

import pytest

from pytest_leakguard.core.model import OPT_IN
from pytest_leakguard.plugin.entry import other_probes
from pytest_leakguard.watch import Watch

_MEANS = {
    "fd": "open files, pipes, folders and other descriptors",
    "socket": "sockets",
    "mmap": "memory maps and shared memory",
    "sqlite": "connections of sqlite3",
    "thread": "threads, and executors of threads",
    "process": "child processes, and pools of them",
    "task": "asyncio tasks, asynchronous generators, coroutines never awaited",
    "lock": "locks given to track_lock that are still held",
    "temp": "files and folders that stay",
    "unclosed": "what only the garbage collector closed",
    "object": "objects given to track, and instances of the classes of leakguard_track",
    "state": "cwd, environ, signal handlers, sys.path and the like that are left changed",
}
_USAGE = """
--leakguard-probes=fd,socket   these and no others
--leakguard-probes=+state      added to the default
--leakguard-probes=-temp       taken from the default
--leakguard-probes=all         every kind

`python -m pytest_leakguard doctor` leaks one of each on purpose and tells which are seen on this machine.
"""


def lines(config: pytest.Config) -> list[str]:
    """One entry for each kind, those of other plugins too."""
    roster = Watch(root=str(config.rootpath), others=other_probes(config)).roster
    states = roster.states()
    width = max(len(state.kind) for state in states) + 2
    told = ["Kinds for --leakguard-probes; * is in the default:", ""]
    for state in states:
        mark = " " if state.kind in OPT_IN else "*"
        means = _MEANS.get(state.kind, "of another plugin")
        told.append(f"{mark} {state.kind:<{width}}{means}")
        how = f"seen by: {state.mechanism}" if state.active else f"not watched here: {state.note}"
        told.append(f"  {'':<{width}}{how}")
    return [*told, *(f"error: {error}" for error in roster.errors), *_USAGE.splitlines()]
