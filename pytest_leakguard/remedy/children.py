"""Child processes that still run: ended, waited for, and their pipes closed, on every path."""

from __future__ import annotations

from pytest_leakguard.remedy.block import Doubt
from pytest_leakguard.remedy.case import Case
from pytest_leakguard.remedy.edit import Text, with_statement
from pytest_leakguard.remedy.uses import range_of


def ended(case: Case) -> Text:
    """``with`` around what uses the child, and a ``kill`` at its end. Raises Doubt."""
    call = case.call({"subprocess.Popen"})
    name = case.bound(call)
    if not name or not case.request.running:
        raise Doubt("it is not bound to a name, or something else keeps it from being waited for")
    count = range_of(case.place, name, gives=case.gives)
    body = case.place.following[:count]
    lines = with_statement(case.text, case.place, f"with {case.text.of(call)} as {name}", count)
    head = lines[: len(lines) - len(case.text.inside(body))]
    indent = f"{case.text.indent(case.place.statement)}    "
    if not body:
        return case.replaced(0, [*head, f"{indent}{name}.kill()"])
    inside = case.text.inside(body, depth=2)
    return case.replaced(count, [*head, f"{indent}try:", *inside, f"{indent}finally:", f"{indent}    {name}.kill()"])
