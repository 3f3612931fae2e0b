"""What a call calls, by its qualified name: a `Timer` of the project is none of the standard library."""

from __future__ import annotations

import ast


def qualified(tree: ast.Module, call: ast.Call) -> str:
    """``socket.create_server``, ``open``; empty when the name leads to nothing that was imported or built in.

    Args:
        tree: of the file; an import anywhere in it counts.
    """
    first, _, rest = _dotted(call.func).partition(".")
    imported = _imported(tree)
    if first in imported:
        return f"{imported[first]}.{rest}" if rest else imported[first]
    return first if first == "open" and not rest and not _is_bound(tree, first) else ""


def opens_a_path(call: ast.Call) -> bool:
    """Whether it reads like ``path.open("w", encoding="utf-8")``: a method with a mode, and nothing else."""
    if not isinstance(call.func, ast.Attribute) or call.func.attr != "open" or len(call.args) > 1:
        return False
    modes = [one.value for one in call.args if isinstance(one, ast.Constant) and isinstance(one.value, str)]
    known = {"mode", "buffering", "encoding", "errors", "newline"}
    return (
        len(modes) == len(call.args)
        and all(set(mode) <= set("rwaxbt+") for mode in modes)
        and all(word.arg in known for word in call.keywords)
    )


def _dotted(node: ast.expr) -> str:
    if isinstance(node, ast.Name):
        return node.id
    if isinstance(node, ast.Attribute):
        before = _dotted(node.value)
        return f"{before}.{node.attr}" if before else ""
    return ""


def _imported(tree: ast.Module) -> dict[str, str]:
    """Name in the file -> what it was imported as."""
    found: dict[str, str] = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for one in node.names:
                top = one.name.partition(".")[0]
                found[one.asname or top] = one.name if one.asname else top
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            found.update({one.asname or one.name: f"{node.module}.{one.name}" for one in node.names})
    return found


def _is_bound(tree: ast.Module, name: str) -> bool:
    """Whether the file gives the name to something of its own; a method of that name is reached by its object only."""
    methods = {id(one) for node in ast.walk(tree) if isinstance(node, ast.ClassDef) for one in node.body}
    for node in ast.walk(tree):
        if isinstance(node, ast.Name) and node.id == name and not isinstance(node.ctx, ast.Load):
            return True
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)) and node.name == name and id(node) not in methods:
            return True
        if isinstance(node, ast.arg) and node.arg == name:
            return True
    return False
