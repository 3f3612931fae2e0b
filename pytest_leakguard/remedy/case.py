"""A leak and the source it is about; what all patterns ask of it."""

from __future__ import annotations

import ast
from collections.abc import Collection, Sequence
from dataclasses import dataclass

from pytest_leakguard.remedy.block import Doubt, Place, last_line
from pytest_leakguard.remedy.called import opens_a_path, qualified
from pytest_leakguard.remedy.edit import Text
from pytest_leakguard.remedy.uses import is_fixture


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """What has to be known of a leak to patch its source.

    Attributes:
        event: that told of the acquisition.
        of_fixture: a fixture of a wider scope than function owns it.
        running: of a process: it has not ended; of a thread: it did not end within the grace.
    """

    kind: str
    verdict: str
    event: str
    line: int
    function: str
    of_fixture: bool
    running: bool


@dataclass(frozen=True, slots=True)
class Case:
    """A request with the source it is about."""

    request: Request
    text: Text
    tree: ast.Module
    place: Place

    @property
    def passes(self) -> bool:
        """Whether the object may be handed on: it was collected, so nothing kept it."""
        return self.request.verdict == "unclosed"

    @property
    def gives(self) -> bool:
        """Whether the function is a fixture: what it gives is used until its teardown."""
        return is_fixture(self.place.function)

    def call(self, names: Collection[str]) -> ast.Call:
        """The one call of these qualified names in the statement; ``path.open`` counts as ``open``. Raises Doubt."""
        calls = [
            node
            for node in ast.walk(self.place.statement)
            if isinstance(node, ast.Call)
            and (qualified(self.tree, node) in names or ("open" in names and opens_a_path(node)))
        ]
        if len(calls) != 1:
            raise Doubt("not exactly one such call")
        return calls[0]

    def bound(self, call: ast.Call) -> str:
        """The plain name that the statement binds to the call; empty when it does something else with it."""
        statement = self.place.statement
        if isinstance(statement, ast.Assign) and statement.value is call and len(statement.targets) == 1:
            target = statement.targets[0]
            return target.id if isinstance(target, ast.Name) else ""
        return ""

    def replaced(self, count: int, lines: Sequence[str]) -> Text:
        """The text with the statement and so many of the following ones replaced; a fixture's ``return`` yields."""
        last = last_line(self.place.block[self.place.number + count])
        if self.gives:
            lines = _yielding(self, lines)
        return self.text.replaced(self.place.statement.lineno, last, lines)


def refuse_odd_fixtures(case: Case) -> None:
    """Take only a fixture that gives by one ``return`` at its end, or by one ``yield``. Raises Doubt."""
    function = case.place.function
    if isinstance(function, ast.AsyncFunctionDef) or not case.place.is_outermost:
        raise Doubt("an async fixture, or a branch of one")
    gives = [node for node in ast.walk(function) if isinstance(node, (ast.Return, ast.Yield, ast.YieldFrom))]
    if len(gives) != 1 or isinstance(gives[0], ast.YieldFrom):
        raise Doubt("it gives at several places, or nothing")
    if isinstance(gives[0], ast.Return) and (gives[0] is not function.body[-1] or function.returns is not None):
        raise Doubt("its return is not the last statement, or has a type that would change")


def _yielding(case: Case, lines: Sequence[str]) -> list[str]:
    last = case.place.function.body[-1]
    if not isinstance(last, ast.Return):
        return list(lines)
    words = case.text.lines[last.lineno - 1].strip()
    return [line.replace("return ", "yield ", 1) if line.strip() == words else line for line in lines]
