"""Threads: told to stop, where it is plain what they wait for, and joined; executors are shut down."""

from __future__ import annotations

import ast

from pytest_leakguard.remedy.block import Doubt
from pytest_leakguard.remedy.called import qualified
from pytest_leakguard.remedy.case import Case
from pytest_leakguard.remedy.edit import Text, try_statement
from pytest_leakguard.remedy.uses import range_of

_EXECUTORS = ("concurrent.futures.ThreadPoolExecutor", "concurrent.futures.thread.ThreadPoolExecutor")


def joined(case: Case) -> Text:
    """A timer is cancelled, a thread that waits for an event is told by it; then both are joined."""
    if case.request.event == "ThreadPoolExecutor":
        return _shut_down(case)
    statement = case.place.statement
    call = statement.value if isinstance(statement, ast.Expr) else None
    if not (isinstance(call, ast.Call) and isinstance(call.func, ast.Attribute) and call.func.attr == "start"):
        raise Doubt("not started by a statement of its own")
    if not isinstance(call.func.value, ast.Name):
        raise Doubt("it is not bound to a name")
    name = call.func.value.id
    made = _made_before(case, name)
    called = qualified(case.tree, made)
    if called == "threading.Timer":
        ending = [f"{name}.cancel()", f"{name}.join()"]
    elif called == "threading.Thread" and not case.request.running:
        ending = [f"{name}.join()"]
    elif called == "threading.Thread":
        ending = [f"{_stopped_by(case, made)}.set()", f"{name}.join()"]
    else:
        raise Doubt("not a thread of the standard library")
    needed = {line.partition(".")[0] for line in ending}
    count = max(
        (
            n + 1
            for n, one in enumerate(case.place.following)
            if needed & {x.id for x in ast.walk(one) if isinstance(x, ast.Name)}
        ),
        default=0,
    )
    for one in case.place.following[:count]:
        if any(isinstance(node, (ast.Return, ast.Yield)) for node in ast.walk(one)) and not case.gives:
            raise Doubt("it may go out of the function")
        if any(isinstance(node, ast.Attribute) and node.attr == "join" for node in ast.walk(one)):
            raise Doubt("it is joined on some path")
    return case.replaced(count, try_statement(case.text, case.place, count, ending))


def _shut_down(case: Case) -> Text:
    """An executor that a test or a fixture made; it waits for no task, so that none can keep the test from ending."""
    call = case.call(_EXECUTORS)
    name = case.bound(call)
    if not name or not (case.gives or case.place.function.name.startswith("test")):
        raise Doubt("it is not plain where its use ends")
    count = range_of(case.place, name, gives=case.gives, passes=True, to_the_end=True)
    ending = [f"{name}.shutdown(wait=False, cancel_futures=True)"]
    return case.replaced(count, try_statement(case.text, case.place, count, ending))


def _made_before(case: Case, name: str) -> ast.Call:
    """The call whose result a name is bound to, once, before the statement. Raises Doubt."""
    found = []
    for node in ast.walk(case.place.function):
        if isinstance(node, ast.Assign) and any(isinstance(t, ast.Name) and t.id == name for t in node.targets):
            found.append(node.value)
    if len(found) != 1 or not isinstance(found[0], ast.Call):
        raise Doubt("it is not known what was started")
    return found[0]


def _stopped_by(case: Case, made: ast.Call) -> str:
    """The event of the function that the target of a thread waits for. Raises Doubt."""
    function = case.place.function
    events = {
        target.id
        for node in ast.walk(function)
        if isinstance(node, ast.Assign)
        and isinstance(node.value, ast.Call)
        and qualified(case.tree, node.value) == "threading.Event"
        for target in node.targets
        if isinstance(target, ast.Name)
    }
    target = next((word.value for word in made.keywords if word.arg == "target"), None)
    if isinstance(target, ast.Attribute) and target.attr == "wait" and isinstance(target.value, ast.Name):
        waits = {target.value.id}
    elif isinstance(target, ast.Name):
        waits = _waits_for(case, target.id, made)
    else:
        raise Doubt("the target is not known")
    if len(events & waits) != 1:
        raise Doubt("it is not known what stops it")
    return (events & waits).pop()


def _waits_for(case: Case, target: str, made: ast.Call) -> set[str]:
    """Names, as the starting function has them, that the target asks whether they are set."""
    defined = [
        node for node in ast.walk(case.tree) if isinstance(node, ast.FunctionDef) and node.name == target
    ]  # fmt: skip
    if len(defined) != 1:
        raise Doubt("the target is not known")
    asked = {
        node.value.id
        for node in ast.walk(defined[0])
        if isinstance(node, ast.Attribute) and node.attr in ("wait", "is_set") and isinstance(node.value, ast.Name)
    }
    given = next((word.value for word in made.keywords if word.arg == "args"), None)
    names = [argument.arg for argument in defined[0].args.args]
    if isinstance(given, (ast.Tuple, ast.List)):
        here = {name: one.id for name, one in zip(names, given.elts, strict=False) if isinstance(one, ast.Name)}
        return {here[name] for name in asked if name in here} | {name for name in asked if name not in names}
    return {name for name in asked if name not in names}
