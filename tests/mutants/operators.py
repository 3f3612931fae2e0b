"""Small wrong changes to a module: each operator yields one mutant after the other, as a syntax tree."""

from __future__ import annotations

import ast
import copy
from collections.abc import Iterator
from dataclasses import dataclass

_COMPARE = {
    ast.Eq: ast.NotEq, ast.NotEq: ast.Eq, ast.Lt: ast.LtE, ast.LtE: ast.Lt, ast.Gt: ast.GtE, ast.GtE: ast.Gt,
    ast.Is: ast.IsNot, ast.IsNot: ast.Is, ast.In: ast.NotIn, ast.NotIn: ast.In,
}  # fmt: skip
_BINARY = {
    ast.Add: ast.Sub, ast.Sub: ast.Add, ast.Mult: ast.Div, ast.Div: ast.Mult, ast.BitAnd: ast.BitOr,
    ast.BitOr: ast.BitAnd, ast.FloorDiv: ast.Mult, ast.Mod: ast.Mult,
}  # fmt: skip


@dataclass(frozen=True)
class Mutant:
    """One wrong change.

    Attributes:
        where: ``line: what it was -> what it is``; names the mutant in lists.
        tree: the whole module with that change.
    """

    line: int
    was: str
    now: str
    tree: ast.Module

    @property
    def where(self) -> str:
        return f"{self.line}: {self.was} -> {self.now}"


def mutants(source: str) -> Iterator[Mutant]:
    """All of them, in the order of the text. Annotations, docstrings, imports and messages of errors are left alone."""
    tree = ast.parse(source)
    total = len(_sites(tree))
    for index in range(total):
        choices = len(_changes(_sites(tree)[index][0]))
        for choice in range(choices):
            changed = copy.deepcopy(tree)
            node, parent, field, place = _sites(changed)[index]
            was = _text(node)
            new = _changes(node)[choice]
            ast.copy_location(new, node)
            if place is None:
                setattr(parent, field, new)
            else:
                getattr(parent, field)[place] = new
            ast.fix_missing_locations(changed)
            yield Mutant(node.lineno, was, _text(new), changed)


Site = tuple[ast.AST, ast.AST, str, "int | None"]
"""A node, its parent, the parent's field, and the place in it where that is a list."""


def _sites(tree: ast.AST) -> list[Site]:
    found: list[Site] = []

    def visit(parent: ast.AST) -> None:
        for field, value in ast.iter_fields(parent):
            if field in ("annotation", "returns", "decorator_list", "bases"):
                continue
            for place, node in enumerate(value) if isinstance(value, list) else [(None, value)]:
                if not isinstance(node, ast.AST) or _is_left_alone(node, parent):
                    continue
                if hasattr(node, "lineno") and _changes(node):
                    found.append((node, parent, field, place))
                visit(node)

    visit(tree)
    return found


def _is_left_alone(node: ast.AST, parent: ast.AST) -> bool:
    if isinstance(node, ast.Import | ast.ImportFrom | ast.JoinedStr | ast.Raise):
        return True
    if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant):
        return True  # a docstring, or one of an attribute
    if isinstance(node, ast.Assign) and isinstance(node.value, ast.Subscript) and isinstance(parent, ast.Module):
        return True  # a type alias
    return isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test)


def _changes(node: ast.AST) -> list[ast.AST]:
    """What a node may be replaced with."""
    if isinstance(node, ast.Compare) and len(node.ops) == 1:
        other = _COMPARE[type(node.ops[0])]()
        return [ast.Compare(left=node.left, ops=[other], comparators=node.comparators)]
    if isinstance(node, ast.BoolOp):
        other_op = ast.Or() if isinstance(node.op, ast.And) else ast.And()
        return [ast.BoolOp(op=other_op, values=node.values), *node.values]
    if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.Not):
        return [node.operand]
    if isinstance(node, ast.BinOp) and type(node.op) in _BINARY:
        return [ast.BinOp(left=node.left, op=_BINARY[type(node.op)](), right=node.right)]
    if isinstance(node, ast.IfExp):
        return [node.body, node.orelse]
    if isinstance(node, ast.Constant):
        return _other_constants(node.value)
    if isinstance(node, ast.Return) and node.value is not None and not _is_none(node.value):
        return [ast.Return(value=ast.Constant(None))]
    if isinstance(node, ast.Expr) and isinstance(node.value, ast.Call):
        return [ast.Pass()]
    if isinstance(node, ast.AugAssign):
        return [ast.Pass()]
    if isinstance(node, ast.comprehension) and node.ifs:
        return []  # its condition is changed where it stands
    return []


def _other_constants(value: object) -> list[ast.AST]:
    if isinstance(value, bool):
        return [ast.Constant(not value)]
    if isinstance(value, int | float):
        return [ast.Constant(value + 1)]
    if isinstance(value, str):
        return [ast.Constant(f"x{value}x")]
    return []


def _is_none(node: ast.AST) -> bool:
    return isinstance(node, ast.Constant) and node.value is None


def _text(node: ast.AST) -> str:
    text = " ".join(ast.unparse(node).split())
    return text if len(text) <= 70 else f"{text[:67]}..."
