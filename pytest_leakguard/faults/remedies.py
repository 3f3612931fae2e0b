"""What to do about a leak on an error path, for the shapes that such code usually has. Reads the source; pure else."""

from __future__ import annotations

import ast
import os
from collections.abc import Iterator

from pytest_leakguard.core.model import Origin
from pytest_leakguard.faults.cleanups import blocks_of, is_try
from pytest_leakguard.faults.errors import WHAT
from pytest_leakguard.faults.model import FaultFinding
from pytest_leakguard.faults.source import function_at, own_nodes

SECOND_ACQUISITION = (
    "acquire each in a `with` of its own, or hand it to a contextlib.ExitStack before the next one is acquired"
)
HALF_ENTERED = (
    "`__exit__` does not run when `{name}` raises: hold all in a contextlib.ExitStack there, "
    "and call its pop_all() as the last step"
)
HALF_CONSTRUCTED = (
    "nobody has the object when `{name}` raises: release what it has so far in an `except BaseException:` "
    "that raises again, or hold it in a contextlib.ExitStack until the last step"
)
FAILED_CLEANUP = (
    "let no failing release skip the next one: a contextlib.ExitStack with a callback for each, "
    "or a `try` for each with the next in its `finally`"
)
BARE_YIELD = (
    "put the `yield` of {name} into a `try` and release in its `finally`: the error of the body comes out there"
)
TOO_LATE = (
    "enter the `try` or `with` that releases it right after it is acquired: between line {first} and line {last} "
    "nothing may be called or awaited"
)
NARROW = "release it in a `finally`, or in an `except BaseException:`; this error went past `{passed}`"
UNPROTECTED = (
    "put what follows line {first} into a `try` that releases it in its `finally`, or use it in a `with`: "
    "what is called there may fail"
)

_ENTERING = ("__enter__", "__aenter__")
_CONSTRUCTING = ("__init__", "__new__", "__post_init__")
_FROM_OUTSIDE = ("interrupt", "cancel", "timeout")
_ACQUIRING = frozenset(WHAT.values())


def remedy(finding: FaultFinding, root: str) -> str:
    """The remedy for the shape of the code that a leak came from; nothing when it has none of the usual ones.

    Args:
        root: the folder that the paths of the finding are relative to.
    """
    if finding.leak is None or finding.leak.origin.file is None or finding.leak.origin.line is None:
        return ""
    origin, point = finding.leak.origin, finding.point
    line = origin.line
    assert line is not None
    found = function_at(os.path.join(root, str(origin.file)), line)
    if found is None:
        return ""
    qualname, function = found
    name = qualname.rpartition(".")[2]
    at = _line_in(finding, origin, name)
    if point.family == "release":
        return FAILED_CLEANUP
    if at is not None and name in _ENTERING:
        return HALF_ENTERED.format(name=name)
    if at is not None and name in _CONSTRUCTING:
        return HALF_CONSTRUCTED.format(name=name)
    if at is None:
        return BARE_YIELD.format(name=name) if _has_bare_yield(function, line) else ""
    passed = [text.partition(" (")[0] for text in finding.passed if text.startswith("except")]
    if passed:
        return NARROW.format(passed=passed[0])
    if point.family in _FROM_OUTSIDE:
        return TOO_LATE.format(first=line, last=at) if at > line else ""
    if point.family == "acquire" or point.what in _ACQUIRING:
        return SECOND_ACQUISITION
    return UNPROTECTED.format(first=line) if at > line else ""


def _line_in(finding: FaultFinding, origin: Origin, name: str) -> int | None:
    """The line that the acquiring function was at when the fault came, or None when it was not running."""
    for entry in finding.stack:
        place, _, function = entry.partition(" in ")
        path, _, line = place.rpartition(":")
        if path == origin.file and function.rpartition(".")[2] == name and line.isdigit():
            return int(line)
    return None


def _has_bare_yield(function: ast.AST, line: int) -> bool:
    """Whether the function gives its value out below that line, with no clean-up around the `yield`."""
    yields = [node.lineno for node in own_nodes(function) if isinstance(node, (ast.Yield, ast.YieldFrom))]
    return any(one >= line and one not in set(_protected(function)) for one in yields)


def _protected(function: ast.AST) -> Iterator[int]:
    for node in own_nodes(function):
        is_final = is_try(node) and getattr(node, "finalbody", None)
        if is_final or isinstance(node, (ast.With, ast.AsyncWith)):
            body = next(blocks_of(node))  # type: ignore[arg-type]
            yield from range(body[0].lineno, (body[-1].end_lineno or body[-1].lineno) + 1)
