"""What is kept of a value: enough to tell a change, and no hold on a user's object unless it is to be put back."""

from __future__ import annotations

import weakref
from collections.abc import Hashable
from enum import Enum
from typing import Any, Final

Digest = Hashable
"""Equal for equal values: a string, a number, a tuple of such, or a `Handle`."""


class Sign(Enum):
    """What stands where there is no value."""

    UNSET = "not set"
    PYTESTS = "pytest's own"


UNSET: Final = Sign.UNSET
PYTESTS: Final = Sign.PYTESTS
"""pytest has put an object of its own there, for a time: what was there before counts as put back."""

BEHIND: Final = "_leakguard_stands_before"
"""The attribute of a hook of ours that leads to the one it stands in for."""

_LONGEST = 80


class Handle:
    """An object by its identity. A dead one equals no other, though its address may be used again.

    Args:
        keep: hold it, so that it can be put back.
    """

    __slots__ = ("_address", "_kept", "_reference", "words")

    def __init__(self, obj: object, words: str, *, keep: bool) -> None:
        self._address = id(obj)
        self.words = words
        self._kept = obj if keep else None
        self._reference: weakref.ref[Any] | None
        try:
            self._reference = None if keep else weakref.ref(obj)
        except TypeError:  # most can; of what can't the address has to do
            self._reference = None

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Handle) or self._address != other._address:
            return False
        return self._is_there() and other._is_there()

    def __hash__(self) -> int:
        return self._address

    def __repr__(self) -> str:
        return self.words

    def _is_there(self) -> bool:
        return self._reference is None or self._reference() is not None

    def original(self) -> Any:
        """The object. Raises LookupError when it is gone, or was never held."""
        obj = self._kept if self._reference is None else self._reference()
        if obj is None:
            raise LookupError(f"{self.words} is gone")
        return obj


class _Keeping:
    """Whether the objects that values refer to are held, to be put back later."""

    on = False


def keep_originals(on: bool) -> None:
    """From now on hold what is read, or let go of it."""
    _Keeping.on = on


def identity(obj: object) -> Digest:
    """The digest of an object: itself when it is None or text, else a handle."""
    if obj is None or type(obj) is str:
        return obj
    return Handle(obj, _called(obj), keep=_Keeping.on)


def kept(obj: object) -> object | None:
    """The object, where what is read is held."""
    return obj if _Keeping.on else None


def is_of(obj: object, module: str) -> bool:
    """Whether the class of an object is from a module whose name starts like that."""
    name: object = type(obj).__module__
    return isinstance(name, str) and name.startswith(module)


def _called(obj: object) -> str:
    """A name for an object; no code of the user's runs for it."""
    inner = getattr(obj, "__func__", obj) if type(obj).__name__ == "method" else obj
    if type(inner).__name__ in ("function", "builtin_function_or_method", "type"):
        return f"{inner.__module__}.{inner.__qualname__}"  # type: ignore[attr-defined]
    return f"{type(obj).__module__}.{type(obj).__qualname__} object"


def short(digest: Digest) -> str:
    """A digest in a few words."""
    if isinstance(digest, Sign):
        return digest.value
    words = repr(digest)
    return words if len(words) <= _LONGEST else f"{words[: _LONGEST - 20]}...{words[-17:]}"
