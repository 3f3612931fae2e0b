"""Which managers of a `with` are entered at an instruction, as the instructions and tables of each Python tell it."""

from __future__ import annotations

import dis

import pytest

from pytest_leakguard.faults import entered as module
from pytest_leakguard.faults.entered import Entered, entered
from pytest_leakguard.faults.instructions import Step

HEADER = range(2, 3)


def fresh(text: str) -> str:
    """An equal text that is another object."""
    return "".join(list(text))


def made(listing: str) -> tuple[Step, ...]:
    """Instructions of the form ``OFFSET NAME LINE [-> TARGET] [| ...]``."""
    steps = []
    for words in (line.partition("|")[0].split() for line in listing.splitlines()):
        offset, name, line, *target = words
        steps.append(
            Step(int(offset), fresh(name), int(line), argument=0, target=int((target or [0])[-1]), is_none=False)
        )
    return tuple(steps)


# -- by what this Python compiles


first = second = work = after = None


def function():
    with first(), second():
        work()
    with work():
        return after


def returning():
    with first(), second():
        return work()


def at(name: str) -> Entered:
    """Where `function` loads a name."""
    code, line = function.__code__, function.__code__.co_firstlineno + 1
    offset = next(one.offset for one in dis.get_instructions(code) if one.argval == name)
    return entered(code, offset, range(line, line + 1))


def test_managers_are_entered_one_after_the_other():
    """The exits of those that are, outermost first, and whether one is being made or entered."""
    making_first, making_second, body = at("first"), at("second"), at("work")
    assert (making_first, len(making_second.exits), len(body.exits)) == (Entered((), True), 1, 2)
    assert (making_second.enters, body.enters) == (True, False)
    assert body.exits[:1] == making_second.exits
    assert at("after") == Entered((), False)


@pytest.mark.parametrize("left", [function, returning])
def test_on_the_way_out_none_is_entered_any_more(left):
    """The line is the header's again when the exits are called, one or both in a row."""
    code, line = left.__code__, left.__code__.co_firstlineno + 1
    body = next(one.offset for one in dis.get_instructions(code) if one.argval == "work")
    back = next(start for start, _, at_line in code.co_lines() if at_line == line and start > body)
    found = entered(code, back + 2, range(line, line + 1))
    assert (len(found.exits), found.enters) == (1, False)
    inside = entered(code, body, range(line, line + 1))
    assert found.exits == inside.exits[:1]


def test_what_may_follow_within_the_header():
    """From the instruction on, as far as the first of the body or the end of this way."""
    steps = made("0 A 1\n2 B 2\n4 C 2\n6 D 3\n8 E 2\n10 F 2\n12 RETURN_VALUE 2\n14 G 2")
    assert {step.offset: list(module._ahead(steps, step.offset, HEADER)) for step in steps} == {
        0: [0], 2: [2, 4, 6], 4: [4, 6], 6: [6], 8: [8, 10, 12], 10: [10, 12], 12: [12], 14: [14],
    }  # fmt: skip


# -- by the exception table: Python 3.11 and later

TABLE = ((10, 20, 30), (30, 40, 50), (50, 60, 70), (70, 80, 70), (90, 99, 30))
EXITS = "30 PUSH_EXC_INFO 2\n32 WITH_EXCEPT_START 2\n50 PUSH_EXC_INFO 7\n52 WITH_EXCEPT_START 7\n70 COPY 2\n72 {} 2"


@pytest.mark.parametrize("other", ["CHECK_EXC_MATCH", "ZZZ"])
def test_an_error_goes_from_one_exit_to_the_next(other):
    """Innermost first; what else the table leads to is no exit, and one that leads to itself is the last."""
    steps = made(EXITS.format(other))
    found = {offset: list(module._by_table(TABLE, steps, offset)) for offset in (8, 10, 19, 20, 40, 55, 98, 99)}
    both = [(2, 30), (7, 50)]
    assert found == {8: [], 10: both, 19: both, 20: [], 40: [], 55: [], 98: both, 99: []}


# -- by the SETUP instructions: Python 3.10

TWO = """\
0 LOAD_FAST 2 |
2 CALL_FUNCTION 2 |
4 SETUP_WITH 2 -> 84 |
6 STORE_FAST 2 | 84
8 LOAD_FAST 2 | 84
10 CALL_FUNCTION 2 | 84
12 SETUP_WITH 2 -> 36 | 84
14 STORE_FAST 2 | 36 84
16 LOAD_GLOBAL 3 | 36 84
18 CALL_FUNCTION 3 | 36 84
20 POP_TOP 3 | 36 84
22 POP_BLOCK 3 | 84
24 LOAD_CONST 2 | 84
26 DUP_TOP 2 | 84
28 DUP_TOP 2 | 84
30 CALL_FUNCTION 2 | 84
32 POP_TOP 2 | 84
34 JUMP_FORWARD 2 -> 68 | 84
36 WITH_EXCEPT_START 2 | 84
38 POP_JUMP_IF_TRUE 2 -> 42 | 84
40 RERAISE 2 | 84
42 POP_TOP 2 | 84
44 POP_TOP 2 | 84
46 POP_TOP 2 | 84
48 POP_EXCEPT 2 | 84
50 POP_TOP 2 | 84
52 POP_BLOCK 2 |
54 LOAD_CONST 2 |
56 DUP_TOP 2 |
58 DUP_TOP 2 |
60 CALL_FUNCTION 2 |
62 POP_TOP 2 |
64 LOAD_CONST 4 | 84
66 RETURN_VALUE 4 | 84
68 POP_BLOCK 2 |
70 LOAD_CONST 2 |
72 DUP_TOP 2 |
74 DUP_TOP 2 |
76 CALL_FUNCTION 2 |
78 POP_TOP 2 |
80 LOAD_CONST 4 | 84
82 RETURN_VALUE 4 | 84
84 WITH_EXCEPT_START 2 |
"""
"""``with a() as x, b() as y: ...`` and a `return` after it, as Python 3.10 compiles it; and the exits at each place."""

RETURNS = """\
0 LOAD_FAST 2 |
2 CALL_FUNCTION 2 |
4 SETUP_WITH 2 -> 146 |
6 STORE_FAST 2 | 146
8 LOAD_FAST 2 | 146
10 CALL_FUNCTION 2 | 146
12 SETUP_WITH 2 -> 116 | 146
14 STORE_FAST 2 | 116 146
16 LOAD_GLOBAL 3 | 116 146
18 SETUP_WITH 3 -> 86 | 116 146
20 POP_TOP 3 | 116 146
22 LOAD_FAST 4 | 116 146
24 POP_JUMP_IF_FALSE 4 -> 66 | 116 146
26 POP_BLOCK 3 | 146
28 LOAD_CONST 3 | 116 146
30 DUP_TOP 3 | 116 146
32 DUP_TOP 3 | 116 146
34 CALL_FUNCTION 3 | 116 146
36 POP_TOP 3 | 116 146
38 POP_BLOCK 2 | 146
40 LOAD_CONST 2 | 146
42 DUP_TOP 2 | 146
44 DUP_TOP 2 | 146
46 CALL_FUNCTION 2 | 146
48 POP_TOP 2 | 146
50 POP_BLOCK 2 |
52 LOAD_CONST 2 |
54 DUP_TOP 2 |
56 DUP_TOP 2 |
58 CALL_FUNCTION 2 |
60 POP_TOP 2 |
62 LOAD_CONST 2 |
64 RETURN_VALUE 2 |
66 LOAD_GLOBAL 5 | 116 146
68 CALL_FUNCTION 5 | 116 146
70 POP_TOP 5 | 116 146
72 POP_BLOCK 5 | 146
74 LOAD_CONST 3 | 116 146
76 DUP_TOP 3 | 116 146
78 DUP_TOP 3 | 116 146
80 CALL_FUNCTION 3 | 116 146
82 POP_TOP 3 | 116 146
84 JUMP_FORWARD 3 -> 102 | 116 146
86 WITH_EXCEPT_START 3 | 116 146
88 POP_JUMP_IF_TRUE 3 -> 92 | 116 146
90 RERAISE 3 | 116 146
92 POP_TOP 3 | 116 146
94 POP_TOP 3 | 116 146
96 POP_TOP 3 | 116 146
98 POP_EXCEPT 3 | 116 146
100 POP_TOP 3 | 116 146
102 POP_BLOCK 0 | 146
104 LOAD_CONST 2 | 146
106 DUP_TOP 2 | 146
108 DUP_TOP 2 | 146
110 CALL_FUNCTION 2 | 146
112 POP_TOP 2 | 146
114 JUMP_FORWARD 2 -> 132 | 146
116 WITH_EXCEPT_START 2 | 146
118 POP_JUMP_IF_TRUE 2 -> 122 | 146
120 RERAISE 2 | 146
122 POP_TOP 2 | 146
124 POP_TOP 2 | 146
126 POP_TOP 2 | 146
128 POP_EXCEPT 2 | 146
130 POP_TOP 2 | 146
132 POP_BLOCK 0 |
134 LOAD_CONST 2 |
136 DUP_TOP 2 |
138 DUP_TOP 2 |
140 CALL_FUNCTION 2 |
142 POP_TOP 2 |
144 JUMP_FORWARD 2 -> 162 |
146 WITH_EXCEPT_START 2 |
148 POP_JUMP_IF_TRUE 2 -> 152 |
150 RERAISE 2 |
152 POP_TOP 2 |
154 POP_TOP 2 |
156 POP_TOP 2 |
158 POP_EXCEPT 2 |
160 POP_TOP 2 |
162 LOAD_FAST 6 |
164 SETUP_WITH 6 -> 184 |
166 POP_TOP 6 |
168 POP_BLOCK 7 |
"""
"""The same with another `with` in it, from which the function may return, and one after it."""

ON_ONE_LINE = """\
0 POP_BLOCK 1
2 LOAD_FAST 2
4 SETUP_WITH 2 -> 30
6 POP_TOP 2 | 30
8 LOAD_CONST 2 | 30
10 POP_BLOCK 2
12 LOAD_CONST 2
"""
"""The body on the line of the header, after another block."""

THREE = """\
0 SETUP_WITH 2 -> 40
2 SETUP_WITH 2 -> 30 | 40
4 SETUP_WITH 2 -> 20 | 30 40
6 CALL_FUNCTION 3 | 20 30 40
8 POP_BLOCK 3 | 30 40
10 LOAD_CONST 2 | 30 40
12 POP_BLOCK 2 | 40
14 LOAD_CONST 2 | 40
"""


@pytest.mark.parametrize("listing", [TWO, RETURNS, ON_ONE_LINE, THREE])
def test_the_exits_at_each_instruction(listing):
    """Innermost first: from the one after a SETUP to its target, without those that are left already."""
    steps = made(listing)
    expected = {
        int(line.split()[0]): [(2, int(exit)) for exit in line.partition("|")[2].split()]
        for line in listing.splitlines()
    }
    assert {step.offset: list(module._by_setups(steps, step.offset, HEADER)) for step in steps} == expected
