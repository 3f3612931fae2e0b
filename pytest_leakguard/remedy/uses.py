"""What a function does with a name after it was bound: only what surely ends with the function can be closed there."""

from __future__ import annotations

import ast
from collections.abc import Collection, Iterable, Sequence

from pytest_leakguard.remedy.block import Doubt, Function, Place, scope

_GIVE_VALUES = frozenset(
    {"read", "readline", "readlines", "write", "recv", "fileno", "tell", "getsockname", "getvalue"}
)
"""Methods whose result does not need the object any more."""

_READ_AT_ONCE = frozenset({"load", "safe_load", "list", "sorted", "sum", "len", "str", "bytes", "tuple", "set", "dict"})
"""Functions that are through with an argument when they return: ``json.load(file)``, ``list(file)``."""

_LATER = (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda, ast.ClassDef, ast.GeneratorExp)


def range_of(place: Place, name: str, *, gives: bool = False, passes: bool = False, to_the_end: bool = False) -> int:
    """How many of the statements that follow need the name, or something made of it.

    Args:
        gives: the function is a fixture that gives the object to tests, by ``return`` or ``yield``.
        passes: the object may be handed to any call: nothing kept it, or nothing in it can be kept.
        to_the_end: all statements of the block count as needing it.
    Raises: Doubt, when the object may outlive them.
    """
    following = place.following
    _refuse_other_uses(place, name)
    tainted = {name}
    last = len(following) if to_the_end else 0
    for number, statement in enumerate(following):
        if not names_in(statement) & tainted:
            continue
        last = max(last, number + 1)
        _refuse_escapes(statement, tainted, name, gives=gives, passes=passes)
        tainted |= _made_of(statement, tainted)
    rest = {used for statement in following[:last] for used in _bound(statement)} if not place.is_outermost else set()
    _refuse_outside(place, following[:last], {name, *rest, *tainted})
    return last


def _refuse_other_uses(place: Place, name: str) -> None:
    """Bound twice, deleted, or shared with another scope: it may be anything."""
    bound = 0
    for node in scope(place.function):
        if isinstance(node, (ast.Global, ast.Nonlocal)) and name in node.names:
            raise Doubt("the name is shared")
        if isinstance(node, ast.Name) and node.id == name and not isinstance(node.ctx, ast.Load):
            bound += 1
        if isinstance(node, _LATER) and name in names_in(node):
            raise Doubt("something that runs later uses it")
    if bound != 1:
        raise Doubt("it is bound more than once")


def _refuse_escapes(statement: ast.stmt, tainted: Collection[str], name: str, *, gives: bool, passes: bool) -> None:
    parents = parents_in(statement)
    for node in ast.walk(statement):
        if not (isinstance(node, ast.Name) and node.id in tainted and isinstance(node.ctx, ast.Load)):
            continue
        if node.id == name and _is_called_on(node, parents):
            if _is_given(node, parents) and not _gives_a_value(node, parents):
                raise Doubt("what it gives may need it")
        elif node.id == name and _is_harmless(node, parents):
            continue
        elif _is_given(node, parents):
            if not (gives and isinstance(parents.get(node), (ast.Return, ast.Yield))):
                raise Doubt("it goes out of the function")
        elif node.id == name and not _is_read_at_once(node, parents) and not (passes and _is_argument(node, parents)):
            raise Doubt("it may be kept by what it is handed to")


def _is_called_on(node: ast.expr, parents: dict[ast.AST, ast.AST]) -> bool:
    """``name.method(...)``"""
    attribute = parents.get(node)
    call = parents.get(attribute) if isinstance(attribute, ast.Attribute) else None
    return isinstance(call, ast.Call) and call.func is attribute


def _gives_a_value(node: ast.expr, parents: dict[ast.AST, ast.AST]) -> bool:
    attribute = parents[node]
    return isinstance(attribute, ast.Attribute) and attribute.attr in _GIVE_VALUES


def _is_harmless(node: ast.Name, parents: dict[ast.AST, ast.AST]) -> bool:
    """Looked at, or gone through: ``for line in name``, ``name.closed == False``, ``assert name``."""
    parent = parents.get(node)
    if isinstance(parent, ast.Attribute):
        parent = parents.get(parent)
    elif isinstance(parent, (ast.For, ast.comprehension)):
        return parent.iter is node
    return isinstance(parent, (ast.Compare, ast.Assert, ast.FormattedValue))


def _is_argument(node: ast.Name, parents: dict[ast.AST, ast.AST]) -> bool:
    parent = parents.get(node)
    if isinstance(parent, ast.keyword):
        parent = parents.get(parent)
    return isinstance(parent, (ast.Call, ast.BinOp, ast.JoinedStr))


def _is_read_at_once(node: ast.expr, parents: dict[ast.AST, ast.AST]) -> bool:
    call = parents.get(node)
    return isinstance(call, ast.Call) and node in call.args and callee(call) in _READ_AT_ONCE


def _is_given(node: ast.Name, parents: dict[ast.AST, ast.AST]) -> bool:
    """Whether it is part of what a ``return`` or a ``yield`` gives, other than read at once."""
    current: ast.AST | None = node
    while current is not None:
        above = parents.get(current)
        if isinstance(above, ast.Call) and current in above.args and callee(above) in _READ_AT_ONCE:
            return False
        if isinstance(above, (ast.Return, ast.Yield, ast.YieldFrom)):
            return True
        current = above
    return False


def callee(call: ast.Call) -> str:
    """The last name of what is called: ``open`` for ``path.open()``; empty when it has none."""
    if isinstance(call.func, ast.Attribute):
        return call.func.attr
    return call.func.id if isinstance(call.func, ast.Name) else ""


def _made_of(statement: ast.stmt, tainted: Collection[str]) -> set[str]:
    """Names that a statement binds to something that may need the object."""
    if isinstance(statement, (ast.Assign, ast.AnnAssign, ast.AugAssign)):
        value = statement.value
        if isinstance(value, ast.Call) and isinstance(value.func, ast.Attribute) and value.func.attr in _GIVE_VALUES:
            return set()
        if isinstance(value, ast.Call) and callee(value) in _READ_AT_ONCE:
            return set()
        return _bound(statement) if value is not None and names_in(value) & set(tainted) else set()
    return _bound(statement)


def _refuse_outside(place: Place, inside: Sequence[ast.stmt], names: Iterable[str]) -> None:
    """Nothing outside of the range may use the object or, from a block inside another, what was made in it."""
    ours = {id(node) for statement in (place.statement, *inside) for node in ast.walk(statement)}
    wanted = set(names)
    for node in scope(place.function):
        if isinstance(node, ast.Name) and node.id in wanted and id(node) not in ours and isinstance(node.ctx, ast.Load):
            raise Doubt("it is used elsewhere in the function")


def names_in(node: ast.AST) -> set[str]:
    """All plain names in a piece of source."""
    return {child.id for child in ast.walk(node) if isinstance(child, ast.Name)}


def _bound(node: ast.AST) -> set[str]:
    return {child.id for child in ast.walk(node) if isinstance(child, ast.Name) and not isinstance(child.ctx, ast.Load)}


def gives_a_value(node: ast.expr, statement: ast.stmt) -> bool:
    """Whether the expression is asked for something that does not need it any more: ``open(path).read()``."""
    parents = parents_in(statement)
    return _is_called_on(node, parents) and _gives_a_value(node, parents)


def reads_at_once(node: ast.expr, statement: ast.stmt) -> bool:
    """Whether the expression is handed to what is through with it at once: ``json.load(open(path))``."""
    return _is_read_at_once(node, parents_in(statement))


def parents_in(node: ast.AST) -> dict[ast.AST, ast.AST]:
    """Each node inside -> the one around it."""
    return {child: parent for parent in ast.walk(node) for child in ast.iter_child_nodes(parent)}


def is_fixture(function: Function) -> bool:
    """Whether a decorator makes it a fixture of pytest."""
    for decorator in function.decorator_list:
        target = decorator.func if isinstance(decorator, ast.Call) else decorator
        if (target.attr if isinstance(target, ast.Attribute) else getattr(target, "id", "")) == "fixture":
            return True
    return False
