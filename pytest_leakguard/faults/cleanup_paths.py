"""The cleanup paths of a source file: where Python code gives something back, or deals with an error."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal, get_args

from pytest_leakguard.faults.cleanups import is_try
from pytest_leakguard.faults.source import own_nodes, source_of

PathKind = Literal["with", "finally", "except", "exit method", "generator", "exit stack", "fixture"]
KINDS: tuple[PathKind, ...] = get_args(PathKind)

EXIT_METHODS = frozenset({"__exit__", "__aexit__"})
STACK_METHODS = frozenset({"callback", "push", "enter_context"})
ASYNC_STACK_METHODS = frozenset({"push_async_callback", "push_async_exit", "enter_async_context"})
_STACKS = frozenset({"ExitStack", "AsyncExitStack"})
_FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef)
_LOOPS = (ast.For, ast.AsyncFor, ast.While)
_NO_LOOP = range(0)


@dataclass(frozen=True, slots=True, kw_only=True)
class CleanupPath:
    """One place where cleanup is written.

    Attributes:
        path: relative to the root folder.
        line: where it begins: the `with`, the first line of a `finally` or handler, the `def`, the call.
        what: the method of an exit stack, the errors of a handler; else empty.
    """

    kind: PathKind
    path: str
    line: int
    qualname: str
    what: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Site:
    """A path in one function, as its code shows it.

    Attributes:
        lines: whose line events tell of it; none for what is told in another way.
        loop: the lines of the loop that a `finally` or handler begins with, if it does.
    """

    path: CleanupPath
    lines: frozenset[int] = frozenset()
    loop: range = _NO_LOOP


def sites_of(filename: str, path: str) -> dict[tuple[str, int], list[Site]]:
    """The sites of a file, by the name and first line of their function.

    Args:
        path: as it is reported.
    """
    found: dict[tuple[str, int], list[Site]] = {}
    for key, (qualname, node) in source_of(filename).functions.items():
        if isinstance(node, _FUNCTIONS):
            sites = list(_of_function(node, path, qualname))
            if sites:
                found[key] = sites
    return found


def _of_function(function: ast.FunctionDef | ast.AsyncFunctionDef, path: str, qualname: str) -> Iterator[Site]:
    def site(
        kind: PathKind, line: int, what: str = "", lines: frozenset[int] = frozenset(), loop: range = _NO_LOOP
    ) -> Site:
        return Site(
            path=CleanupPath(kind=kind, path=path, line=line, qualname=qualname, what=what), lines=lines, loop=loop
        )

    if function.name in EXIT_METHODS:
        yield site("exit method", function.lineno)
    nodes = list(own_nodes(function))
    if any(_protects_a_yield(node) for node in nodes):
        yield site("generator", function.lineno)
    stacks = {name for node in nodes for name in _stack_names(node)}
    for node in nodes:
        if isinstance(node, (ast.With, ast.AsyncWith)):
            lines = frozenset({node.lineno, node.items[0].context_expr.lineno})
            if node.body[0].lineno > max(item.context_expr.end_lineno or 0 for item in node.items):
                yield site("with", node.lineno, lines=lines)
        elif is_try(node):
            for handler in node.handlers:  # type: ignore[attr-defined]
                first = handler.body[0]
                # a body on the header's own line has no line event of its own
                if first.lineno > (handler.type or handler).lineno:
                    what = ast.unparse(handler.type) if handler.type is not None else ""
                    yield site("except", first.lineno, what, _begin(first), _loop(first))
            for first in node.finalbody[:1]:  # type: ignore[attr-defined]
                yield site("finally", first.lineno, lines=_begin(first), loop=_loop(first))
        elif isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
            name = node.func.attr
            owner = node.func.value
            if name in ASYNC_STACK_METHODS or name == "enter_context" or (
                name in STACK_METHODS and isinstance(owner, ast.Name) and owner.id in stacks
            ):  # fmt: skip
                yield site("exit stack", node.lineno, name)


def _begin(first: ast.stmt) -> frozenset[int]:
    if isinstance(first, _LOOPS):  # it is entered where its header has the first code
        return frozenset({first.lineno, *range(first.lineno, first.body[0].lineno)})
    return frozenset({first.lineno})


def _loop(first: ast.stmt) -> range:
    return range(first.lineno, (first.end_lineno or first.lineno) + 1) if isinstance(first, _LOOPS) else _NO_LOOP


def _protects_a_yield(node: ast.AST) -> bool:
    """Whether a generator that is closed early has something to clean up there."""
    if isinstance(node, (ast.With, ast.AsyncWith)) or (is_try(node) and getattr(node, "finalbody", None)):
        return any(isinstance(inner, ast.Yield) for inner in own_nodes(node))
    return False


def _stack_names(node: ast.AST) -> Iterator[str]:
    """The names that an exit stack is bound to."""
    if isinstance(node, (ast.With, ast.AsyncWith)):
        for item in node.items:
            if _makes_a_stack(item.context_expr) and isinstance(item.optional_vars, ast.Name):
                yield item.optional_vars.id
    elif isinstance(node, ast.Assign) and _makes_a_stack(node.value):
        yield from (target.id for target in node.targets if isinstance(target, ast.Name))


def _makes_a_stack(node: ast.AST) -> bool:
    if not isinstance(node, ast.Call):
        return False
    called = node.func
    return (called.attr if isinstance(called, ast.Attribute) else getattr(called, "id", "")) in _STACKS
