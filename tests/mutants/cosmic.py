"""The mutants of a module, as cosmic-ray makes them: each a whole source text with one small wrong change.

Only its operators and its way to apply them are used. Its runner writes each mutant into the file and starts the tests
in a new process, a second for each; ours forks (see ``trial.py``), so that thousands can be tried.
"""

from __future__ import annotations

import ast
import difflib
from collections.abc import Iterator
from dataclasses import dataclass

from cosmic_ray.ast import ast_nodes, get_ast
from cosmic_ray.mutating import mutate_code
from cosmic_ray.plugins import get_operator, operator_names


@dataclass(frozen=True)
class Mutant:
    """One wrong change.

    Attributes:
        line: where, from 1.
        was, now: the lines that differ, without their indentation, joined with a slash; or "nothing".
        source: the whole module with that change.
    """

    line: int
    was: str
    now: str
    source: str

    @property
    def change(self) -> str:
        return f"{self.was} -> {self.now}"

    @property
    def where(self) -> str:
        return f"{self.line}: {self.change}"


def mutants(source: str) -> Iterator[Mutant]:
    """All of them, operator by operator.

    Left out is what is no change: it does not compile, it is the same program but for annotations (which no module here
    evaluates) and layout, or an earlier one was the same. Operators that need arguments (names of variables) are not
    used.
    """
    tree = get_ast(source)
    nodes = list(ast_nodes(tree))
    seen = {_meaning(source)}
    for name in operator_names():
        operator_class = get_operator(name)
        if operator_class.arguments():
            continue
        operator = operator_class()
        for occurrence in range(sum(len(list(operator.mutation_positions(node))) for node in nodes)):
            try:
                changed = mutate_code(source, operator_class(), occurrence)
                meaning = _meaning(changed)
            except (SyntaxError, AttributeError):  # the latter: it can't replace a dotted name of an exception
                continue
            if meaning not in seen:
                seen.add(meaning)
                yield _mutant(source, changed)


def _meaning(source: str) -> str:
    """The program without its annotations. Raises SyntaxError."""
    tree = ast.parse(source)
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            node.returns = None
        elif isinstance(node, ast.arg):
            node.annotation = None
        elif isinstance(node, ast.AnnAssign):
            node.annotation = ast.Constant(None)
    return ast.dump(tree)


def _mutant(source: str, changed: str) -> Mutant:
    before, after = source.splitlines(), changed.splitlines()
    parts = [
        part
        for part in difflib.SequenceMatcher(None, before, after, autojunk=False).get_opcodes()
        if part[0] != "equal"
    ]
    was = [line for _, start, end, _, _ in parts for line in before[start:end]]
    now = [line for _, _, _, start, end in parts for line in after[start:end]]
    return Mutant(parts[0][1] + 1, _in_one_line(was), _in_one_line(now), changed)


def _in_one_line(lines: list[str]) -> str:
    return " / ".join(line.strip() for line in lines if line.strip()) or "nothing"
