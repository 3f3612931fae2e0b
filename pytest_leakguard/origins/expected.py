"""Whether a test asked for the error that a call is about to raise."""

from __future__ import annotations

import ast
import linecache
from collections.abc import Iterator
from functools import lru_cache
from types import FrameType

from pytest_leakguard.origins import frames

_ASKS = frozenset({"raises", "assertRaises", "assertRaisesRegex"})


def is_expected(frame: FrameType | None) -> bool:
    """Whether a frame runs inside ``with pytest.raises(...)``, ``assertRaises(...)`` or a function form of these.

    Told from the source: what is between a ``with`` and its end leaves no other trace.
    """
    for _ in range(frames.DEPTH):
        if frame is None:
            return False
        code = frame.f_code
        where = frames.region(code.co_filename)
        if where == "project":
            if any(first <= frame.f_lineno <= last for first, last in _blocks(code.co_filename)):
                return True
        elif code.co_name in _ASKS:
            return True
        frame = frame.f_back
    return False


@lru_cache(maxsize=256)
def _blocks(filename: str) -> tuple[tuple[int, int], ...]:
    """First and last line of each block in a file that asks for an error."""
    try:
        return tuple(_find(ast.parse("".join(linecache.getlines(filename)))))
    except (SyntaxError, ValueError):
        return ()


def _find(tree: ast.AST) -> Iterator[tuple[int, int]]:
    for node in ast.walk(tree):
        if isinstance(node, ast.With) and any(_asks(item.context_expr) for item in node.items):
            yield node.body[0].lineno, node.end_lineno or node.lineno


def _asks(expression: ast.expr) -> bool:
    if not isinstance(expression, ast.Call):
        return False
    function = expression.func
    name = function.attr if isinstance(function, ast.Attribute) else getattr(function, "id", "")
    return name in _ASKS
