"""The `with`, `except` and `finally` around an instruction: what has to clean up when it fails."""

from __future__ import annotations

import ast
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from types import CodeType

from pytest_leakguard.faults.entered import entered
from pytest_leakguard.faults.source import node_of

_TEXT_WIDTH = 60


@dataclass(frozen=True, slots=True, kw_only=True)
class Cleanup:
    """One of them.

    Attributes:
        text: as it is written, in short: ``with open(path)``, ``except OSError``, ``finally``.
        line: where it stands.
        first, last: the lines that run when a handler or a ``finally`` does.
        exit: the instruction at which the exit of a ``with`` begins after an error.
        is_handler: it is an ``except``, which may let an error pass.
        is_entered: false for a ``with`` whose manager was still being made or entered: it has no exit to call.
    """

    text: str
    line: int
    first: int = 0
    last: int = 0
    exit: int | None = None
    is_handler: bool = False
    is_entered: bool = True


def around(code: CodeType, line: int, offset: int) -> list[Cleanup]:
    """Those that an instruction of a function is inside of, innermost first; none when its source is not there.

    Args:
        line: of that instruction.
    """
    node = node_of(code)
    if not isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
        return []
    return list(_around(node.body, line, code, offset))


def _around(body: Sequence[ast.stmt], line: int, code: CodeType, offset: int) -> Iterator[Cleanup]:
    for statement in body:
        if not _is_in(statement, line) or isinstance(statement, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
            continue
        for block in blocks_of(statement):
            yield from _around(block, line, code, offset)
        if isinstance(statement, (ast.With, ast.AsyncWith)):
            yield from _of_with(statement, code, offset)
        elif is_try(statement):
            yield from _of_try(statement, line)


def is_try(statement: ast.AST) -> bool:
    """Whether it is a `try`, with ``except`` or ``except*``."""
    return type(statement).__name__ in ("Try", "TryStar")


def blocks_of(statement: ast.stmt) -> Iterator[list[ast.stmt]]:
    """The blocks of a compound statement."""
    for name in ("body", "orelse", "finalbody"):
        block = getattr(statement, name, None)
        if isinstance(block, list):
            yield block
    for name in ("handlers", "cases"):
        for part in getattr(statement, name, ()):
            yield part.body


def _of_with(statement: ast.With | ast.AsyncWith, code: CodeType, offset: int) -> Iterator[Cleanup]:
    word = "async with" if isinstance(statement, ast.AsyncWith) else "with"
    managers = [item.context_expr for item in statement.items]
    last = max(manager.end_lineno or manager.lineno for manager in managers)
    found = entered(code, offset, range(statement.lineno, last + 1))
    exits: list[int | None] = [*found.exits, *([None] if found.enters else [])]
    for manager, exit in [*zip(managers, exits, strict=False)][::-1]:
        text = _short(f"{word} {ast.unparse(manager)}")
        yield Cleanup(text=text, line=manager.lineno, exit=exit, is_entered=exit is not None)


def _of_try(statement: ast.stmt, line: int) -> Iterator[Cleanup]:
    if any(_is_in(one, line) for one in statement.body):  # type: ignore[attr-defined]
        for handler in statement.handlers:  # type: ignore[attr-defined]
            caught = f" {ast.unparse(handler.type)}" if handler.type is not None else ""
            first, last = handler.body[0], handler.body[-1]
            yield Cleanup(
                text=_short(f"except{caught}"), line=handler.lineno, is_handler=True,
                first=first.lineno, last=last.end_lineno or last.lineno,
            )  # fmt: skip
    final = statement.finalbody  # type: ignore[attr-defined]
    if final and not any(_is_in(one, line) for one in final):
        last = final[-1].end_lineno or final[-1].lineno
        yield Cleanup(text="finally", line=final[0].lineno, first=final[0].lineno, last=last)


def _is_in(statement: ast.stmt, line: int) -> bool:
    return statement.lineno <= line <= (statement.end_lineno or statement.lineno)


def _short(text: str) -> str:
    line = " ".join(text.split())
    return line if len(line) <= _TEXT_WIDTH else line[: _TEXT_WIDTH - 3] + "..."
