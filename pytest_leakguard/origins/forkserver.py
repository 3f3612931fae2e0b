"""Children that multiprocessing's fork server starts for this process: since 3.14 that is the default on Linux.

They are children of the server, so the system does not list them as ours, and no event of a spawn tells of them. What
tells is the connection by which the server is asked for each, and multiprocessing's own set of processes: one is in it
from its start until somebody has joined it, or has seen that it ended.
"""

from __future__ import annotations

import sys
from typing import Any

from pytest_leakguard import _real

METHOD = "forkserver"


def is_asked(address: object) -> bool:
    """Whether a connection to that address asks the fork server for a child."""
    server = getattr(sys.modules.get("multiprocessing.forkserver"), "_forkserver", None)
    return server is not None and type(address) in (str, bytes) and address == server._forkserver_address


def children() -> list[tuple[Any, Any]]:
    """Each process that it started for us and that was not joined: `(process, its Popen)`."""
    registered: Any = getattr(sys.modules.get("multiprocessing.process"), "_children", None)
    if not registered:
        return []
    found = []
    for process in _snapshot(registered):
        state = vars(process)
        popen = state.get("_popen")
        is_ours = state.get("_parent_pid") == _real.getpid()
        if is_ours and getattr(popen, "method", "") == METHOD and vars(popen).get("returncode") is None:
            found.append((process, popen))
    return found


def _snapshot(registered: set[Any]) -> list[Any]:
    while True:
        try:
            return list(registered)
        except RuntimeError:  # another thread starts or joins one
            continue
