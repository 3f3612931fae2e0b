"""Which lines of a function are fault points: first lines of `with` bodies, lines where an interrupt can be borne."""

from __future__ import annotations

import ast
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from functools import lru_cache
from types import CodeType

from pytest_leakguard.faults.cleanups import blocks_of, is_try
from pytest_leakguard.faults.model import STRICT
from pytest_leakguard.faults.names import BOOKKEEPING, PURE_BUILTINS, RELEASES, is_release
from pytest_leakguard.faults.source import node_of, own_nodes


@dataclass(frozen=True, slots=True)
class Lines:
    """The points of one function.

    Attributes:
        body: line -> ``with``, for the first lines of bodies.
        interrupt: line -> the name of what is called there.
        strict: the same for lines where an interrupt can't be borne, and hardly anybody tries.
        withs: the lines of `with` statements.
        ends: line -> where its first range of instructions ends. CPython comes back to a `with` line
            when the block is left, before `__exit__` runs: an error there leaks in every correct `with`.
    """

    body: dict[int, str] = field(default_factory=dict)
    interrupt: dict[int, str] = field(default_factory=dict)
    strict: dict[int, str] = field(default_factory=dict)
    withs: set[int] = field(default_factory=set)
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
    # a private `_close_listener` is a step of a release; a public `close_account` may be anything
    releases = node.name in RELEASES or (node.name.startswith("_") and is_release(node.name))
    if not releases:
        # an error in a release, before it has released: the release did not happen
        found.body.update(_bodies(node))
    if isinstance(node, ast.FunctionDef):
        for line, name, can_be_borne in _interruptible(node.body, not releases and node.name != "__enter__"):
            if can_be_borne:
                found.interrupt[line] = name
            else:
                found.strict[line] = STRICT + name
        found.withs.update(one.lineno for one in own_nodes(node) if isinstance(one, ast.With))
    return found


def _bodies(function: ast.AST) -> Iterator[tuple[int, str]]:
    for node in own_nodes(function):
        if isinstance(node, (ast.With, ast.AsyncWith)):
            first = _first_protected(node.body)
            header_ends = max(getattr(item.context_expr, "end_lineno", node.lineno) for item in node.items)
            # a body on the header's own line has no line event of its own
            # and where nothing is called or awaited nothing fails
            if first.lineno > header_ends and any(_may_fail(inner) for inner in node.body):
                yield first.lineno, "with"


def _first_protected(body: list[ast.stmt]) -> ast.stmt:
    """The first statement whose failure the block around it hears of.

    For ``try:`` and ``pass`` CPython 3.11 and later make an instruction that no handler covers: an error that comes
    there, as only an interrupt can, goes past the `with`.
    """
    for statement in body:
        if is_try(statement):
            return _first_protected(statement.body)  # type: ignore[attr-defined]
        if not isinstance(statement, ast.Pass):
            return statement
    return body[0]


def _may_fail(statement: ast.stmt) -> bool:
    nodes = (statement, *own_nodes(statement))
    if any(isinstance(node, (ast.Await, ast.Yield, ast.YieldFrom, ast.Raise)) for node in nodes):
        return True
    return any(isinstance(node, ast.stmt) and all(_called(_header(node))) for node in nodes)


def _interruptible(body: list[ast.stmt], can_be_borne: bool) -> Iterator[tuple[int, str, bool]]:
    """Lines that call something: line, name of what is called, whether code could bear an interrupt there.

    It can't at a `try:` line, at the first line of a handler, anywhere in a clean-up, and at lines that
    only hand over what was just acquired or give it back.
    """
    for statement in body:
        if isinstance(statement, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
            continue
        if is_try(statement):
            yield from _of_try(statement, can_be_borne)
            continue
        name, is_plain = _called(_header(statement))
        if name:
            yield statement.lineno, name, can_be_borne and is_plain
        for block in blocks_of(statement):
            yield from _interruptible(block, can_be_borne)


def _of_try(statement: ast.stmt, can_be_borne: bool) -> Iterator[tuple[int, str, bool]]:
    yield statement.lineno, "try", False
    yield from _interruptible(statement.body, can_be_borne)  # type: ignore[attr-defined]
    yield from _interruptible(statement.orelse, can_be_borne)  # type: ignore[attr-defined]
    for handler in statement.handlers:  # type: ignore[attr-defined]
        yield from _interruptible(handler.body[:1], False)
        # one that raises again cleans up; any other goes on in another way
        yield from _interruptible(handler.body[1:], can_be_borne and not isinstance(handler.body[-1], ast.Raise))
    yield from _interruptible(statement.finalbody, False)  # type: ignore[attr-defined]


def _header(statement: ast.stmt) -> Iterable[ast.AST]:
    """The parts of a statement that run on its own line, its blocks left out."""
    for name, value in ast.iter_fields(statement):
        if name in ("body", "orelse", "finalbody", "handlers", "cases"):
            continue
        for part in value if isinstance(value, list) else [value]:
            if isinstance(part, ast.AST):
                yield part


def _called(parts: Iterable[ast.AST]) -> tuple[str, bool]:
    """The first name called, and whether none of those called is a release or bookkeeping."""
    found = ""
    is_plain = True
    for part in parts:
        for node in (part, *own_nodes(part)):
            if not isinstance(node, ast.Call):
                continue
            called = node.func
            name = called.attr if isinstance(called, ast.Attribute) else getattr(called, "id", "call")
            if isinstance(called, ast.Name) and name in PURE_BUILTINS:
                continue
            is_plain = is_plain and not is_release(name) and name not in BOOKKEEPING
            found = found or name
    return found, is_plain
