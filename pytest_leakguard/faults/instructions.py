"""The instructions of a function, with their lines and jumps."""

from __future__ import annotations

import dis
from dataclasses import dataclass
from functools import lru_cache
from types import CodeType

ENDS = frozenset(
    {"RETURN_VALUE", "RETURN_CONST", "RERAISE", "RAISE_VARARGS", "JUMP_FORWARD", "JUMP_ABSOLUTE", "JUMP_BACKWARD"}
)
"""What does not go on to the next instruction."""


@dataclass(frozen=True, slots=True)
class Step:
    """One instruction.

    Attributes:
        line: 0 when it has none.
        target: the offset that it may lead to, or 0.
        is_none: it loads None.
    """

    offset: int
    name: str
    line: int
    argument: int
    target: int
    is_none: bool


@lru_cache(maxsize=512)
def steps_of(code: CodeType) -> tuple[Step, ...]:
    """All of them, in order."""
    lines = [(start, end, line or 0) for start, end, line in code.co_lines()]
    steps, number = [], 0
    for step in dis.get_instructions(code):
        while number < len(lines) and lines[number][1] <= step.offset:
            number += 1
        jump = step.opcode in dis.hasjrel or step.opcode in dis.hasjabs
        steps.append(
            Step(
                step.offset,
                step.opname,
                lines[number][2] if number < len(lines) else 0,
                step.arg or 0,
                step.argval if jump else 0,
                step.argval is None and step.opname == "LOAD_CONST",
            )
        )
    return tuple(steps)
