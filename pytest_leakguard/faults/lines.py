"""Which lines of a function are fault points: first lines of `with` bodies, lines where an interrupt can be borne."""

from __future__ import annotations

import ast
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from functools import lru_cache
from types import CodeType

from pytest_leakguard.faults.names import BOOKKEEPING, PURE_BUILTINS, RELEASES
from pytest_leakguard.faults.source import node_of, own_nodes


@dataclass(frozen=True, slots=True)
class Lines:
    """The points of one function.

    Attributes:
        body: line -> ``with``, for the first lines of bodies.
        interrupt: line -> the name of what is called there.
        ends: line -> where its first range of instructions ends. CPython comes back to a `with` line
            when the block is left, before `__exit__` runs: an error there leaks in every correct `with`.
    """

    body: dict[int, str] = field(default_factory=dict)
    interrupt: dict[int, str] = field(default_factory=dict)
    ends: dict[int, int] = field(default_factory=dict)


@lru_cache(maxsize=4096)
def lines_of(code: CodeType) -> Lines:
    """The points of a function; none when its source is not there."""
    node = node_of(code)
    found = Lines()
    if not isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
        return found
    for _, end, line in code.co_lines():
        if line is not None:
            found.ends.setdefault(line, end)
    if node.name not in RELEASES:
        # an error in a release, before it has released: the release did not happen
        found.body.update(_bodies(node))
    if isinstance(node, ast.FunctionDef) and node.name not in (*RELEASES, "__enter__"):
        found.interrupt.update(_interruptible(node.body))
    return found


def _bodies(function: ast.AST) -> Iterator[tuple[int, str]]:
    for node in own_nodes(function):
        if isinstance(node, (ast.With, ast.AsyncWith)):
            first = node.body[0]
            header_ends = max(getattr(item.context_expr, "end_lineno", node.lineno) for item in node.items)
            # a body on the header's own line has no line event of its own
            # and where nothing is called or awaited nothing fails
            if first.lineno > header_ends and any(_may_fail(inner) for inner in node.body):
                yield first.lineno, "with"


def _may_fail(statement: ast.stmt) -> bool:
    nodes = (statement, *own_nodes(statement))
    if any(isinstance(node, (ast.Await, ast.Yield, ast.YieldFrom, ast.Raise)) for node in nodes):
        return True
    return any(isinstance(node, ast.stmt) and _called(_header(node)) for node in nodes)


def _interruptible(body: list[ast.stmt], *, in_handler: bool = False) -> Iterator[tuple[int, str]]:
    """Lines that call something. Left out: what no code could bear.

    That is a `try:` line, the first line of a handler, and lines that only hand
    over what was just acquired or give it back.
    """
    for index, statement in enumerate(body):
        if isinstance(statement, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
            continue
        if isinstance(statement, ast.Try) or type(statement).__name__ == "TryStar":
            yield from _of_try(statement)
            continue
        name = _called(_header(statement))
        if name and not (in_handler and index == 0):
            yield statement.lineno, name
        for block in ("body", "orelse"):
            inner = getattr(statement, block, None)
            if isinstance(inner, list):
                yield from _interruptible(inner)
        for case in getattr(statement, "cases", ()):
            yield from _interruptible(case.body)


def _of_try(statement: ast.stmt) -> Iterator[tuple[int, str]]:
    yield from _interruptible(statement.body)  # type: ignore[attr-defined]
    yield from _interruptible(statement.orelse)  # type: ignore[attr-defined]
    for handler in statement.handlers:  # type: ignore[attr-defined]
        yield from _interruptible(handler.body, in_handler=True)
    yield from _interruptible(statement.finalbody, in_handler=True)  # type: ignore[attr-defined]


def _header(statement: ast.stmt) -> Iterable[ast.AST]:
    """The parts of a statement that run on its own line, its blocks left out."""
    for name, value in ast.iter_fields(statement):
        if name in ("body", "orelse", "finalbody", "handlers", "cases"):
            continue
        for part in value if isinstance(value, list) else [value]:
            if isinstance(part, ast.AST):
                yield part


def _called(parts: Iterable[ast.AST]) -> str:
    """The first name called that is neither a release nor bookkeeping; nothing when any is one of those."""
    found = ""
    for part in parts:
        for node in (part, *own_nodes(part)):
            if not isinstance(node, ast.Call):
                continue
            called = node.func
            name = called.attr if isinstance(called, ast.Attribute) else getattr(called, "id", "call")
            if isinstance(called, ast.Name) and name in PURE_BUILTINS:
                continue
            if name in RELEASES or name in BOOKKEEPING:
                return ""
            found = found or name
    return found
