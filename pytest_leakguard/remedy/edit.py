"""Lines of a file, with a few of them replaced; and the difference as a patch."""

from __future__ import annotations

import ast
import difflib
from collections.abc import Sequence
from dataclasses import dataclass

from pytest_leakguard.remedy.block import Doubt, Place, last_line


@dataclass(frozen=True, slots=True)
class Text:
    """The source of a file.

    Attributes:
        lines: without their ends.
    """

    lines: tuple[str, ...]

    def of(self, node: ast.expr) -> str:
        """The source of an expression, as it is written."""
        return ast.get_source_segment("\n".join(self.lines), node) or ""

    def indent(self, statement: ast.stmt) -> str:
        """The white space before a statement that is first on its line. Raises Doubt."""
        before = self.lines[statement.lineno - 1][: statement.col_offset]
        if before.strip() or "\t" in before:
            raise Doubt("it shares its line, or tabs indent it")
        return before

    def after(self, statement: ast.stmt) -> str:
        """What follows a statement on its last line: a comment, or nothing. Raises Doubt."""
        line = self.lines[last_line(statement) - 1].encode()
        rest = line[statement.end_col_offset :].decode().strip()
        if rest and not rest.startswith("#"):
            raise Doubt("another statement follows on its line")
        return f"  {rest}" if rest else ""

    def inside(self, statements: Sequence[ast.stmt], depth: int = 1) -> list[str]:
        """Statements with all between them, moved in by so many levels. Raises Doubt."""
        if not statements:
            return []
        for statement in statements:
            for node in ast.walk(statement):
                is_text = isinstance(node, (ast.JoinedStr, ast.Constant))
                if is_text and getattr(node, "lineno", 0) != getattr(node, "end_lineno", 0):
                    raise Doubt("a text of several lines would change")
        first, last = statements[0].lineno, last_line(statements[-1])
        self.after(statements[-1])
        for decorated in getattr(statements[0], "decorator_list", ()):
            first = min(first, decorated.lineno)
        lines = self.lines[first - 1 : last]
        if any("\t" in line for line in lines):
            raise Doubt("tabs indent it")
        return [f"{'    ' * depth}{line}" if line.strip() else line for line in lines]

    def between(self, statement: ast.stmt, following: Sequence[ast.stmt]) -> list[str]:
        """Lines between a statement and what follows: comments, and nothing."""
        if not following:
            return []
        first = min([following[0].lineno, *(one.lineno for one in getattr(following[0], "decorator_list", ()))])
        return [f"    {line}" if line.strip() else line for line in self.lines[last_line(statement) : first - 1]]

    def replaced(self, first: int, last: int, lines: Sequence[str]) -> Text:
        """The same with lines `first` to `last`, counted from 1, replaced."""
        return Text((*self.lines[: first - 1], *lines, *self.lines[last:]))


def with_statement(text: Text, place: Place, header: str, count: int) -> list[str]:
    """A ``with`` block around so many of the following statements, in the place of the statement itself."""
    body = place.following[:count]
    indent = text.indent(place.statement)
    return [
        *f"{indent}{header}:{text.after(place.statement)}".split("\n"),
        *text.between(place.statement, body),
        *text.inside(body),
    ]


def try_statement(text: Text, place: Place, count: int, ending: Sequence[str]) -> list[str]:
    """The statement as it is, then ``try`` around so many of the following ones, with an ending on every path."""
    indent = text.indent(place.statement)
    text.after(place.statement)
    kept = text.lines[place.statement.lineno - 1 : last_line(place.statement)]
    body = place.following[:count]
    if not body:
        return [*kept, *(f"{indent}{line}" for line in ending)]
    return [
        *kept,
        f"{indent}try:",
        *text.between(place.statement, body),
        *text.inside(body),
        f"{indent}finally:",
        *(f"{indent}    {line}" for line in ending),
    ]


def unified(file: str, before: Text, after: Text) -> str:
    """A patch that `git apply` and `patch -p1` take."""
    rows = difflib.unified_diff(before.lines, after.lines, f"a/{file}", f"b/{file}", lineterm="")
    return "".join(f"{row}\n" for row in rows)
