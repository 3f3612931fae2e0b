"""A chain of objects -> references in words. Runs no code of a user's class: no repr, no hash, no comparison."""

from __future__ import annotations

import _thread
import collections
import contextvars
import functools
import io
import itertools
import threading
import weakref
from collections.abc import Callable, Iterable, Sequence
from types import (
    AsyncGeneratorType,
    BuiltinFunctionType,
    CellType,
    CoroutineType,
    FrameType,
    FunctionType,
    GeneratorType,
    MemberDescriptorType,
    MethodType,
    ModuleType,
    TracebackType,
)
from typing import Any

from pytest_leakguard.core.holding import Edge, Path
from pytest_leakguard.origins.holders import attributes_of, class_name
from pytest_leakguard.origins.roots import frame_name, local_items, thread_name

_SHOWN = 40
"""Characters of a dict key at most."""
_ATOMS = (str, bytes, int, float, bool, type(None))
# by id, as everywhere here: the metaclass of a user's class may refuse to hash or compare it
_SUSPENDED: dict[int, tuple[str, str, str]] = {
    # what it is called, its frame, what it waits for
    id(GeneratorType): ("generator", "gi_frame", "gi_yieldfrom"),
    id(CoroutineType): ("coroutine", "cr_frame", "cr_await"),
    id(AsyncGeneratorType): ("async generator", "ag_frame", "ag_await"),
}
_CACHED = type(functools.cache(id))
Step = tuple[Edge, int]
"""The words, and how many objects further the chain goes on."""


def in_words(first: Edge | None, chain: Sequence[Any], root: str) -> Path:
    """Name each reference of a chain.

    Args:
        first: how the root holds the first object; None when that is the root itself.
        chain: each object holds the next one; the last is no plain container, but something with an owner.
        root: paths are told relative to it.
    """
    edges = [first] if first is not None else []
    at, end = 0, _outermost_stream(chain)
    while at < end:
        edge, steps = _step(chain[at : end + 1], root)
        edges.append(edge)
        at += steps
    return Path(edges=tuple(edges), target=type_name(type(chain[end])))


def type_name(kind: type) -> str:
    """The name of a class as a reader of the code knows it."""
    module, _, _ = class_name(kind).partition(".")
    if module in ("_thread", "threading") and issubclass(kind, _thread._local):
        return "threading.local"
    return str(type.__getattribute__(kind, "__qualname__"))


def _outermost_stream(chain: Sequence[Any]) -> int:
    """The index of the object to tell: the layers inside a file object are no news."""
    end = len(chain) - 1
    while end > 0 and issubclass(type(chain[end]), io.IOBase) and issubclass(type(chain[end - 1]), io.IOBase):
        end -= 1
    return end


def _step(chain: Sequence[Any], root: str) -> Step:
    holder, held = chain[0], chain[1]
    kind = type(holder)
    words = object_in_words(holder, root)
    if type(held) is dict and _is_namespace(held, holder):
        return Edge(holder=words, kind=_attribute_kind(kind), name=_key_of(held, chain[2])), 2
    for kinds, step in _STEPS:
        if kind is kinds or (isinstance(kinds, tuple) and issubclass(kind, kinds)):
            found = step(chain, words, root)
            if found is not None:
                return found
    if id(kind) in _SUSPENDED:
        return _of_suspended(chain, words, root)
    if kind is _CACHED:
        # one without a limit keeps the results in a dict of its own; a dict that one with a limit holds is a result
        steps = 2 if type(held) is dict and _CACHED.cache_info(holder).maxsize is None else 1
        return Edge(holder=words, kind="cache"), steps
    name = _member(holder, held) or _inline(holder, held)
    return Edge(holder=words, kind=_attribute_kind(kind) if name else "inside", name=name), 1


def object_in_words(obj: Any, root: str) -> str:
    """What an object is called."""
    kind = type(obj)
    if id(kind) in _SUSPENDED:
        what, frame_of, _ = _SUSPENDED[id(kind)]
        frame = getattr(obj, frame_of)
        return f"{what} {frame_name(frame, root)}" if frame is not None else f"{what} {obj.__qualname__}"
    if kind is FunctionType:
        return f"function {obj.__qualname__}"
    if kind is MethodType:
        return f"bound method {getattr(obj.__func__, '__qualname__', '?')}"
    if kind is BuiltinFunctionType:
        return f"bound method {obj.__qualname__}"
    if kind is functools.partial:
        return f"partial({_callable_in_words(obj.func)})"
    if kind is FrameType:
        return frame_name(obj, root)
    if kind is ModuleType:
        return f"module {ModuleType.__getattribute__(obj, '__name__')}"
    if issubclass(kind, type):
        return f"class {class_name(obj)}"
    if issubclass(kind, threading.Thread):
        return f"thread '{thread_name(obj)}'"
    if kind is _CACHED:
        return f"function {obj.__qualname__}"
    return type_name(kind)


def _callable_in_words(function: Any) -> str:
    if type(function) is FunctionType or type(function) is BuiltinFunctionType:
        return str(function.__qualname__)
    if type(function) is MethodType:
        return str(getattr(function.__func__, "__qualname__", "?"))
    return class_name(function) if issubclass(type(function), type) else type_name(type(function))


def _is_namespace(candidate: dict[Any, Any], holder: Any) -> bool:
    if issubclass(type(holder), type):
        return True  # its own dict is never shown, and nothing else of a class is a plain dict
    return attributes_of(holder) is candidate


def _attribute_kind(kind: type) -> Any:
    if issubclass(kind, type):
        return "class"
    return "thread" if issubclass(kind, threading.Thread) else "attribute"


def _key_of(namespace: dict[Any, Any], value: Any) -> str:
    """The plain name under which a dict of attributes holds a value."""
    return next((str(key) for key, held in _items(namespace) if held is value), "?")


def global_name(namespace: dict[Any, Any], value: Any) -> str:
    """The name of a module's global."""
    return _key_of(namespace, value)


def _items(mapping: Any) -> list[tuple[Any, Any]]:
    return list(dict.items(mapping))


def _member(holder: Any, held: Any) -> str:
    """The slot, or the member of a C type, in which an object holds another."""
    for kind in type.__getattribute__(type(holder), "__mro__"):
        for name, member in tuple(type.__getattribute__(kind, "__dict__").items()):
            if type(member) is MemberDescriptorType:
                try:
                    if member.__get__(holder) is held:
                        return str(name)
                except (AttributeError, TypeError):  # an empty slot
                    continue
    return ""


def _inline(holder: Any, held: Any) -> str:
    """The attribute of an instance that has no dict yet, and holds its values itself (3.11 and later)."""
    namespace = attributes_of(holder)
    return next((str(key) for key, value in _items(namespace) if value is held), "") if namespace is not None else ""


# -- kinds of holders: each gives None where it can't tell ------------------------


def _of_function(chain: Sequence[Any], words: str, root: str) -> Step | None:
    function, held = chain[0], chain[1]
    after = chain[2] if len(chain) > 2 else None
    if held is function.__closure__ and type(after) is CellType:
        index = _index(held, after)
        return Edge(holder=words, kind="closure", name=function.__code__.co_freevars[index]), 3
    if held is function.__defaults__:
        code = function.__code__
        index = code.co_argcount - len(held) + _index(held, after)
        return Edge(holder=words, kind="default", name=code.co_varnames[index]), 2
    if held is function.__kwdefaults__:
        return Edge(holder=words, kind="default", name=_key_of(held, after)), 2
    return None


def _of_method(chain: Sequence[Any], words: str, root: str) -> Step | None:
    return Edge(holder=words, kind="inside"), 1


def _of_partial(chain: Sequence[Any], words: str, root: str) -> Step | None:
    partial, held = chain[0], chain[1]
    if held is partial.args:
        return Edge(holder=words, kind="argument", name=str(_index(held, chain[2]))), 2
    if held is partial.keywords:
        return Edge(holder=words, kind="argument", name=f"'{_key_of(held, chain[2])}'"), 2
    return None


def _of_error(chain: Sequence[Any], words: str, root: str) -> Step | None:
    error, held = chain[0], chain[1]
    if type(held) is TracebackType:
        steps = next((at for at, obj in enumerate(chain) if type(obj) is FrameType), 1)
        return Edge(holder=words, kind="traceback"), steps
    for name in ("__context__", "__cause__", "args"):
        if BaseException.__dict__[name].__get__(error) is held:
            return Edge(holder=words, kind="attribute", name=name), 1
    return None


def _of_frame(chain: Sequence[Any], words: str, root: str) -> Step | None:
    name, steps = _local(chain[0], chain, at_rest=True)
    return Edge(holder=words, kind="local", name=name), steps


def _of_suspended(chain: Sequence[Any], words: str, root: str) -> Step:
    suspended, held = chain[0], chain[1]
    _, frame_of, waits_for = _SUSPENDED[id(type(suspended))]
    skipped = 1 if type(held) is FrameType else 0  # up to 3.10 the frame stands between
    frame = getattr(suspended, frame_of)
    name, steps = "", 1
    if frame is not None:
        # one that runs has a caller
        name, steps = _local(frame, chain[skipped:], at_rest=frame.f_back is None)
    if not name and getattr(suspended, waits_for) is chain[1 + skipped]:
        return Edge(holder=words, kind="awaits"), 1 + skipped
    return Edge(holder=words, kind="local", name=name), steps + skipped


def _local(frame: FrameType, chain: Sequence[Any], *, at_rest: bool) -> tuple[str, int]:
    """The name of the local that holds the next object (or the one in the next cell), and the steps to that."""
    in_cell = type(chain[1]) is CellType
    value = chain[2] if in_cell else chain[1]
    names = [name for name, local in local_items(frame, at_rest=at_rest) if local is value]
    return names[0] if names else "", 2 if in_cell else 1


def _of_context(chain: Sequence[Any], words: str, root: str) -> Step | None:
    steps = next((at for at, obj in enumerate(chain) if at and not type_name(type(obj)).startswith("hamt")), 1)
    value = chain[steps]
    names = [variable.name for variable, held in chain[0].items() if held is value]
    return Edge(holder="context", kind="context", name=names[0] if names else ""), steps


def _of_context_variable(chain: Sequence[Any], words: str, root: str) -> Step | None:
    return Edge(holder="context", kind="context", name=chain[0].name), 1


def _of_thread_local(chain: Sequence[Any], words: str, root: str) -> Step | None:
    dicts = list(itertools.takewhile(lambda obj: type(obj) is dict, chain[1:]))
    if not dicts:
        return None
    name = _key_of(dicts[-1], chain[len(dicts) + 1])
    return Edge(holder=words, kind="thread-local", name=name), len(dicts) + 1


def _of_dict(chain: Sequence[Any], words: str, root: str) -> Step | None:
    for key, value in _items(chain[0]):
        if value is chain[1]:
            return Edge(holder=words, kind="key", name=_key_in_words(key)), 1
        if key is chain[1]:
            return Edge(holder=words, kind="element", name="key"), 1
    return None


def _of_sequence(chain: Sequence[Any], words: str, root: str) -> Step | None:
    index = _index(chain[0], chain[1])
    return None if index < 0 else (Edge(holder=words, kind="index", name=str(index)), 1)


def _of_set(chain: Sequence[Any], words: str, root: str) -> Step | None:
    return Edge(holder=words, kind="element"), 1


def _of_weak_reference(chain: Sequence[Any], words: str, root: str) -> Step | None:
    return Edge(holder=words, kind="callback"), 1


_STEPS: tuple[tuple[Any, Callable[[Sequence[Any], str, str], Step | None]], ...] = (
    # a type: exactly this one; a tuple: this one and classes derived from it
    (FunctionType, _of_function),
    (MethodType, _of_method),
    (functools.partial, _of_partial),
    (FrameType, _of_frame),
    (contextvars.Context, _of_context),
    (contextvars.ContextVar, _of_context_variable),
    ((BaseException,), _of_error),
    ((_thread._local,), _of_thread_local),
    ((dict,), _of_dict),
    ((list, tuple, collections.deque), _of_sequence),
    ((set, frozenset), _of_set),
    ((weakref.ref,), _of_weak_reference),
)


def _index(sequence: Any, wanted: object) -> int:
    kind = next(one for one in (list, tuple, collections.deque) if issubclass(type(sequence), one))
    elements: Iterable[Any] = kind.__iter__(sequence)
    return next((at for at, element in enumerate(elements) if element is wanted), -1)


def _is_atom(key: Any) -> bool:
    return any(type(key) is kind for kind in _ATOMS)


def _key_in_words(key: Any) -> str:
    if _is_atom(key):
        text = repr(key)
        return text if len(text) <= _SHOWN else f"{text[: _SHOWN - 4]}...{text[-1]}"
    if type(key) is tuple and len(key) <= 4 and all(_is_atom(part) for part in key):
        return f"({', '.join(_key_in_words(part) for part in key)})"
    return class_name(key) if issubclass(type(key), type) else f"<{type_name(type(key))}>"
