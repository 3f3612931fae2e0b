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


def path_of(sabotage):
    return sabotage.file if sabotage.is_native else f"pytest_leakguard/{sabotage.file}"


@cache
def syntax_of(text: str) -> str:
    return ast.dump(ast.parse(text))


@pytest.mark.parametrize("sabotage", SABOTAGES, ids=lambda sabotage: f"{sabotage.file}: {sabotage.old[:40]}")
def test_a_sabotage_can_be_applied(sabotage):
    """The old text stands there once, the new one is Python or C and says something else, the test exists."""
    text = text_of(path_of(sabotage))
    assert text.count(sabotage.old) == 1
    changed = text.replace(sabotage.old, sabotage.new)
    if sabotage.is_native:  # whether it compiles is found out when it is run
        assert changed.split() != text.split()
    else:
        assert syntax_of(changed) != syntax_of(text)
    path, _, name = sabotage.test.partition("::")
    assert f"def {name.partition('[')[0]}" in text_of(f"tests/{path}")


def test_no_sabotage_stands_there_twice():
    """Each counts once, and there are as many as were asked for."""
    assert len({(s.file, s.old, s.new) for s in SABOTAGES}) == len(SABOTAGES) >= 110


def test_each_source_of_the_part_in_c_has_some():
    """None of them is forgotten."""
    sources = {f"native/{source.name}" for source in (ROOT / "native").glob("*.c")}
    assert {s.file for s in SABOTAGES if s.is_native} == sources
