"""Temporary files and folders: made by what removes them, or removed at the end of the block."""

from __future__ import annotations

import ast

from pytest_leakguard.remedy.block import Doubt
from pytest_leakguard.remedy.case import Case
from pytest_leakguard.remedy.edit import Text, try_statement, with_statement
from pytest_leakguard.remedy.uses import callee, range_of

_REMOVERS = frozenset({"rmtree", "rmdir", "unlink", "remove", "removedirs", "cleanup"})


def removed(case: Case) -> Text:
    """A folder is made by what removes it; a file is removed at the end of the block."""
    statement, text = case.place.statement, case.text
    call = case.call({"tempfile.mkdtemp", "tempfile.mkstemp", "tempfile.NamedTemporaryFile"})
    if not (isinstance(call.func, ast.Attribute) and isinstance(call.func.value, ast.Name)):
        raise Doubt("it is not known whose function it is")
    if not case.gives and not case.place.function.name.startswith("test"):
        raise Doubt("its path may be used outside of the function")
    if any(callee(node) in _REMOVERS for node in ast.walk(case.place.function) if isinstance(node, ast.Call)):
        raise Doubt("something removes it on some path")
    source = text.of(call)
    if callee(call) == "mkdtemp":
        name = case.bound(call)
        if not name:
            raise Doubt("it is not bound to a name")
        count = range_of(case.place, name, gives=case.gives, passes=True, to_the_end=True)
        if not count:
            raise Doubt("nothing uses it")
        header = f"with {source.replace('.mkdtemp(', '.TemporaryDirectory(', 1)} as {name}"
        return case.replaced(count, with_statement(text, case.place, header, count))
    if not _imports(case.tree, "os"):
        raise Doubt("os is not imported")
    if callee(call) == "mkstemp":
        target = statement.targets[0] if isinstance(statement, ast.Assign) and statement.value is call else None
        if not (isinstance(target, ast.Tuple) and len(target.elts) == 2 and isinstance(target.elts[1], ast.Name)):
            raise Doubt("it is not bound to two names")
        path = name = target.elts[1].id
    else:
        name = case.bound(call)
        path = f"{name}.name"
        if not name or not any(word.arg == "delete" for word in call.keywords):
            raise Doubt("it is not bound to a name, or removes itself")
    count = range_of(case.place, name, gives=case.gives, passes=True, to_the_end=True)
    return case.replaced(count, try_statement(text, case.place, count, [f"os.unlink({path})"]))


def _imports(tree: ast.Module, module: str) -> bool:
    return any(
        isinstance(node, ast.Import) and any(one.name == module and one.asname is None for one in node.names)
        for node in tree.body
    )
