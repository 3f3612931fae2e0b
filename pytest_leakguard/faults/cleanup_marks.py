"""What a line event at an instruction says of a cleanup path: that it is entered, left normally, or left by an error.

CPython compiles a `finally` and the end of a `with` several times, once for each way that
leads there, all with the same line: only the instruction tells them apart. The way of an
error begins where the exception table, or before 3.11 a SETUP instruction, leads.
"""

from __future__ import annotations

import dis
import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from types import CodeType
from typing import Literal

from pytest_leakguard.faults.cleanup_paths import Site
from pytest_leakguard.faults.instructions import ENDS, Step, steps_of

Way = Literal["entered", "normal", "error"]
Mark = tuple[int, Way]
"""Which site of the function, and what happens to it."""

_SETUPS = frozenset({"SETUP_WITH", "SETUP_ASYNC_WITH", "BEFORE_WITH", "BEFORE_ASYNC_WITH", "LOAD_SPECIAL"})
_ON_THE_WAY = frozenset({"EXTENDED_ARG", "NOP", "POP_BLOCK", "POP_TOP", "ROT_TWO", "ROT_THREE", "ROT_FOUR", "SWAP"})
_AGAIN = frozenset({"LOAD_CONST", "DUP_TOP"})


@dataclass(frozen=True, slots=True)
class Marks:
    """The marks of one function.

    Attributes:
        by_offset: instruction -> its marks.
        lines: those that are to be watched.
        loops: sites that begin with a loop -> its lines. The line events of its further turns may come at the
            same instruction as that of its first, as they do on 3.14.
        withs: numbers of the sites that are entered before they are left.
        returns: instructions that end the function, not only suspend it.
        yields: instructions at which a generator waits at a `yield`.
        resumes: instructions at which a function goes on that was suspended.
    """

    by_offset: dict[int, tuple[Mark, ...]] = field(default_factory=dict)
    lines: frozenset[int] = frozenset()
    loops: dict[int, range] = field(default_factory=dict)
    withs: frozenset[int] = frozenset()
    returns: frozenset[int] = frozenset()
    yields: frozenset[int] = frozenset()
    resumes: frozenset[int] = frozenset()


def marks_of(code: CodeType, sites: Sequence[Site]) -> Marks:
    """Read the instructions of a function."""
    steps = steps_of(code)
    errors = _error_entries(code, steps)
    found: dict[int, list[Mark]] = {}
    for number, site in enumerate(sites):
        for index, step in enumerate(steps):
            if step.line in site.lines:
                way = _way(site, steps, index, errors)
                if way is not None:
                    found.setdefault(step.offset, []).append((number, way))
    loops = {number: site.loop for number, site in enumerate(sites) if site.loop}
    return Marks(
        by_offset={offset: tuple(marks) for offset, marks in found.items()},
        # where there are loops, also the line from which one is entered
        lines=frozenset(step.line for step in steps) if loops else frozenset().union(*(site.lines for site in sites)),
        loops=loops,
        withs=frozenset(number for number, site in enumerate(sites) if site.path.kind == "with"),
        returns=frozenset(step.offset for step in steps if step.name in ("RETURN_VALUE", "RETURN_CONST")),
        yields=frozenset(_yields(steps)),
        resumes=frozenset(_resumes(steps)),
    )


def _yields(steps: Sequence[Step]) -> Iterator[int]:
    for before, step in itertools.pairwise(steps):
        if step.name == "YIELD_VALUE" and before.name != "SEND":  # that is how an `await` is made
            yield from (step.offset, step.offset + 2)  # the instruction after it, where 3.12 goes on


def _resumes(steps: Sequence[Step]) -> Iterator[int]:
    for before, step in itertools.pairwise(steps):
        if step.name == "YIELD_VALUE" or (step.name == "RESUME" and step.argument):
            yield step.offset
        elif step.name == "YIELD_FROM":  # which 3.10 does again
            yield from (before.offset, step.offset)


def _error_entries(code: CodeType, steps: Sequence[Step]) -> frozenset[int]:
    """The instructions at which an error comes in; the first of them may have no line of its own."""
    entries = getattr(dis.Bytecode(code), "exception_entries", None)
    if entries is None:
        return frozenset(step.target for step in steps if step.name.startswith("SETUP_") and step.target)
    # others only put the stack right, or hand an error on to what is awaited
    handlers = {entry.target for entry in entries} & {step.offset for step in steps if step.name == "PUSH_EXC_INFO"}
    return frozenset(offset + more for offset in handlers for more in (0, 2))


def _way(site: Site, steps: Sequence[Step], index: int, errors: frozenset[int]) -> Way | None:
    """What it means when the line event of a site comes at that instruction; None: nothing."""
    step = steps[index]
    if site.path.kind == "with":
        if step.offset in errors:
            return "error"
        if _starts_a_line(steps, index) and any(one.name in _SETUPS for one in _rest_of_line(steps, index)):
            return "entered"
        return "normal" if _calls_exit(steps, index) else None
    is_error = step.offset in errors
    if not (is_error or _starts_a_line(steps, index)):
        return None
    return "error" if is_error or site.path.kind == "except" else "normal"


def _starts_a_line(steps: Sequence[Step], index: int) -> bool:
    return index == 0 or steps[index - 1].line != steps[index].line or steps[index - 1].name in ENDS


def _rest_of_line(steps: Sequence[Step], index: int) -> list[Step]:
    line = steps[index].line
    end = next((n for n in range(index, len(steps)) if steps[n].line != line), len(steps))
    return list(steps[index:end])


def _calls_exit(steps: Sequence[Step], index: int) -> bool:
    """Whether what follows is the call of `__exit__` with three times None."""
    after = [step for step in steps[index : index + 10] if step.name not in _ON_THE_WAY]
    return len(after) > 3 and after[0].is_none and all(s.name in _AGAIN for s in after[1:3]) and "CALL" in after[3].name
