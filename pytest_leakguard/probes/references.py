"""Whether a class can have instances, told without a look at the heap.

An instance of a class of Python code holds a reference to its class. So where all references to a class are
found in modules, functions and classes, it has no instance. Where they are not, it may have some.
"""

from __future__ import annotations

import functools
import itertools
import operator
import sys
import sysconfig
import types
import weakref
from collections.abc import Collection, Sequence
from typing import Any

from pytest_leakguard import _real

_LIMIT = 20_000
"""Objects that are looked at; a look at the heap would cost more, but not much."""
_LEVELS = 8
_FOLLOWED = frozenset({
    dict, tuple, list, types.FunctionType, types.CellType, types.GetSetDescriptorType, types.MemberDescriptorType,
    staticmethod, classmethod, property, functools.partial,
})  # fmt: skip
_KEPT_BY_ITSELF = 3  # what a bare class is referred to by: its MRO, and the descriptors of __dict__ and __weakref__
# without the interpreter lock, instances are counted per thread and not in the class
_COUNTS_TELL = not sysconfig.get_config_var("Py_GIL_DISABLED")


def may_have_instances(classes: Sequence[weakref.ref[type]]) -> list[type]:
    """Those of the classes, given by weak references, for whose references instances may be the reason."""
    if not classes:
        return []
    numbers = [sys.getrefcount(ref()) for ref in classes]
    alive = [ref() for ref in classes]
    spare = _spare()
    missing = {
        _real.identity(cls): number - spare for cls, number in zip(alive, numbers, strict=True) if cls is not None
    }
    found = [cls for cls in alive if cls is not None]
    if _COUNTS_TELL:
        _account(missing, found)
    return [cls for cls in found if missing[_real.identity(cls)] > 0]


def _spare() -> int:
    """What a count tells besides the references that are to be found."""
    bare: type = type("Bare", (), {})
    ref = weakref.ref(bare)
    return sys.getrefcount(ref()) - _KEPT_BY_ITSELF - 1  # one is the local name's


def _account(missing: dict[int, int], classes: list[type]) -> None:
    """Take from the numbers what refers to the classes outside of instances, the nearest first."""
    modules = [module for module in tuple(sys.modules.values()) if issubclass(type(module), types.ModuleType)]
    spaces = {_real.identity(space): space for space in _real.gc_get_referents(*modules) if type(space) is dict}
    level: list[Any] = [space for space in spaces.values() if _subtract(missing, space.values(), classes)]
    _subtract(missing, _real.gc_get_referents(*classes), classes)
    level += classes
    seen = {*spaces, *missing}
    looked_at = 0
    for _ in range(_LEVELS):
        if not level or all(number <= 0 for number in missing.values()):
            return
        following = []
        for obj in _real.gc_get_referents(*level):
            kind = type(obj)
            if (kind in _FOLLOWED or issubclass(kind, type)) and _real.identity(obj) not in seen:
                seen.add(_real.identity(obj))
                following.append(obj)
        looked_at += len(following)
        if looked_at > _LIMIT:
            return
        _subtract(missing, _real.gc_get_referents(*following), classes)
        level = following


def _subtract(missing: dict[int, int], found: Collection[Any], classes: list[type]) -> int:
    """Take off how often the classes are among these. Returns how often that was."""
    total = 0
    for cls in classes:
        number = sum(map(operator.is_, found, itertools.repeat(cls)))  # no user's __eq__ runs
        missing[_real.identity(cls)] -= number
        total += number
    return total
