"""The coroutine behind a "was never awaited" warning, and the line that made it."""

from __future__ import annotations

import dis
import sys
from collections.abc import Iterator
from types import BuiltinMethodType, CodeType, CoroutineType, FrameType, FunctionType, MethodType
from typing import Any

from pytest_leakguard.origins import frames
from pytest_leakguard.origins.asyncio_stacks import is_users

_TELLER = "_warn_unawaited_coroutine"
_BLANK = (lambda: None).__code__


def teller_frame(frame: FrameType | None) -> FrameType | None:
    """The frame in which Python warns of a dying coroutine, or None when live code warns."""
    for _ in range(12):
        if frame is None or frame.f_code.co_name == _TELLER:
            return frame
        frame = frame.f_back
    return None


def creation_stack(coroutine: Any, frame: FrameType | None) -> tuple[frames.Stack, str]:
    """The stack whose innermost line of the user's made a coroutine, and how that is known.

    Python keeps it where origin tracking is on (asyncio's debug mode, ``--leakguard-trace``). Else it is the
    line at work when that drops the result of a call. Else two functions are asked: the one that runs now,
    and the one whose call on the line at work has just returned. Where one line only of it names the
    coroutine's function, it is that one.

    Args:
        frame: the code that ran when the coroutine died.
    Returns: an empty stack when it can't be known.
    """
    if coroutine.cr_origin:
        return tuple((_code_at(*place), 0) for place in coroutine.cr_origin), "coroutine origin"
    if frame is None:
        return (), ""
    stack = frames.walk(frame)
    name = coroutine.__name__
    if is_users(frame.f_code):
        if _drops_a_result(frame.f_code, frame.f_lasti):
            return stack, "never awaited"
        made = _line_that_names(frame.f_code, name, frames.line_of(frame.f_code, frame.f_lasti))
        if made is not None:
            return ((frame.f_code, made), *stack[1:]), "never awaited"
    found = {code: made for code in _just_returned(frame) if (made := _line_that_names(code, name)) is not None}
    if len(found) == 1:
        return (*found.items(), *stack), "never awaited"
    return (), ""


def _drops_a_result(code: CodeType, lasti: int) -> bool:
    """Whether the instruction at work throws away what the call before it gave."""
    before = ""
    for instruction in dis.get_instructions(code):
        if instruction.offset >= lasti:
            return instruction.offset == lasti and instruction.opname == "POP_TOP" and before.startswith("CALL")
        before = instruction.opname
    return False


def _line_that_names(code: CodeType, name: str, line_at_work: int = 0) -> int | None:
    """The first instruction that loads that name: on the line at work, or on the only line that does."""
    loads = {i.offset: frames.line_of(code, i.offset) for i in dis.get_instructions(code) if i.argval == name}
    if line_at_work in loads.values():
        return next(offset for offset, line in loads.items() if line == line_at_work)
    return next(iter(loads)) if len(set(loads.values())) == 1 else None


def _just_returned(frame: FrameType) -> Iterator[CodeType]:
    """The code of the user's functions that the line at work of a frame may have called.

    They are looked up by name without running any code of the user's. A task's own coroutine is
    called by the loop, from C.
    """
    variables, attributes = _names_on_line(frame.f_code, frames.line_of(frame.f_code, frame.f_lasti))
    values = [frame.f_locals.get(name, frame.f_globals.get(name)) for name in variables]
    kind = type(frame.f_locals.get("self"))
    values += [base.__dict__[name] for name in attributes for base in kind.__mro__ if name in base.__dict__]
    for value in values:
        code = _code_of(value)
        if code is not None and is_users(code):
            yield code
    tasks = sys.modules.get("asyncio.tasks")
    if tasks is not None and tasks.events._get_running_loop() is not None:
        code = getattr(getattr(tasks.current_task(), "_coro", None), "cr_code", None)
        if code is not None and is_users(code):
            yield code


def _names_on_line(code: CodeType, line: int) -> tuple[set[str], set[str]]:
    """The variables and the attributes that a line loads."""
    variables: set[str] = set()
    attributes: set[str] = set()
    for instruction in dis.get_instructions(code):
        if instruction.opname.startswith("LOAD_") and frames.line_of(code, instruction.offset) == line:
            names = attributes if instruction.opname in ("LOAD_ATTR", "LOAD_METHOD") else variables
            loaded = instruction.argval if isinstance(instruction.argval, tuple) else (instruction.argval,)
            names.update(name for name in loaded if isinstance(name, str))
    return variables, attributes


def _code_of(value: Any) -> CodeType | None:
    """The code that runs when a function is called, or a coroutine awaited or sent something."""
    if type(value) in (MethodType, BuiltinMethodType):
        value = value.__func__ if type(value) is MethodType else value.__self__
    if type(value) is FunctionType:
        return value.__code__
    return value.cr_code if type(value) is CoroutineType else None


def _code_at(filename: str, line: int, function: str) -> CodeType:
    """A code object that stands for a place of which only names are kept."""
    names: dict[str, Any] = {"co_name": function}
    if hasattr(_BLANK, "co_qualname"):  # 3.11 and later
        names["co_qualname"] = function
    return _BLANK.replace(co_filename=filename, co_firstlineno=line, **names)
