"""What is called: its name, whether it releases something, and the error it could give."""

from __future__ import annotations

import errno
import os
import struct
import sys
from dataclasses import dataclass
from types import CodeType
from typing import Any

from pytest_leakguard.faults.errors import InjectedFault, message, planned
from pytest_leakguard.faults.names import BOOKKEEPING, BUILTINS_THAT_FAIL, is_release, words
from pytest_leakguard.faults.source import qualname_of
from pytest_leakguard.origins import frames

_PURE_MODULES = words(
    """
    _abc _asyncio _collections _collections_abc _contextvars _functools _heapq _operator _random _thread _weakref
    _weakrefset
    abc asyncio bisect collections contextlib contextvars copy dataclasses datetime enum functools gc genericpath
    heapq inspect itertools logging math ntpath operator posixpath random re string textwrap threading time
    traceback types typing warnings weakref string codecs keyword linecache numbers fnmatch
    """
)
_BUILTINS = BUILTINS_THAT_FAIL | {"decode", "encode"}
_SYSTEM = words(
    """
    _io _posixsubprocess _socket _ssl _winapi fcntl io mmap multiprocessing nt os pathlib posix select selectors
    shutil signal socket socketserver ssl subprocess tempfile termios
    """
)
_SELF = "pytest_leakguard"
_RUNNERS = frozenset({_SELF, "_pytest", "pytest", "pluggy"})
"""What the code under test calls there is no operation of its own: a tracked object's callback, a `fault_point`."""
_DUNDERS_CALLED = frozenset({"__init__", "__call__"})
_COMPREHENSIONS = frozenset({"<listcomp>", "<dictcomp>", "<setcomp>", "<genexpr>"})


@dataclass(frozen=True, slots=True)
class Callee:
    """Something that is called.

    Attributes:
        module: the top name of its module, empty when that is the project's own business.
        is_own: it is no part of the standard library.
        full_module: the whole name of its module.
        code: of a Python function; tells its qualified name when that is not given.
    """

    name: str
    module: str
    is_own: bool
    full_module: str = ""
    given_qualname: str = ""
    code: CodeType | None = None

    @property
    def qualname(self) -> str:
        """The qualified name."""
        if self.given_qualname or self.code is None:
            return self.given_qualname
        return qualname_of(self.code)

    @property
    def is_release(self) -> bool:
        """Whether it gives something back, other than a lock or an element of a container."""
        if not is_release(self.name) or self.module == "builtins" or self.module in _RUNNERS:
            return False
        return self.is_own or self.module not in _PURE_MODULES

    @property
    def can_fail(self) -> bool:
        """Whether the code that calls it has to bear an error of it."""
        name = self.name
        if is_release(name) or name in BOOKKEEPING or name in _COMPREHENSIONS:
            return False
        if name.startswith("__") and name not in _DUNDERS_CALLED:
            return False
        if self.module in _RUNNERS:
            return False
        if self.module == "builtins":
            return name in _BUILTINS
        return self.is_own or self.module not in _PURE_MODULES

    def error(self, point_id: str) -> BaseException:
        """A new error, the nearest to what this call can really give."""
        if self.module in _SYSTEM or self.name == "open":
            return planned(OSError(errno.EIO, message(os.strerror(errno.EIO), point_id)), point_id)
        if self.module in ("sqlite3", "_sqlite3"):
            import sqlite3

            return planned(sqlite3.OperationalError(message("disk I/O error", point_id)), point_id)
        if self.module in ("struct", "_struct"):
            return planned(struct.error(message("bad data", point_id)), point_id)
        if self.module in ("builtins", "json", "csv", "_csv"):
            return planned(ValueError(message("bad data", point_id)), point_id)
        return planned(InjectedFault(message(f"{self.name} failed", point_id)), point_id)


def of_object(callee: Any) -> Callee | None:
    """What a callable is, without running any code of it; None for what makes an error or a type."""
    if isinstance(callee, type):
        if issubclass(callee, BaseException):
            return None
        return _of_named(callee, _maker_of(callee))
    function = getattr(callee, "__func__", callee) if type(callee).__name__ == "method" else callee
    code = getattr(function, "__code__", None) if type(function).__name__ == "function" else None
    if isinstance(code, CodeType):
        return of_code(code, getattr(function, "__module__", None))
    if type(callee).__name__ == "builtin_function_or_method":
        holder = callee.__self__
        module = callee.__module__
        if not isinstance(module, str):
            module = type(holder).__module__ if not isinstance(holder, type) else holder.__module__
        return _of_named(callee, module)
    if type(callee).__name__ in ("method_descriptor", "wrapper_descriptor", "method-wrapper", "classmethod_descriptor"):
        module = getattr(getattr(callee, "__objclass__", None), "__module__", "builtins")
        return _of_named(callee, module)
    if type(callee).__name__ == "method":
        return of_object(function)
    return None


def _maker_of(made: type) -> object:
    """The module of what makes an instance: of the class that has `__init__`, as its frame tells before 3.12 too."""
    for one in type.__dict__["__mro__"].__get__(made):
        names = type.__dict__["__dict__"].__get__(one)
        if one is not object and ("__init__" in names or "__new__" in names):
            return one.__module__
    return made.__module__


def of_code(code: CodeType, module: object) -> Callee:
    """What a Python function is."""
    where = frames.region(code.co_filename)
    if where == "self" and not _is_bundled(module):
        module = _SELF  # also a function of ours that stands for one of the project
    return Callee(code.co_name, _top(module), where != "stdlib", _text(module), code=code)


def _of_named(callee: Any, module: object) -> Callee:
    return Callee(callee.__name__, _top(module), _is_own_module(module), _text(module), _text(callee.__qualname__))


def _text(name: object) -> str:
    return name if isinstance(name, str) else ""


def _top(module: object) -> str:
    if not isinstance(module, str):
        return ""
    return module if _is_bundled(module) else module.partition(".")[0]


def _is_bundled(module: object) -> bool:
    """Whether it is one of the bundled managers, which are code like any that is installed."""
    return isinstance(module, str) and module.startswith(f"{_SELF}.reference")


def _is_own_module(module: object) -> bool:
    top = _top(module)
    return bool(top) and top not in sys.stdlib_module_names
