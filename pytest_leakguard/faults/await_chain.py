"""Where a suspended coroutine waits: its chain of awaits, read from outside.

A suspended coroutine has no frame on any stack. It knows what it awaits, that
knows what it awaits in turn, and so on down to what gave control away.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from types import AsyncGeneratorType, CodeType, CoroutineType, FrameType, GeneratorType
from typing import Any

from pytest_leakguard import _real
from pytest_leakguard.origins import frames

# Python's own go-betweens keep what they step through in a field that only the collector is shown
_GO_BETWEENS = frozenset({"async_generator_asend", "async_generator_athrow", "coroutine_wrapper", "anext_awaitable"})
_FRAMED = (CoroutineType, GeneratorType, AsyncGeneratorType)


@dataclass(slots=True)
class Link:
    """One function of a chain. Holds a live frame: to be dropped within the step that made it."""

    frame: FrameType
    name: str
    awaits: object

    @property
    def code(self) -> CodeType:
        return self.frame.f_code


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Where target code is suspended.

    Attributes:
        path, qualname, line: of the innermost frame of the chain that is target code.
        what: the function or the kind of future that this frame awaits.
        within: qualified names of the functions below that frame, outermost first, with their files.
        stack: ``file:line in function`` of the whole chain, innermost first.
    """

    path: str
    qualname: str
    line: int
    what: str
    within: tuple[tuple[str, str], ...]
    stack: tuple[str, ...]


def links(coroutine: object) -> Iterator[Link]:
    """The chain of a suspended coroutine, outermost first; ends where something else than Python code is awaited."""
    current: Any = coroutine
    while current is not None:
        awaits: Any
        if isinstance(current, CoroutineType):
            frame, awaits = current.cr_frame, current.cr_await
        elif isinstance(current, GeneratorType):
            frame, awaits = current.gi_frame, current.gi_yieldfrom
        elif isinstance(current, AsyncGeneratorType):
            frame, awaits = current.ag_frame, current.ag_await
        elif _is_go_between(current):
            referents = _real.gc_get_referents(current)
            current = next((one for one in referents if isinstance(one, _FRAMED) or _is_go_between(one)), None)
            continue
        else:
            return
        if frame is None:
            return
        yield Link(frame, _name(frame.f_code, current), awaits)
        current = awaits


def _is_go_between(one: object) -> bool:
    return type(one).__name__ in _GO_BETWEENS


def _name(code: CodeType, function: Any) -> str:
    # functools.wraps gives the object another's name; a coroutine of ours that stands for another has it on purpose
    if frames.region(code.co_filename) == "self":
        return str(function.__qualname__)
    return str(getattr(code, "co_qualname", function.__qualname__))


def innermost_target(chain: list[Link], is_target: Callable[[str], bool]) -> int | None:
    """The index of the innermost link that is target code."""
    for index in range(len(chain) - 1, -1, -1):
        if is_target(chain[index].code.co_filename):
            return index
    return None


def locate(
    coroutine: object, awaited: str, *, is_target: Callable[[str], bool], path_of: Callable[[str], str]
) -> Place | None:
    """Where a suspended coroutine waits, or None when no target code is part of the chain.

    Args:
        awaited: the name of what the chain ends with, for a frame that awaits it directly.
    """
    chain = list(links(coroutine))
    index = innermost_target(chain, is_target)
    if index is None:
        return None
    found, below = chain[index], chain[index + 1 :]
    return Place(
        path=path_of(found.code.co_filename),
        qualname=found.name,
        line=found.frame.f_lineno,
        what=(below[0].name if below else awaited).rpartition("<locals>.")[2],
        within=tuple((link.code.co_filename, link.name) for link in below),
        stack=tuple(_line(link, path_of) for link in reversed(chain)),
    )


def lines(coroutine: object, path_of: Callable[[str], str]) -> tuple[str, ...]:
    """``file:line in function`` of the chain, innermost first, without this package's own."""
    return tuple(
        _line(link, path_of) for link in reversed(list(links(coroutine)))
        if frames.region(link.code.co_filename) != "self"
    )  # fmt: skip


def _line(link: Link, path_of: Callable[[str], str]) -> str:
    return f"{path_of(link.code.co_filename)}:{link.frame.f_lineno} in {link.name}"
