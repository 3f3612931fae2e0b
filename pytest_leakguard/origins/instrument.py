"""Methods of a class, wrapped in place so that calls are told; its users don't see it, and it is undone."""

from __future__ import annotations

import functools
import inspect
import weakref
from collections.abc import Callable
from types import FrameType, FunctionType
from typing import Any

from pytest_leakguard import _real

Made = Callable[[Any, FrameType], object]
"""Told of an instance whose construction has come to a good end; the frame is the one that made it."""
Called = Callable[[Any, str], object]
"""Told that a method is called on an instance, before it runs; its caller is two frames further out."""


class NotAMethod(TypeError):
    """What has that name in the class is no method that can be wrapped."""


class Instrument:
    """Wraps methods of classes; `undo` puts back what was there."""

    def __init__(self) -> None:
        self._done: list[tuple[weakref.ref[type], str, object, object]] = []
        self._under_construction: set[int] = set()
        self._has_subclasses = False  # a class and one that it comes from are both wrapped

    @staticmethod
    def can_wrap(cls: type) -> bool:
        """Whether attributes of a class can be set: those of C types can't."""
        try:
            # the class's own value again: nothing changes, and the metaclass has no say
            type.__setattr__(cls, "__module__", type.__getattribute__(cls, "__dict__")["__module__"])
        except (TypeError, KeyError):
            return False
        return True

    def wrap_init(self, cls: type, made: Made) -> None:
        """Tell of each instance that `cls` initialises.

        Where several classes of an instance are wrapped, the outermost one tells: an
        instance whose construction fails was never handed to anybody.
        """
        call = _original(cls, "__init__")
        constructing = self._under_construction
        instrument = self
        self._has_subclasses = self._has_subclasses or self._is_related(cls)

        def __init__(self: Any, /, *args: Any, **kwargs: Any) -> Any:
            __tracebackhide__ = True
            if type(self) is cls and not instrument._has_subclasses:
                result = call(self, *args, **kwargs)
                made(self, _real.getframe(1))
                return result
            identity = _real.identity(self)
            if identity in constructing:
                return call(self, *args, **kwargs)
            constructing.add(identity)
            try:
                result = call(self, *args, **kwargs)
            finally:
                constructing.discard(identity)
            made(self, _real.getframe(1))
            return result

        self._put(cls, "__init__", __init__)

    def wrap_method(self, cls: type, name: str, called: Called) -> None:
        """Tell of each call of a method. Raises NotAMethod."""
        found = inspect.getattr_static(cls, name, None)
        if found is None or isinstance(found, (staticmethod, classmethod, property)) or not callable(found):
            raise NotAMethod(f"{cls.__qualname__} has no method {name!r}")
        call = _original(cls, name)
        wrapper: Callable[..., Any]
        if inspect.iscoroutinefunction(found):

            async def wrapper(self: Any, /, *args: Any, **kwargs: Any) -> Any:
                __tracebackhide__ = True
                called(self, name)
                return await call(self, *args, **kwargs)

        else:

            def wrapper(self: Any, /, *args: Any, **kwargs: Any) -> Any:
                __tracebackhide__ = True
                called(self, name)
                return call(self, *args, **kwargs)

        self._put(cls, name, wrapper)

    def _is_related(self, cls: type) -> bool:
        """Whether a constructor of a class above or below is wrapped."""
        others = [other for ref, name, *_ in self._done if name == "__init__" and (other := ref()) is not None]
        return any(
            other in type.__getattribute__(cls, "__mro__") or cls in type.__getattribute__(other, "__mro__")
            for other in others
        )

    def undo(self) -> None:
        """Put back what was there, the latest first; what another has wrapped since stays and tells nothing."""
        while self._done:
            ref, name, wrapper, own = self._done.pop()
            cls = ref()
            if cls is None or type.__getattribute__(cls, "__dict__").get(name) is not wrapper:
                continue
            if own is None:
                type.__delattr__(cls, name)
            else:
                type.__setattr__(cls, name, own)

    def _put(self, cls: type, name: str, wrapper: Callable[..., Any]) -> None:
        own = type.__getattribute__(cls, "__dict__").get(name)
        functools.update_wrapper(wrapper, own if own is not None else inspect.getattr_static(cls, name))
        if own is None and name == "__init__":
            _keep_signature(cls, wrapper)
        type.__setattr__(cls, name, wrapper)
        self._done.append((weakref.ref(cls), name, wrapper, own))


def _keep_signature(cls: type, init: Any) -> None:
    """A class without `__init__` of its own gets one: it must not change how the class is called."""
    try:
        signature = inspect.signature(cls)
        first = inspect.Parameter("self", inspect.Parameter.POSITIONAL_ONLY)
        kept = [p for p in signature.parameters.values() if p.name != "self"]
        init.__signature__ = signature.replace(parameters=[first, *kept], return_annotation=inspect.Signature.empty)
    except (TypeError, ValueError):
        return


def _original(cls: type, name: str) -> Callable[..., Any]:
    """What a call of the method does without us; found along the instance's own MRO where `cls` only inherits it."""
    own: Any = type.__getattribute__(cls, "__dict__").get(name)
    if isinstance(own, FunctionType):
        return own
    if own is not None:
        return lambda self, /, *args, **kwargs: own.__get__(self, type(self))(*args, **kwargs)
    if name == "__init__":
        if type.__getattribute__(cls, "__mro__") != (cls, object):
            return functools.partial(_inherited_init, cls)

        def plain(self: Any, /, *args: Any, **kwargs: Any) -> None:
            __tracebackhide__ = True
            if args or kwargs or type(self) is not cls:
                _inherited_init(cls, self, *args, **kwargs)

        return plain

    def inherited(self: Any, /, *args: Any, **kwargs: Any) -> Any:
        __tracebackhide__ = True
        return getattr(super(cls, self), name)(*args, **kwargs)

    return inherited


def _inherited_init(cls: type, self: Any, /, *args: Any, **kwargs: Any) -> None:
    __tracebackhide__ = True
    mro: tuple[type, ...] = type.__getattribute__(type(self), "__mro__")
    for base in mro[mro.index(cls) + 1 :]:
        if "__init__" in type.__getattribute__(base, "__dict__"):
            break
    if base is not object:
        getattr(super(cls, self), "__init__")(*args, **kwargs)  # noqa: B009  a name that mypy does not check
    elif (args or kwargs) and getattr(type(self), "__new__", None) is object.__new__:
        # `object` itself refuses them only while no class has an __init__
        raise TypeError(f"{type(self).__name__}() takes no arguments")
