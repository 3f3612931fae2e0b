"""Files, sockets and memory maps: a ``with`` block around what uses them."""

from __future__ import annotations

import ast

from pytest_leakguard.remedy.block import Doubt, last_line
from pytest_leakguard.remedy.case import Case
from pytest_leakguard.remedy.edit import Text, try_statement, with_statement
from pytest_leakguard.remedy.uses import gives_a_value, names_in, range_of, reads_at_once

_ACQUIRED_BY = {
    "open": {"open", "io.open", "codecs.open", "gzip.open", "bz2.open", "lzma.open", "tarfile.open"},
    "socket.__new__": {"socket.socket", "socket.create_connection", "socket.create_server"},
    "mmap.__new__": {"mmap.mmap"},
}
"""Event of the acquisition -> what the source may call; all are context managers that give themselves."""

_FREE_NAMES = ("file", "stream", "opened")


def closed(case: Case) -> Text:
    """The text with a ``with`` block, from the acquisition to the last statement that needs it. Raises Doubt."""
    event = case.request.event
    call = case.call(_ACQUIRED_BY.get(event, set()))
    name, source = case.bound(call), case.text.of(call)
    if name:
        count = range_of(case.place, name, gives=case.gives, passes=case.passes)
        if not count:
            return case.replaced(0, try_statement(case.text, case.place, 0, [f"{name}.close()"]))
        return case.replaced(count, with_statement(case.text, case.place, f"with {source} as {name}", count))
    statement = case.place.statement
    if case.gives and isinstance(statement, ast.Return) and statement.value is call:
        name, indent = _free_name(case), case.text.indent(statement)
        lines = [*f"{indent}with {source} as {name}:".split("\n"), f"{indent}    yield {name}"]
        return case.text.replaced(statement.lineno, last_line(statement), lines)
    if event != "open" or case.gives or case.request.verdict != "unclosed":
        raise Doubt("it is not bound to a name")
    if isinstance(statement, ast.For):
        return _looped(case, statement, call, source)
    return _named(case, call, source)


def _named(case: Case, call: ast.Call, source: str) -> Text:
    """``data = open(path).read()``, ``return json.load(open(path))``: the file gets a name and a ``with``."""
    statement, text = case.place.statement, case.text
    indent, line = text.indent(statement), text.lines[statement.lineno - 1].encode()
    text.after(statement)
    if statement.lineno != last_line(statement):
        raise Doubt("more than one line")
    if isinstance(statement, ast.Expr) and statement.value is call:
        return text.replaced(statement.lineno, statement.lineno, [f"{indent}{source}.close(){text.after(statement)}"])
    _refuse_other_order(statement, call)
    if not (gives_a_value(call, statement) or reads_at_once(call, statement)):
        raise Doubt("the value may read later")
    name = _free_name(case)
    changed = (line[: call.col_offset] + name.encode() + line[call.end_col_offset :]).decode()
    return text.replaced(statement.lineno, statement.lineno, [f"{indent}with {source} as {name}:", f"    {changed}"])


def _looped(case: Case, loop: ast.For, call: ast.Call, source: str) -> Text:
    """``for line in open(path):`` reads while it loops: the ``with`` goes around all of it."""
    if call not in ast.walk(loop.iter) or loop.lineno != loop.iter.end_lineno:
        raise Doubt("not in the head of the loop, or that is more than one line")
    _refuse_other_order(loop.iter, call)
    name, indent = _free_name(case), case.text.indent(loop)
    head = case.text.lines[loop.lineno - 1].encode()
    changed = (head[: call.col_offset] + name.encode() + head[call.end_col_offset :]).decode()
    lines = [f"{indent}with {source} as {name}:", f"    {changed}", *case.text.inside([loop])[1:]]
    return case.text.replaced(loop.lineno, last_line(loop), lines)


def _refuse_other_order(statement: ast.AST, call: ast.Call) -> None:
    """What was evaluated before the call must not come after it now, and the call must surely be made."""
    inside = {id(node) for node in ast.walk(call)}
    around = [node for node in ast.walk(statement) if call in ast.walk(node)]
    for node in ast.walk(statement):
        is_other = id(node) not in inside and node not in around
        if is_other and isinstance(node, (ast.Call, ast.Await)):
            raise Doubt("something else may be evaluated before it")
    may_not_run = (ast.Lambda, ast.IfExp, ast.BoolOp, ast.ListComp, ast.SetComp, ast.DictComp, ast.GeneratorExp)
    if any(isinstance(node, may_not_run) for node in around):
        raise Doubt("it may not be evaluated, or more than once")


def _free_name(case: Case) -> str:
    function = case.place.function
    used = names_in(function) | {node.arg for node in ast.walk(function) if isinstance(node, ast.arg)}
    name = next((name for name in _FREE_NAMES if name not in used), "")
    if not name:
        raise Doubt("no name is free")
    return name
