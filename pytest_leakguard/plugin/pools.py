"""Thread pools that nobody shuts down while an error is on its way: gone with the error, so no later look sees them."""

from __future__ import annotations

import threading
import weakref
from typing import Any

from pytest_leakguard import _real
from pytest_leakguard.core.model import Acquisition, Origin, Owner
from pytest_leakguard.core.verdict import Case
from pytest_leakguard.watch import Watch


def abandoned_pools(watch: Watch, test: str) -> list[Case]:
    """The workers of executors that this test started and that are not shut down after its teardown.

    Their threads end when the collector finds the executor; it is held now by the
    traceback, and by nothing that could still shut it down.
    """
    idents = {
        thread.ident
        for thread in _real.enumerate_threads()
        if _is_of_running_pool(thread) and _is_of(watch, thread, test)
    }
    if not idents:
        return []
    items = {
        item for item in watch.items(watch.look({"thread"})) if isinstance(item[1], tuple) and item[1][0] in idents
    }
    owner = Owner(kind="test", scope="function", name=test)
    otherwise = Acquisition(owner=owner, test=test, phase=None, origin=Origin())
    suspects = watch.examine(items, otherwise)
    for suspect in suspects:
        suspect.live = None
    return [Case(resource=s.resource, acquisition=s.acquisition, verdict="unclosed", mark="pool") for s in suspects]


def _is_of_running_pool(thread: Any) -> bool:
    target = getattr(thread, "_target", None)
    args = getattr(thread, "_args", None) or ()
    if getattr(target, "__module__", None) != "concurrent.futures.thread" or not args:
        return False
    # from 3.14 on the reference comes second
    references = [arg for arg in args if isinstance(arg, weakref.ref)]
    executor = references[0]() if references else None
    return executor is not None and not getattr(executor, "_shutdown", True)


def _is_of(watch: Watch, thread: threading.Thread, test: str) -> bool:
    record = watch.recorder.started_by(thread.ident or 0)
    return record is not None and record.context.owner.kind == "test" and record.context.test == test
