"""The watched values of the process: how each is read, told and put back. Nothing here changes what it reads.

Each value is read as parts: name of the part -> digest, an ordinary value that can be compared.
A part that is not there is UNSET. Modules that nobody imported are not imported: their values
are what they would be after the import.

Source: the list of what to compare is that of CPython's own test runner (save_env of libregrtest).
"""

from __future__ import annotations

import atexit
import gc
import os
import re
import signal
import sys
import time
import weakref
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, cast

from pytest_leakguard import _real
from pytest_leakguard.probes.state_digest import BEHIND, PYTESTS, UNSET, Digest, Handle, identity, is_of, short


def say_plainly(_: str, before: Digest, after: Digest) -> str:
    """Before and after as they are."""
    return f"{short(before)} -> {short(after)}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Value:
    """One thing that a test may change and the next one finds changed.

    Attributes:
        read: name of part -> digest; cheap and without any effect.
        say: name of part, before and after -> short words.
        put_back: sets a part to an earlier digest; None when that can't be done.
        set_by: names in code that changes it. Code that an import brings along and that
            has one of them may have changed it, then nobody is blamed.
        reason: why it is not known who changed it, where that is not known.
    """

    name: str
    read: Callable[[], Mapping[str, Digest]]
    fix: str
    set_by: frozenset[str]
    reason: str
    say: Callable[[str, Digest, Digest], str] = say_plainly
    put_back: Callable[[str, Digest], object] | None = None


# -- the process


def _read_cwd() -> Mapping[str, Digest]:
    try:
        return {"": _real.getcwd()}
    except OSError:
        return {"": "a folder that is gone"}


def _read_environ() -> Mapping[str, Digest]:
    # the dict behind it: no decoding, and nothing of it runs
    data = getattr(os.environ, "_data", None)
    if type(data) is not dict:
        return {}
    return {_text(name): value for name, value in data.items() if name not in _OF_PYTEST}


_OF_PYTEST = (b"PYTEST_CURRENT_TEST", "PYTEST_CURRENT_TEST")
_SECRET = re.compile(r"TOKEN|SECRET|PASS|PWD$|KEY|CREDENTIAL|AUTH|DSN", re.IGNORECASE)


def _text(raw: Any) -> str:
    return os.fsdecode(raw) if isinstance(raw, bytes) else str(raw)


def say_variable(name: str, before: Digest, after: Digest) -> str:
    """The change of an environment variable; what may be a secret is not written into a log."""

    def words(value: Digest) -> str:
        if value is UNSET:
            return "not set"
        return "'***'" if _SECRET.search(name) and name != "PWD" else short(_text(value))

    return f"{words(before)} -> {words(after)}"


def _put_variable(name: str, value: Digest) -> None:
    if value is UNSET:
        os.environ.pop(name, None)
    else:
        os.environ[name] = _text(value)


def _read_umask() -> Mapping[str, Digest]:
    """Asking the system for it sets it: so the kernel's own page is read, where there is one."""
    try:
        number = _real.os_open("/proc/self/status", os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return _ask_umask()
    try:
        found = re.search(rb"^Umask:\s*([0-7]+)", os.read(number, 512), re.MULTILINE)
    finally:
        _real.close(number)
    return {"": int(found[1], 8)} if found else _ask_umask()


def _ask_umask() -> Mapping[str, Digest]:
    if _real.thread_count() > 1:
        return {"": PYTESTS}  # another thread could make a file meanwhile; no word is better than that
    mask = os.umask(0o77)
    os.umask(mask)
    return {"": mask}


def _say_umask(_: str, before: Digest, after: Digest) -> str:
    return f"0o{cast(int, before):03o} -> 0o{cast(int, after):03o}"


_SIGNALS = sorted(int(number) for number in signal.valid_signals() if number not in (signal.SIGKILL, signal.SIGSTOP))
_HANDLERS = {0: "SIG_DFL", 1: "SIG_IGN"}


def _read_signals() -> Mapping[str, Digest]:
    handler_of = sys.modules["_signal"].getsignal
    found: dict[str, Digest] = {}
    for number in _SIGNALS:
        handler = handler_of(number)
        if handler != 0:  # an integer, or any object of the user
            found[_signal_name(number)] = handler if type(handler) is int else identity(handler)
    return found


def _signal_name(number: int) -> str:
    known = _SIGNAL_NAMES.get(number)
    if known is None:
        try:
            known = signal.Signals(number).name
        except ValueError:
            known = str(number)
        _SIGNAL_NAMES[number] = known
    return known


_SIGNAL_NAMES: dict[int, str] = {}


def _say_signal(_: str, before: Digest, after: Digest) -> str:
    def words(digest: Digest) -> str:
        number = 0 if digest is UNSET else digest
        return _HANDLERS.get(number, str(number)) if isinstance(number, int) else short(digest)

    return f"{words(before)} -> {words(after)}"


def _put_signal(name: str, handler: Digest) -> None:
    number = next(number for number, known in _SIGNAL_NAMES.items() if known == name)
    signal.signal(number, signal.SIG_DFL if handler is UNSET else original(handler))


def original(digest: Digest) -> Any:
    """What a digest stands for. Raises LookupError when it is gone."""
    return digest.original() if isinstance(digest, Handle) else digest


# -- the interpreter


def _read_path() -> Mapping[str, Digest]:
    return {"": tuple([entry if type(entry) is str else identity(entry) for entry in sys.path])}


def say_list(_: str, before: Digest, after: Digest) -> str:
    """What came and what went."""
    was, now = _items(before), _items(after)
    came = [f"+ {short(one)}" for one in now if one not in was]
    went = [f"- {short(one)}" for one in was if one not in now]
    changes = [*came, *went]
    if not changes:
        return "in another order" if len(was) == len(now) else f"{len(was)} -> {len(now)} entries"
    more = f" and {len(changes) - 4} more" if len(changes) > 4 else ""
    return ", ".join(changes[:4]) + more


def _items(digest: Digest) -> tuple[Digest, ...]:
    return digest if isinstance(digest, tuple) else ()


def _put_path(_: str, entries: Digest) -> None:
    sys.path[:] = [original(entry) for entry in _items(entries)]


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
    sys.argv[:] = [original(one) for one in _items(arguments)]


def _read_recursion_limit() -> Mapping[str, Digest]:
    return {"": sys.getrecursionlimit()}


class _Census:
    """Compared with each callback when it is to be unregistered; equal to none, so that none is."""

    def __init__(self) -> None:
        self.callbacks: list[Any] = []

    def __eq__(self, callback: object) -> bool:
        self.callbacks.append(callback)
        return False

    __hash__ = None  # type: ignore[assignment]


def _read_atexit() -> Mapping[str, Digest]:
    """The callbacks. Their number is known too, but what is unregistered stays counted there."""
    census = _Census()
    _unregister(cast(Any, census))
    return {"": tuple([identity(one) for one in census.callbacks if not _is_lasting(one)])}


_unregister = atexit.unregister


def _is_lasting(callback: Any) -> bool:
    """pytest's own, and the one that serves all of weakref.finalize."""
    module = getattr(callback, "__module__", None)
    return (isinstance(module, str) and module.startswith("_pytest.")) or callback == weakref.finalize._exitfunc  # type: ignore[attr-defined]


def _put_atexit(_: str, callbacks: Digest) -> None:
    before = [original(one) for one in _items(callbacks)]
    for one in _items(_read_atexit()[""]):
        callback = original(one)
        if not any(callback is known for known in before):
            atexit.unregister(callback)


def _read_gc() -> Mapping[str, Digest]:
    return {"enabled": gc.isenabled(), "threshold": gc.get_threshold(), "debug": gc.get_debug()}


def _put_gc(part: str, setting: Digest) -> None:
    if part == "enabled":
        (gc.enable if setting is True else gc.disable)()
    elif part == "threshold":
        gc.set_threshold(*cast("tuple[int, int, int]", setting))
    else:
        gc.set_debug(cast(int, setting))


def _read_time_zone() -> Mapping[str, Digest]:
    return {"": (*time.tzname, time.timezone, time.altzone, time.daylight)}


def _say_time_zone(_: str, before: Digest, after: Digest) -> str:
    return say_plainly("", "/".join(map(str, _items(before)[:2])), "/".join(map(str, _items(after)[:2])))


def _put_time_zone(_: str, __: Digest) -> None:
    time.tzset()  # it follows the environment, which is put back first


PROCESS_VALUES: tuple[Value, ...] = (
    Value(
        name="environ", read=_read_environ, say=say_variable, put_back=_put_variable,
        set_by=frozenset({"environ", "putenv"}), reason="it was changed past os.environ",
        fix="use the `monkeypatch` fixture (setenv, delenv), or mock.patch.dict(os.environ)",
    ),
    Value(
        name="cwd", read=_read_cwd, put_back=lambda _, path: os.chdir(cast(str, path)),
        set_by=frozenset({"chdir", "fchdir"}), reason="no event came: C code changed it",
        fix="use `monkeypatch.chdir`, or contextlib.chdir on Python 3.11 and later",
    ),
    Value(
        name="umask", read=_read_umask, say=_say_umask, put_back=lambda _, mask: os.umask(cast(int, mask)),
        set_by=frozenset({"umask"}), reason="os.umask raises no audit event",
        fix="put it back in a `finally`: os.umask returns the old one",
    ),
    Value(
        name="signal", read=_read_signals, say=_say_signal, put_back=_put_signal,
        set_by=frozenset({"signal", "sigaction"}), reason="signal.signal raises no audit event",
        fix="put the handler back in a `finally`: signal.signal returns the old one",
    ),
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
    Value(
        name="time zone", read=_read_time_zone, say=_say_time_zone, put_back=_put_time_zone,
        set_by=frozenset({"tzset"}), reason="time.tzset raises no audit event",
        fix="call time.tzset() again after TZ has been put back",
    ),
)  # fmt: skip

MODULES = Value(
    name="sys.modules", read=_read_modules, say=_say_modules,
    set_by=frozenset(), reason="an import may be asked for anywhere",
    fix="import at the top of the test file, or use mock.patch.dict(sys.modules)",
)  # fmt: skip
"""Watched on request only: an import inside a test is common, and rarely a fault."""
