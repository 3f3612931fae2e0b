"""The list of sabotages fits the code: each could be applied, and names a test that is there."""

from __future__ import annotations

import ast
from functools import cache
from pathlib import Path

import pytest
from sabotages import SABOTAGES

ROOT = Path(__file__).parents[2]


@cache
def text_of(path: str) -> str:
    return (ROOT / path).read_text("utf-8")


@cache
def syntax_of(file: str) -> str:
    return ast.dump(ast.parse(text_of(f"pytest_leakguard/{file}")))


@pytest.mark.parametrize("sabotage", SABOTAGES, ids=lambda sabotage: f"{sabotage.file}: {sabotage.old[:40]}")
def test_a_sabotage_can_be_applied(sabotage):
    """The old text stands there once, the new one is Python and says something else, the test exists."""
    text = text_of(f"pytest_leakguard/{sabotage.file}")
    assert text.count(sabotage.old) == 1
    assert ast.dump(ast.parse(text.replace(sabotage.old, sabotage.new))) != syntax_of(sabotage.file)
    path, _, name = sabotage.test.partition("::")
    assert f"def {name.partition('[')[0]}" in text_of(f"tests/{path}")


def test_no_sabotage_stands_there_twice():
    """Each counts once, and there are as many as were asked for."""
    assert len({(s.file, s.old, s.new) for s in SABOTAGES}) == len(SABOTAGES) >= 110
