"""What the source of a file says about its functions and lines; line numbers alone don't tell a body from a header."""

from __future__ import annotations

import ast
import linecache
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import lru_cache
from types import CodeType

Function = ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda


@dataclass(slots=True)
class Source:
    """A parsed file.

    Attributes:
        functions: (name, first line) -> qualified name and node; the first line is that of the first decorator.
    """

    functions: dict[tuple[str, int], tuple[str, ast.AST]] = field(default_factory=dict)


@lru_cache(maxsize=512)
def source_of(filename: str) -> Source:
    """The source of a file; empty when it can't be read or parsed."""
    found = Source()
    try:
        tree = ast.parse("".join(linecache.getlines(filename)))
    except (SyntaxError, ValueError):
        return found
    _collect(tree, "", found)
    return found


def _collect(node: ast.AST, prefix: str, found: Source) -> None:
    for child in ast.iter_child_nodes(node):
        if isinstance(child, (ast.FunctionDef, ast.AsyncFunctionDef)):
            name = prefix + child.name
            first = min([child.lineno, *(decorator.lineno for decorator in child.decorator_list)])
            found.functions[child.name, first] = (name, child)
            _collect(child, f"{name}.<locals>.", found)
        elif isinstance(child, ast.ClassDef):
            _collect(child, f"{prefix}{child.name}.", found)
        elif isinstance(child, ast.Lambda):
            found.functions["<lambda>", child.lineno] = (f"{prefix}<lambda>", child)
            _collect(child, f"{prefix}<lambda>.<locals>.", found)
        else:
            _collect(child, prefix, found)


def qualname_of(code: CodeType) -> str:
    """The qualified name; before 3.11 code objects don't keep it, the source tells it."""
    known = getattr(code, "co_qualname", None)
    if known is not None:
        return str(known)
    entry = source_of(code.co_filename).functions.get((code.co_name, code.co_firstlineno))
    return entry[0] if entry is not None else code.co_name


def function_at(filename: str, line: int) -> tuple[str, ast.AST] | None:
    """The qualified name and the node of the innermost function that holds a line of a file."""
    found: tuple[str, ast.AST] | None = None
    for (_, start), (name, node) in source_of(filename).functions.items():  # an inner one comes after its outer one
        if start <= line <= (getattr(node, "end_lineno", None) or start):
            found = name, node
    return found


def own_nodes(function: ast.AST) -> Iterator[ast.AST]:
    """The nodes of a function, without those of functions and classes inside it."""
    for child in ast.iter_child_nodes(function):
        if not isinstance(child, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef, ast.Lambda)):
            yield child
            yield from own_nodes(child)


def node_of(code: CodeType) -> ast.AST | None:
    """The function's node in the parsed file, if it is found there."""
    entry = source_of(code.co_filename).functions.get((code.co_name, code.co_firstlineno))
    return entry[1] if entry is not None else None
