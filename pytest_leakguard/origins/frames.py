"""Stacks as (code, instruction) pairs, and the user's line in them.

A frame would keep its locals alive, so only the code object and the index of
the instruction are kept; lines and names are worked out for a report.
"""

from __future__ import annotations

import importlib
import os
import sys
import sysconfig
from functools import lru_cache
from types import CodeType, FrameType, FunctionType
from typing import Any, Literal

import pluggy

from pytest_leakguard import native
from pytest_leakguard.core.model import How, Origin

Stack = tuple[tuple[CodeType, int], ...]
"""Innermost frame first."""

Region = Literal["project", "dependency", "stdlib", "runner", "self"]

DEPTH = 64
# Of the module whose function calls hook implementations; pluggy moved it. Whose code a frame
# runs is told by its globals: asking for the code object raises an audit event each time.
_HOOK_CALLER = getattr(getattr(pluggy.PluginManager("leakguard"), "_inner_hookexec", None), "__globals__", None)
IMPORTERS = (vars(importlib._bootstrap), vars(importlib._bootstrap_external))
"""The globals of Python's import machinery."""
_OWN = os.path.dirname(os.path.dirname(os.path.abspath(__file__))) + os.sep
_STDLIB = tuple(
    {os.path.realpath(p) + os.sep for p in (sysconfig.get_path("stdlib"), sysconfig.get_path("platstdlib"))}
    | {p + os.sep for p in (sysconfig.get_path("stdlib"), sysconfig.get_path("platstdlib"))}
)
_PACKAGES = (f"{os.sep}site-packages{os.sep}", f"{os.sep}dist-packages{os.sep}")
_RUNNERS = ("_pytest", "pluggy", "pytest")
_FIXTURE_HOOKS = frozenset({"pytest_pyfunc_call", "pytest_fixture_setup"})


_callers: tuple[tuple[dict[str, Any], tuple[CodeType, int]], ...] = ()


def end_at(*callers: FunctionType) -> None:
    """Let stacks end where the module of one of these calls the user's functions; it stands for what is outside."""
    global _callers
    _callers = tuple((caller.__globals__, (caller.__code__, 0)) for caller in callers)
    if native.part is not None:
        native.part.end_stacks(_HOOK_CALLER, _callers, DEPTH)


end_at()


def walk(frame: FrameType | None) -> Stack:
    """The stack from `frame` outwards, as far as the call that pytest made.

    Hand-made because the traceback module costs ten times as much, and this
    runs at every acquisition.
    """
    if native.part is not None:
        return native.part.walk(frame)
    stack: list[tuple[CodeType, int]] = []
    while frame is not None and len(stack) < DEPTH:
        names = frame.f_globals
        if names is _HOOK_CALLER:
            break
        if stack:
            for module, caller in _callers:
                if names is module:
                    stack.append(caller)
                    return tuple(stack)
        stack.append((frame.f_code, frame.f_lasti))
        frame = frame.f_back
    return tuple(stack)


def is_importing(frame: FrameType | None) -> bool:
    """Whether that very frame is one of Python's import machinery."""
    names = None if frame is None else frame.f_globals
    return names is IMPORTERS[0] or names is IMPORTERS[1]


@lru_cache(maxsize=4096)
def region(filename: str) -> Region:
    """Whose code a file is, told from its name alone."""
    if filename.startswith("<frozen ") or filename == "<string>":
        return "stdlib"
    if filename.startswith(_OWN):
        return "self"
    for marker in _PACKAGES:
        _, found, inside = filename.rpartition(marker)
        if found:
            top = inside.split(os.sep, 1)[0]
            return "runner" if top in _RUNNERS else "dependency"
    if filename.startswith(_STDLIB):
        return "stdlib"
    return "project"


def line_of(code: CodeType, lasti: int) -> int:
    """The source line of an instruction."""
    for start, end, line in code.co_lines():
        if start <= lasti < end and line is not None:
            return line
    return code.co_firstlineno


def name_of(code: CodeType) -> str:
    """The qualified name where Python keeps it (3.11 and later), else the bare name."""
    return str(getattr(code, "co_qualname", code.co_name))


def is_import(stack: Stack) -> bool:
    """Whether the stack runs through the import of a module."""
    return any(code.co_filename.startswith("<frozen importlib") for code, _ in stack)


def is_plugin_hook(stack: Stack) -> bool:
    """Whether the outermost frame is a hook of some other plugin or a conftest.

    pytest's own hooks lead to the test and its fixtures; those that run tests or
    fixtures in another way (asyncio, trio) implement one of two hooks.
    """
    if not stack or len(stack) >= DEPTH:
        return False
    outermost = stack[-1][0]
    if not outermost.co_name.startswith("pytest_") or region(outermost.co_filename) == "runner":
        return False
    if outermost.co_name not in _FIXTURE_HOOKS:
        return True
    # such a hook leads to the test or the fixture; what it acquires by itself is its own
    return not any(region(code.co_filename) in ("project", "dependency") for code, _ in stack[:-1])


def shorten(filename: str, root: str) -> str:
    """A path for a report: below the root relative to it, of a package from site-packages on."""
    for marker in _PACKAGES:
        _, found, inside = filename.rpartition(marker)
        if found:
            return inside.replace(os.sep, "/")
    prefix = root.rstrip(os.sep) + os.sep
    if filename.startswith(prefix):
        return filename[len(prefix) :].replace(os.sep, "/")
    for stdlib in _STDLIB:
        if filename.startswith(stdlib):
            version = f"python{sys.version_info[0]}.{sys.version_info[1]}"
            return f"{version}/{filename[len(stdlib) :]}".replace(os.sep, "/")
    return filename


def origin_of(stack: Stack, *, root: str, how: How, event: str) -> Origin:
    """The user's line first: standard library frames inside it are folded.

    When that line is a dependency's, the project's own line that led there is told too.
    """
    within: list[str] = []
    found: tuple[CodeType, int] | None = None
    via = ""
    for code, lasti in stack:
        where = region(code.co_filename)
        if found is None:
            if where in ("project", "dependency"):
                found = (code, lasti)
                if where == "project":
                    break
            elif where == "stdlib":
                within.append(name_of(code))
        elif where == "project":
            via = f"{shorten(code.co_filename, root)}:{line_of(code, lasti)} in {name_of(code)}"
            break
    if found is None:
        if not stack:
            return Origin(reason="no Python code was running")
        found = stack[0]
    code, lasti = found
    return Origin(
        file=shorten(code.co_filename, root),
        line=line_of(code, lasti),
        function=name_of(code),
        how=how,
        event=event,
        via=via,
        within=tuple(within),
    )
