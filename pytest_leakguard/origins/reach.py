"""Can that fixture still release this? A forward search from what the fixture holds.

A fixture can release what it reaches: from its value, from the locals of its
generator, from its finalizers, and from the globals that its code names. The
search leans to "yes": it follows weak references, the frames of threads it
meets and functions that are named, so that a pool behind a module global counts
as held by the fixture whose teardown empties it. It goes around pytest's own
objects, from which everything can be reached.
"""

from __future__ import annotations

import contextvars
import functools
import sys
import threading
import weakref
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from types import (
    AsyncGeneratorType,
    CodeType,
    CoroutineType,
    FrameType,
    FunctionType,
    GeneratorType,
    MethodType,
    ModuleType,
)
from typing import Any

from pytest_leakguard import _real
from pytest_leakguard.origins import frames

OBJECTS_AT_MOST = 50_000

_ATOMS = (int, float, complex, bool, bytes, type(None), CodeType, FrameType, range, slice, type(Ellipsis))
_WALLS = ("_pytest", "pluggy", "pytest", "pytest_leakguard")


@dataclass(frozen=True, slots=True)
class Reach:
    """What a search found of what it was asked for, and whether it saw everything."""

    objects: frozenset[int]
    texts: frozenset[str]
    numbers: frozenset[int]
    complete: bool


def reach(
    roots: Iterable[object],
    targets: Iterable[object],
    texts: Iterable[str] = (),
    *,
    numbers: Iterable[int] = (),
    around: tuple[type, ...] = (),
    at_most: int = OBJECTS_AT_MOST,
) -> Reach:
    """Which targets and texts the roots lead to.

    Args:
        roots: where the search starts.
        targets: live objects, compared by identity.
        texts: paths, found as strings (and inside pathlib's paths, which hold them).
        numbers: found as ints; only for such as are rare enough to be no coincidence, like pids.
        around: classes whose instances are not looked into.
        at_most: objects looked at before giving up; the answer is then not complete.
    Returns: the ids of the targets found, the texts and the numbers found; it ends early when that is all.
    """
    wanted = {_real.identity(target): id(target) for target in targets}
    words, digits = set(texts), set(numbers)
    to_find = len(wanted) + len(words) + len(digits)
    objects: set[int] = set()
    found: set[str] = set()
    counted: set[int] = set()
    seen: set[int] = set()
    # keeps everything met alive, or an id could be given to a new object during the search
    kept: list[Any] = []
    # breadth first: what a fixture holds is near it, what it could name is far
    level: list[Any] = list(roots)
    finalizers = _finalizers_by_owner()
    complete = True
    while level:
        below: list[Any] = []
        for obj in level:
            identity = _real.identity(obj)
            if identity in seen:
                continue
            seen.add(identity)
            kept.append(obj)
            kind = type(obj)
            if identity in wanted:
                objects.add(wanted[identity])
            if kind is str and obj in words:
                found.add(obj)
            elif kind is int and obj in digits:
                counted.add(obj)
            if len(objects) + len(found) + len(counted) == to_find:
                return Reach(frozenset(objects), frozenset(found), frozenset(counted), True)
            if kind is str or kind is int:
                continue
            if len(seen) > at_most:
                return Reach(frozenset(objects), frozenset(found), frozenset(counted), False)
            if around and issubclass(kind, around):
                continue
            children = _children(obj)
            if children is None:
                complete = False
            else:
                below.extend(children)
            if finalizers and identity in finalizers:
                below.extend(finalizers[identity])
        level = below
    return Reach(frozenset(objects), frozenset(found), frozenset(counted), complete)


def _finalizers_by_owner() -> dict[int, list[Any]]:
    """What runs when an object dies, by the id of the object: ``weakref.finalize``."""
    registry = getattr(weakref.finalize, "_registry", {})
    found: dict[int, list[Any]] = {}
    for info in tuple(registry.values()):
        found.setdefault(_real.identity(info.weakref()), []).extend((info.func, info.args, info.kwargs))
    return found


def _children(obj: Any) -> list[Any] | None:
    """What an object leads to; None for one that resists: the search goes on without it."""
    try:
        return list(_next(obj))
    except Exception:
        return None


def _next(obj: Any) -> Iterator[Any]:
    kind = type(obj)
    if kind in _ATOMS or kind is ModuleType or _is_wall(kind):
        return
    if kind is FunctionType:
        yield from _of_function(obj)
    elif kind is MethodType:
        yield obj.__self__
        yield obj.__func__
    elif kind is GeneratorType:
        yield from _real.gc_get_referents(obj)
        yield from _of_suspended(obj.gi_frame, obj.gi_code)
    elif kind is CoroutineType:
        yield from _real.gc_get_referents(obj)
        yield from _of_suspended(obj.cr_frame, obj.cr_code)
    elif kind is AsyncGeneratorType:
        yield from _real.gc_get_referents(obj)
        yield from _of_suspended(obj.ag_frame, obj.ag_code)
    elif issubclass(kind, type):
        if not _is_wall(obj) and _is_foreign(getattr(sys.modules.get(_module_of(obj)), "__file__", None)):
            yield from tuple(type.__getattribute__(obj, "__dict__").values())
    elif kind is contextvars.ContextVar:
        yield obj.get(None)
    elif issubclass(kind, weakref.ref):
        yield obj()
    elif kind is functools.partial:
        yield obj.func
        yield obj.args
        yield obj.keywords
    else:
        yield from _real.gc_get_referents(obj)
        if issubclass(kind, threading.Thread):
            yield from _of_running(object.__getattribute__(obj, "_ident"))


def _of_suspended(frame: FrameType | None, code: CodeType) -> Iterator[Any]:
    # a frame as such is passed over: before 3.11 it leads to all globals of its module
    if frame is not None:
        yield from tuple(frame.f_locals.values())
        yield from _named(code, frame.f_globals)


def _is_wall(kind: type) -> bool:
    return _module_of(kind).partition(".")[0] in _WALLS


def _module_of(kind: type) -> str:
    """The module of a class, without running code of its metaclass."""
    module = type.__getattribute__(kind, "__module__")
    return module if type(module) is str else ""


def _is_foreign(filename: object) -> bool:
    """Whether a file is the project's or a dependency's, not Python's and not the runner's."""
    return isinstance(filename, str) and frames.region(filename) in ("project", "dependency")


def _of_function(function: FunctionType) -> Iterator[Any]:
    for cell in function.__closure__ or ():
        try:
            yield cell.cell_contents
        except ValueError:  # not filled yet
            continue
    yield function.__defaults__
    yield function.__kwdefaults__
    yield function.__dict__
    if _is_foreign(function.__code__.co_filename):
        yield from _named(function.__code__, function.__globals__)


def _named(code: CodeType, namespace: dict[str, Any]) -> Iterator[Any]:
    """What the code, and code inside it, can name: globals, and attributes of modules among them."""
    names = code.co_names
    for name in names:
        value = namespace.get(name)
        module = value if isinstance(value, ModuleType) else sys.modules.get(name)
        if module is not None:
            if _is_foreign(getattr(module, "__file__", None)):
                attributes = vars(module)
                yield from (attributes[other] for other in names if other in attributes)
        elif value is not None:
            yield value
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            yield from _named(constant, namespace)


def _of_running(ident: int | None) -> Iterator[Any]:
    frame = _real.current_frames().get(ident or 0)
    while frame is not None:
        yield from tuple(frame.f_locals.values())
        frame = frame.f_back
