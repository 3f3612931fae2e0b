"""How far a `with` statement has come: which of its managers are entered at an instruction, and not left.

Lines can't tell: ``with a() as x, b() as y: work()`` is one. The exception table can, or before Python 3.11
the SETUP instructions: an error comes to the exits of those that are entered, and to no other.
"""

from __future__ import annotations

import dis
import itertools
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from types import CodeType
from typing import Any

from pytest_leakguard.faults.instructions import ENDS, Step, steps_of

_SETUPS = frozenset({"SETUP_WITH", "SETUP_ASYNC_WITH"})


@dataclass(frozen=True, slots=True)
class Entered:
    """Of one statement, at one instruction.

    Attributes:
        exits: for each manager that is entered and not left, outermost first, where its exit begins after an error.
        enters: the next one is being made or entered.
    """

    exits: tuple[int, ...]
    enters: bool


def entered(code: CodeType, offset: int, header: range) -> Entered:
    """See the module.

    Args:
        header: the lines of the statement, from its first to that of its last manager.
    """
    steps = steps_of(code)
    exits = _exits(code, steps, offset, header)
    return Entered(
        exits, any(len(_exits(code, steps, at, header)) > len(exits) for at in _ahead(steps, offset, header))
    )


def _ahead(steps: tuple[Step, ...], offset: int, header: range) -> Iterator[int]:
    """The instructions that follow, as far as they are the header's."""
    for step in steps:
        if step.offset >= offset:
            if step.line not in header:
                # the body begins: the last manager is entered there
                yield step.offset
                return
            yield step.offset
            if step.name in ENDS:
                return


def _exits(code: CodeType, steps: tuple[Step, ...], offset: int, header: range) -> tuple[int, ...]:
    table = _table(code)
    found = _by_table(table, steps, offset) if table is not None else _by_setups(steps, offset, header)
    return tuple(at for line, at in found if line in header)[::-1]


# -- Python 3.11 and later


@lru_cache(maxsize=512)
def _table(code: CodeType) -> tuple[tuple[int, int, int], ...] | None:
    """Start, end and target of what is protected; None where there is no such table."""
    entries: Any = getattr(dis.Bytecode(code), "exception_entries", None)
    return None if entries is None else tuple((entry.start, entry.end, entry.target) for entry in entries)


def _by_table(
    table: tuple[tuple[int, int, int], ...], steps: tuple[Step, ...], offset: int
) -> Iterator[tuple[int, int]]:
    """Line and place of each exit that an error comes to, innermost first."""
    withs = {before.offset: step.line for before, step in itertools.pairwise(steps) if step.name == "WITH_EXCEPT_START"}
    passed: set[int] = set()
    while True:
        target = next((target for start, end, target in table if start <= offset < end), None)
        if target is None or target in passed:
            return
        if target in withs:
            yield withs[target], target
        passed.add(target)
        offset = target


# -- Python 3.10


def _by_setups(steps: tuple[Step, ...], offset: int, header: range) -> Iterator[tuple[int, int]]:
    around = [step for step in steps if step.name in _SETUPS and step.offset < offset < step.target]
    around = [step for step in around if step.line in header]
    if around:
        within = [step for step in steps if around[0].offset < step.offset <= offset]
        for step in around[: len(around) - _blocks_left(within, header)][::-1]:
            yield step.line, step.target


def _blocks_left(steps: list[Step], header: range) -> int:
    """How many managers are left already, while the exits of a statement are called one after the other."""
    count = 0
    for number, step in enumerate(reversed(steps)):
        count += step.name == "POP_BLOCK"
        if step.line not in header or (number and step.name in ENDS):
            break  # the first block is left on the line of the body
    return count
