"""The watched values that the operating system keeps for the process."""

from __future__ import annotations

import os
import re
import signal
import sys
import time
from collections.abc import Mapping
from typing import Any, cast

from pytest_leakguard import _real
from pytest_leakguard.probes.state_digest import PYTESTS, UNSET, Digest, identity, short
from pytest_leakguard.probes.state_value import Value, items, original, say_plainly


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


def _read_time_zone() -> Mapping[str, Digest]:
    return {"": (*time.tzname, time.timezone, time.altzone, time.daylight)}


def _say_time_zone(_: str, before: Digest, after: Digest) -> str:
    return say_plainly("", "/".join(map(str, items(before)[:2])), "/".join(map(str, items(after)[:2])))


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
        name="time zone", read=_read_time_zone, say=_say_time_zone, put_back=_put_time_zone,
        set_by=frozenset({"tzset"}), reason="time.tzset raises no audit event",
        fix="call time.tzset() again after TZ has been put back",
    ),
)  # fmt: skip
