"""The watched values of standard library modules, read only where somebody has imported the module."""

from __future__ import annotations

import contextvars
import sys
import warnings
from collections.abc import Iterator, Mapping
from typing import Any, cast

from pytest_leakguard.probes.state_digest import UNSET, Digest, identity, is_of, kept, short
from pytest_leakguard.probes.state_value import Value, original, say_list, say_plainly

# -- logging

_LEVELS = {0: "NOTSET", 10: "DEBUG", 20: "INFO", 30: "WARNING", 40: "ERROR", 50: "CRITICAL"}
_ROOT_LEVEL = 30


def _loggers() -> Iterator[tuple[str, Any]]:
    logging = sys.modules.get("logging")
    if logging is not None:
        yield "root", logging.root
        loggers = logging.Logger.manager.loggerDict
        yield from ((name, one) for name, one in tuple(loggers.items()) if not isinstance(one, logging.PlaceHolder))


def _read_logging() -> Mapping[str, Digest]:
    found: dict[str, Digest] = {}
    for name, logger in _loggers():
        of = vars(logger)
        if of.get("level") != (_ROOT_LEVEL if name == "root" else 0):
            found[f"{name} level"] = of.get("level")
        if of.get("disabled"):
            found[f"{name} disabled"] = True
        if of.get("propagate") is False:
            found[f"{name} propagate"] = False
        if of.get("handlers"):
            handlers = tuple([identity(one) for one in of["handlers"] if not _is_silent(one)])
            if handlers:
                found[f"{name} handlers"] = handlers
    logging = sys.modules.get("logging")
    if logging is not None and logging.root.manager.disable:
        found["disable"] = logging.root.manager.disable
    return found


def _is_silent(handler: Any) -> bool:
    """pytest's own handlers come and go with each phase; a NullHandler does nothing."""
    return is_of(handler, "_pytest.") or type(handler).__name__ == "NullHandler"


def _say_logging(part: str, before: Digest, after: Digest) -> str:
    if part.endswith(" handlers"):
        return say_list(part, before, after)
    default: Digest = {" disabled": False, " propagate": True}.get(part[part.rfind(" ") :], 0)
    if part == "root level":
        default = _ROOT_LEVEL
    was, now = (default if value is UNSET else value for value in (before, after))
    if part.endswith(" level") or part == "disable":
        return f"{_LEVELS.get(cast(int, was), was)} -> {_LEVELS.get(cast(int, now), now)}"
    return say_plainly(part, was, now)


def _put_logging(part: str, digest: Digest) -> None:
    logging = sys.modules["logging"]
    if part == "disable":
        logging.disable(0 if digest is UNSET else digest)
        return
    name, _, what = part.rpartition(" ")
    logger = logging.root if name == "root" else logging.getLogger(name)
    if what == "level":
        default = _ROOT_LEVEL if name == "root" else 0
        logger.setLevel(default if digest is UNSET else digest)
    elif what == "handlers":
        wanted = [original(one) for one in (digest if isinstance(digest, tuple) else ())]
        logger.handlers[:] = [*wanted, *(one for one in logger.handlers if _is_silent(one))]
    else:
        setattr(logger, what, (what == "propagate") if digest is UNSET else digest)


# -- warnings


def _read_filters() -> Mapping[str, Digest]:
    return {"": tuple([_filter(one) for one in cast("list[Any]", warnings.filters) if not is_of(one[1], _OURS)])}


_OURS = "pytest_leakguard."


def _filter(entry: Any) -> Digest:
    action, message, category, module, line = entry
    digest = _Filter((action, _pattern(message), identity(category), _pattern(module), line))
    digest.entry = kept(entry)
    return digest


class _Filter(tuple[Digest, ...]):
    """A warning filter by its words, with the entry itself where it is to be put back."""

    entry: Any


def _pattern(pattern: Any) -> Digest:
    # a compiled pattern, a plain string, or nothing
    text = getattr(pattern, "pattern", pattern)
    return text if text is None or type(text) is str else identity(pattern)


def _say_filters(part: str, before: Digest, after: Digest) -> str:
    def words(one: Digest) -> str:
        action, message, category, module, _ = cast("tuple[Digest, ...]", one)
        name = short(category).rpartition(".")[2]
        fields = ["" if field is None else str(field) for field in (action, message, name, module)]
        return ":".join(fields).rstrip(":")

    was, now = ([words(one) for one in cast("tuple[Digest, ...]", digest)] for digest in (before, after))
    return say_list(part, tuple(was), tuple(now)).replace("'", "")


def _put_filters(_: str, digest: Digest) -> None:
    entries = [one.entry for one in cast("tuple[_Filter, ...]", digest)]
    filters = cast("list[Any]", warnings.filters)
    filters[:] = [*(one for one in filters if is_of(one[1], _OURS)), *entries]
    forget = getattr(warnings, "_filters_mutated", None)  # what it remembers of the filters
    if forget is not None:
        forget()


# -- smaller ones


def _read_locale() -> Mapping[str, Digest]:
    module = sys.modules.get("_locale")
    if module is None:
        return {}
    return {name: module.setlocale(getattr(module, name), None) for name in _CATEGORIES if hasattr(module, name)}


_CATEGORIES = ("LC_CTYPE", "LC_NUMERIC", "LC_TIME", "LC_COLLATE", "LC_MONETARY", "LC_MESSAGES")


def _put_locale(category: str, name: Digest) -> None:
    module = sys.modules["_locale"]
    module.setlocale(getattr(module, category), name)


def _read_socket_timeout() -> Mapping[str, Digest]:
    module = sys.modules.get("_socket")
    return {"": None if module is None else module.getdefaulttimeout()}


def _put_socket_timeout(_: str, seconds: Digest) -> None:
    sys.modules["_socket"].setdefaulttimeout(seconds)


def _read_decimal() -> Mapping[str, Digest]:
    module = sys.modules.get("decimal")
    if module is None:
        return {}
    # getcontext() would make one; the flags are left out, since every rounding sets one
    context = next(
        (value for variable, value in contextvars.copy_context().items()
         if variable.name == "decimal_context" and isinstance(value, module.Context)),
        module.DefaultContext,
    )  # fmt: skip
    traps = tuple(sorted(signal.__name__ for signal, on in context.traps.items() if on))
    fields = {name: getattr(context, name) for name in _DECIMAL_FIELDS}
    found: dict[str, Digest] = {**fields, "traps": traps}
    return {name: value for name, value in found.items() if value != _DECIMAL_DEFAULTS.get(name)}


_DECIMAL_DEFAULTS: dict[str, Digest] = {
    "prec": 28,
    "rounding": "ROUND_HALF_EVEN",
    "Emin": -999999,
    "Emax": 999999,
    "capitals": 1,
    "clamp": 0,
    "traps": ("DivisionByZero", "InvalidOperation", "Overflow"),
}
_DECIMAL_FIELDS = tuple(name for name in _DECIMAL_DEFAULTS if name != "traps")


def _say_decimal(part: str, before: Digest, after: Digest) -> str:
    was, now = (_DECIMAL_DEFAULTS[part] if value is UNSET else value for value in (before, after))
    return say_list(part, was, now) if part == "traps" else say_plainly(part, was, now)


def _put_decimal(part: str, digest: Digest) -> None:
    module = sys.modules["decimal"]
    context = module.getcontext()
    value: Any = _DECIMAL_DEFAULTS[part] if digest is UNSET else digest
    if part == "traps":
        for signal in context.traps:
            context.traps[signal] = signal.__name__ in value
    else:
        setattr(context, part, value)


def _read_loop_policy() -> Mapping[str, Digest]:
    """The policy that was set; asyncio's own, made when it is first needed, is as good as none."""
    policy = getattr(sys.modules.get("asyncio.events"), "_event_loop_policy", None)
    if policy is None or (is_of(policy, "asyncio.") and type(policy).__name__ in _DEFAULT_POLICIES):
        return {}
    return {"": identity(policy)}


_DEFAULT_POLICIES = (
    "_UnixDefaultEventLoopPolicy", "_DefaultEventLoopPolicy", "WindowsProactorEventLoopPolicy",
    "_WindowsProactorEventLoopPolicy",  # since 3.14
)  # fmt: skip


def _say_loop_policy(part: str, before: Digest, after: Digest) -> str:
    return " -> ".join("the default" if digest is UNSET else short(digest) for digest in (before, after))


def _put_loop_policy(_: str, policy: Digest) -> None:
    # since 3.14 the public function warns that it is deprecated
    events: Any = sys.modules["asyncio.events"]
    events._event_loop_policy = None if policy is UNSET else original(policy)


def _read_start_method() -> Mapping[str, Digest]:
    """The method that was set; the default, fixed at the first use, is as good as none."""
    choice = getattr(sys.modules.get("multiprocessing.context"), "_default_context", None)
    method = getattr(choice, "_actual_context", None)
    if method is None or method is getattr(choice, "_default_context", None):
        return {}
    return {"": method.get_start_method()}


def _put_start_method(_: str, method: Digest) -> None:
    choice = sys.modules["multiprocessing.context"]._default_context
    choice.set_start_method(None if method is UNSET else method, force=True)


LIBRARY_VALUES: tuple[Value, ...] = (
    Value(
        name="logging", read=_read_logging, say=_say_logging, put_back=_put_logging,
        set_by=frozenset({"setLevel", "addHandler", "basicConfig", "dictConfig", "fileConfig", "disable", "propagate",
                          "disabled", "StreamHandler", "FileHandler"}),
        reason="the logging module raises no audit event",
        fix="use `caplog.set_level`, or remove handlers and set levels back in a `finally`",
    ),
    Value(
        name="warning filters", read=_read_filters, say=_say_filters, put_back=_put_filters,
        set_by=frozenset({"filterwarnings", "simplefilter", "filters", "resetwarnings"}),
        reason="the warnings module raises no audit event",
        fix="set filters inside `with warnings.catch_warnings():`, or use the `filterwarnings` marker",
    ),
    Value(
        name="locale", read=_read_locale, put_back=_put_locale,
        set_by=frozenset({"setlocale"}), reason="locale.setlocale raises no audit event",
        fix="put it back in a `finally`: locale.setlocale(category) tells the old one",
    ),
    Value(
        name="socket timeout", read=_read_socket_timeout, put_back=_put_socket_timeout,
        set_by=frozenset({"setdefaulttimeout"}), reason="socket.setdefaulttimeout raises no audit event",
        fix="set the timeout of one socket, or put the default back in a `finally`",
    ),
    Value(
        name="decimal", read=_read_decimal, say=_say_decimal, put_back=_put_decimal,
        set_by=frozenset({"getcontext", "setcontext", "DefaultContext"}),
        reason="the decimal module raises no audit event",
        fix="change it inside `with decimal.localcontext():`",
    ),
    Value(
        name="event loop policy", read=_read_loop_policy, say=_say_loop_policy, put_back=_put_loop_policy,
        set_by=frozenset({"set_event_loop_policy", "_set_event_loop_policy"}),
        reason="asyncio.set_event_loop_policy raises no audit event",
        fix="use asyncio.Runner(loop_factory=...), or put the policy back in a `finally`",
    ),
    Value(
        name="multiprocessing start method", read=_read_start_method, put_back=_put_start_method,
        set_by=frozenset({"set_start_method"}), reason="multiprocessing.set_start_method raises no audit event",
        fix="use multiprocessing.get_context(method), which changes nothing for others",
    ),
)  # fmt: skip
