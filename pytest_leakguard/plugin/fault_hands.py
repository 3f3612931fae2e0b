"""Whether a resource was in the hands of the test itself when a fault came.

A test that fails need not clean up: it closes what it got below the line that
failed, and no more is asked of it. Only a resource that the code under test still
had, or was about to release, shows an error path of that code.
"""

from __future__ import annotations

import ast
from collections.abc import Callable, Iterator, Sequence
from types import CodeType, FrameType

from pytest_leakguard.faults.cleanups import blocks_of, is_try
from pytest_leakguard.faults.names import is_release
from pytest_leakguard.faults.source import node_of, own_nodes
from pytest_leakguard.origins import frames


def is_in_hands(acquired: frames.Stack, now: Sequence[FrameType], is_target: Callable[[str], bool]) -> bool:
    """Whether the call that acquired has given the resource out to a test, which goes on without a guard for it.

    Args:
        acquired: the stack of the acquisition, innermost first.
        now: the frames at the moment of the fault, innermost first.
    """
    at = next((index for index, frame in enumerate(now) if _is_test(frame.f_code, is_target)), None)
    if at is None or (at and is_release(now[at - 1].f_code.co_name)):
        return False  # nobody's test, or one that is just having it released
    test = now[at]
    first = next((frames.line_of(code, lasti) for code, lasti in acquired if code is test.f_code), None)
    if first is None:
        # other code of the tests, such as a `setUp`, whose `tearDown` unittest leaves out after an interrupt
        return not any(is_target(code.co_filename) for code, _ in acquired)
    if first == test.f_lineno:
        return False
    function = node_of(test.f_code)
    return function is not None and not _is_guarded(function, first, test.f_lineno)


def _is_test(code: CodeType, is_target: Callable[[str], bool]) -> bool:
    return frames.region(code.co_filename) == "project" and not is_target(code.co_filename)


def _is_guarded(function: ast.AST, first: int, now: int) -> bool:
    """Whether the function releases, around the line where it is now, what it got at the first one."""
    got = _statement_at(function, first)
    if got is None or isinstance(got, (ast.With, ast.AsyncWith)):
        return True
    names = _assigned(got) or _names(got)
    return any(names & _names(part) for part in _guards(function, now))


def _guards(function: ast.AST, line: int) -> Iterator[ast.AST]:
    """What releases when that line fails: managers of a `with`, bodies of handlers and of `finally`."""
    for node in own_nodes(function):
        if not isinstance(node, ast.stmt) or not any(_holds(one, line) for one in getattr(node, "body", ())):
            continue
        if isinstance(node, (ast.With, ast.AsyncWith)):
            yield from (item.context_expr for item in node.items)
        elif is_try(node):
            _, *others = blocks_of(node)
            yield from (one for block in others for one in block)


def _statement_at(function: ast.AST, line: int) -> ast.stmt | None:
    """The innermost statement that holds a line."""
    found: ast.stmt | None = None
    for node in own_nodes(function):
        if isinstance(node, ast.stmt) and _holds(node, line) and (found is None or node.lineno >= found.lineno):
            found = node
    return found


def _holds(statement: ast.stmt, line: int) -> bool:
    return statement.lineno <= line <= (statement.end_lineno or statement.lineno)


def _assigned(statement: ast.stmt) -> set[str]:
    nodes = (node for node in ast.walk(statement) if isinstance(node, ast.Name))
    return {node.id for node in nodes if isinstance(node.ctx, ast.Store)}


def _names(node: ast.AST) -> set[str]:
    return {one.id for one in ast.walk(node) if isinstance(one, ast.Name)}
