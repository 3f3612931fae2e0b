"""The watched values that the interpreter keeps."""

from __future__ import annotations

import atexit
import gc
import sys
import weakref
from collections.abc import Mapping
from contextlib import ExitStack
from types import MethodType
from typing import Any, cast

from pytest_leakguard.probes import exit_callbacks
from pytest_leakguard.probes.state_digest import BEHIND, PYTESTS, Digest, identity, is_of
from pytest_leakguard.probes.state_value import Value, items, original, say_list


def _read_path() -> Mapping[str, Digest]:
    return {"": tuple([entry if type(entry) is str else identity(entry) for entry in sys.path])}


def _put_path(_: str, entries: Digest) -> None:
    sys.path[:] = [original(entry) for entry in items(entries)]


def _read_modules() -> Mapping[str, Digest]:
    return {"": frozenset(sys.modules)}


def _say_modules(_: str, before: Digest, after: Digest) -> str:
    was, now = cast("frozenset[str]", before), cast("frozenset[str]", after)
    # a package stands for what is below it
    tops = {name for name in now - was if name.rpartition(".")[0] not in now - was}
    return say_list("", tuple(sorted(was - now)), tuple(sorted(tops, key=str)))


def _read_hooks() -> Mapping[str, Digest]:
    threading = sys.modules["threading"]
    return {
        "sys.excepthook": _hook(sys.excepthook),
        "sys.unraisablehook": _hook(sys.unraisablehook),
        "threading.excepthook": _hook(threading.excepthook),
    }


def _hook(hook: Any) -> Digest:
    return identity(getattr(hook, BEHIND, hook))


def _put_attribute(name: str, hook: Digest) -> None:
    module, _, attribute = name.rpartition(".")
    setattr(sys.modules[module], attribute, original(hook))


def _read_streams() -> Mapping[str, Digest]:
    # pytest exchanges its own output streams with each phase, and keeps one for the input
    streams = (("sys.stdout", sys.stdout), ("sys.stderr", sys.stderr))
    found = {name: PYTESTS if is_of(stream, "_pytest.") else identity(stream) for name, stream in streams}
    return {"sys.stdin": identity(sys.stdin), **found}


def _read_arguments() -> Mapping[str, Digest]:
    return {"": tuple([one if type(one) is str else identity(one) for one in sys.argv])}


def _put_arguments(_: str, arguments: Digest) -> None:
    sys.argv[:] = [original(one) for one in items(arguments)]


def _read_recursion_limit() -> Mapping[str, Digest]:
    return {"": sys.getrecursionlimit()}


def _read_atexit() -> Mapping[str, Digest]:
    """The callbacks. Their number is known too, but what is unregistered stays counted there."""
    return {"": tuple([identity(one) for one in exit_callbacks.callbacks() if not _is_lasting(one)])}


def _is_lasting(callback: Any) -> bool:
    """pytest's own, and the one that serves all of weakref.finalize."""
    if type(callback) is MethodType:
        owner = callback.__self__
        if owner is weakref.finalize:
            return True
        if type(owner) is ExitStack:  # what removes pytest's temporary folders at last
            steps = [getattr(step, "__wrapped__", step) for _, step in vars(owner).get("_exit_callbacks", ())]
            return any(_is_pytests(step) for step in steps)
    return _is_pytests(callback)


def _is_pytests(function: Any) -> bool:
    module = getattr(function, "__module__", None)
    return isinstance(module, str) and module.startswith("_pytest.")


def _put_atexit(_: str, callbacks: Digest) -> None:
    before = [original(one) for one in items(callbacks)]
    for one in items(_read_atexit()[""]):
        callback = original(one)
        if not any(callback is known for known in before):
            atexit.unregister(callback)
    if _read_atexit()[""] != callbacks:
        raise LookupError("of a callback that was removed, or is there twice, only the function is known")


def _read_gc() -> Mapping[str, Digest]:
    return {"enabled": gc.isenabled(), "threshold": gc.get_threshold(), "debug": gc.get_debug()}


def _put_gc(part: str, setting: Digest) -> None:
    if part == "enabled":
        (gc.enable if setting is True else gc.disable)()
    elif part == "threshold":
        gc.set_threshold(*cast("tuple[int, int, int]", setting))
    else:
        gc.set_debug(cast(int, setting))


INTERPRETER_VALUES: tuple[Value, ...] = (
    Value(
        name="sys.path", read=_read_path, say=say_list, put_back=_put_path,
        set_by=frozenset({"path"}), reason="a list tells nobody who changes it",
        fix="use `monkeypatch.syspath_prepend`",
    ),
    Value(
        name="", read=_read_hooks, put_back=_put_attribute,
        set_by=frozenset({"excepthook", "unraisablehook"}), reason="an assignment raises no audit event",
        fix="use `monkeypatch.setattr`",
    ),
    Value(
        name="", read=_read_streams, put_back=_put_attribute,
        set_by=frozenset({"stdin", "stdout", "stderr"}), reason="an assignment raises no audit event",
        fix="use `monkeypatch.setattr`, or contextlib.redirect_stdout and redirect_stderr",
    ),
    Value(
        name="sys.argv", read=_read_arguments, say=say_list, put_back=_put_arguments,
        set_by=frozenset({"argv"}), reason="a list tells nobody who changes it",
        fix="use `monkeypatch.setattr(sys, 'argv', [...])`",
    ),
    Value(
        name="recursion limit", read=_read_recursion_limit,
        put_back=lambda _, limit: sys.setrecursionlimit(cast(int, limit)),
        set_by=frozenset({"setrecursionlimit"}), reason="sys.setrecursionlimit raises no audit event",
        fix="put it back in a `finally`",
    ),
    Value(
        name="atexit", read=_read_atexit, say=say_list, put_back=_put_atexit,
        set_by=frozenset({"register", "atexit", "finalize"}), reason="atexit.register raises no audit event",
        fix="atexit.unregister what the test registered",
    ),
    Value(
        name="gc", read=_read_gc, put_back=_put_gc,
        set_by=frozenset({"gc", "set_threshold", "set_debug"}), reason="the gc module raises no audit event for it",
        fix="put it back in a `finally`",
    ),
)  # fmt: skip

MODULES = Value(
    name="sys.modules", read=_read_modules, say=_say_modules,
    set_by=frozenset(), reason="an import may be asked for anywhere",
    fix="import at the top of the test file, or use mock.patch.dict(sys.modules)",
)  # fmt: skip
"""Watched on request only: an import inside a test is common, and rarely a fault."""
