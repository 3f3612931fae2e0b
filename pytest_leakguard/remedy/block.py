"""A statement in its block: where it stands, what follows it, and the lines that they take up."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import dataclass

Function = ast.FunctionDef | ast.AsyncFunctionDef


class Doubt(Exception):
    """The source may be anything: no patch."""


@dataclass(frozen=True, slots=True)
class Place:
    """A statement of a function.

    Attributes:
        block: the statements of which it is one.
        number: which of them.
    """

    function: Function
    block: list[ast.stmt]
    number: int

    @property
    def statement(self) -> ast.stmt:
        return self.block[self.number]

    @property
    def following(self) -> list[ast.stmt]:
        """What comes after it in its block."""
        return self.block[self.number + 1 :]

    @property
    def is_outermost(self) -> bool:
        """Whether it stands directly in the body of the function."""
        return self.block is self.function.body


def find(tree: ast.Module, line: int, function: str) -> Place:
    """The simple statement, or the head of the ``for`` loop, that stands on a line.

    Args:
        function: the qualified name of the function that holds it.
    Raises: Doubt, when it is not found where it should be.
    """
    holder = _innermost(tree, line)
    if holder is None or holder.name != function.rpartition(".")[2]:
        raise Doubt("the line is not in that function")
    for block in _blocks(holder):
        for number, statement in enumerate(block):
            if statement.lineno <= line <= _end_of_head(statement):
                return Place(holder, block, number)
    raise Doubt("no simple statement on the line")


def last_line(node: ast.stmt) -> int:
    """The number of the last line of a statement."""
    return node.end_lineno or node.lineno


def scope(function: Function) -> Iterator[ast.AST]:
    """All nodes of a function, those of functions inside it too."""
    for statement in function.body:
        yield from ast.walk(statement)


def _innermost(tree: ast.Module, line: int) -> Function | None:
    found: Function | None = None
    for node in ast.walk(tree):
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)) and node.body[0].lineno <= line <= last_line(node):
            found = node if found is None or node.lineno >= found.lineno else found
    return found


def _end_of_head(statement: ast.stmt) -> int:
    """The last line that is the statement's own; 0 for one with blocks inside, but for a loop."""
    if isinstance(statement, ast.For) and statement.body[0].lineno > (statement.iter.end_lineno or 0):
        return statement.iter.end_lineno or 0
    return last_line(statement) if not list(_inner_blocks(statement)) else 0


def _blocks(function: Function) -> Iterator[list[ast.stmt]]:
    """All blocks of a function, but not of functions and classes inside it."""
    waiting = [function.body]
    while waiting:
        block = waiting.pop()
        yield block
        for statement in block:
            if not isinstance(statement, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
                waiting += _inner_blocks(statement)


def _inner_blocks(statement: ast.stmt) -> Iterator[list[ast.stmt]]:
    for name in ("body", "orelse", "finalbody"):
        block = getattr(statement, name, None)
        if isinstance(block, list) and block:
            yield block
    for part in (*getattr(statement, "handlers", ()), *getattr(statement, "cases", ())):
        yield part.body
