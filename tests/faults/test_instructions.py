"""The instructions of a function: each with its line, its argument and where it may lead."""

from __future__ import annotations

import dis
import sys

import pytest

from pytest_leakguard.faults.instructions import Step, steps_of

LAST = None


def stepping(a):
    while a:
        a = a.next if a.more else None
    return LAST


def test_each_instruction_has_its_offset_and_name():
    """As Python's own disassembler lists them."""
    steps = steps_of(stepping.__code__)
    assert [(step.offset, step.name) for step in steps] == [
        (one.offset, one.opname) for one in dis.get_instructions(stepping.__code__)
    ]


LONG = compile("a()\n" * 300, "long.py", "exec")


@pytest.mark.parametrize("code", [stepping.__code__, LONG], ids=["short", "long"])
def test_each_instruction_has_the_line_it_is_compiled_from(code):
    """0 where it has none, as some of what Python adds by itself."""
    lines = {offset: line or 0 for start, end, line in code.co_lines() for offset in range(start, end, 2)}
    assert {step.offset: step.line for step in steps_of(code)} == {
        step.offset: lines[step.offset] for step in steps_of(code)
    }
    assert len({step.line for step in steps_of(code)}) >= 3


class OddCode:
    """Code whose table of lines ends early, has empty ranges and knows nothing of its first instruction."""

    def co_lines(self):
        return [(0, 2, None), *[(2, 2, 6)] * 300, (2, 4, 7), (4, 6, 8), (6, 8, 9), (8, 12, 5)]


def test_what_the_table_of_lines_does_not_tell_has_none(monkeypatch):
    """Neither an instruction without a line nor one behind the end of the table."""
    found = list(dis.get_instructions(stepping.__code__))
    moved = [one._replace(offset=offset) for one, offset in zip(found, (0, 2, 4, 10, 12), strict=False)]
    monkeypatch.setattr(dis, "get_instructions", lambda code: moved)
    assert [step.line for step in steps_of(OddCode())] == [0, 7, 8, 5, 0]


def test_where_a_jump_may_lead():
    """To an instruction of the function; what does not jump leads nowhere."""
    steps = steps_of(stepping.__code__)
    jumps = {step.offset for step in steps if "JUMP" in step.name}
    assert jumps
    assert {step.offset for step in steps if step.target} == jumps
    assert {step.target for step in steps if step.target} <= {step.offset for step in steps}
    assert {step.target for step in steps if step.offset not in jumps} == {0}


@pytest.mark.skipif(sys.version_info >= (3, 12), reason="all jumps are relative since 3.12")
def test_both_kinds_of_jumps_are_some():
    """Python 3.10 has absolute ones too; each version has relative ones."""
    assert {step.target > 0 for step in steps_of(stepping.__code__) if step.name.startswith("POP_JUMP")} == {True}


def loads_none(a):
    a(None, LAST, "text", 1.5)
    for _ in a:
        pass
    return a.other


def test_what_loads_none():
    """The constant, and not what is empty or has no argument at all."""
    steps = steps_of(loads_none.__code__)
    none = next(one for one in dis.get_instructions(loads_none.__code__) if one.argrepr == "None")
    assert [step.offset for step in steps if step.is_none] == [none.offset]
    others = {step.name for step in steps if not step.is_none}
    assert {"LOAD_CONST", "LOAD_GLOBAL"} <= others
    assert any(one.argval is None and one.opname != "LOAD_CONST" for one in dis.get_instructions(loads_none.__code__))


def test_the_argument_of_an_instruction():
    """As it is in the code; 0 where there is none."""
    found = {one.offset: one.arg for one in dis.get_instructions(stepping.__code__)}
    assert {step.offset: step.argument for step in steps_of(stepping.__code__)} == {
        offset: argument or 0 for offset, argument in found.items()
    }
    assert None in found.values()
    assert any(found.values())


def test_they_are_read_once():
    """A function is looked at in each trial."""
    assert steps_of(stepping.__code__) is steps_of(stepping.__code__)
    assert all(type(step) is Step for step in steps_of(stepping.__code__))
