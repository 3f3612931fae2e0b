"""What the stack tells of asyncio: who made this task, and who makes the loop run."""

from __future__ import annotations

import inspect
from types import CodeType, FrameType
from typing import Any, NamedTuple

from pytest_leakguard.origins import frames

_RUNNERS = frozenset({"_cancel_all_tasks", "_tearDownAsyncioLoop"})
# what makes a task for all of a loop's life: anyio's pytest plugin runs the tests and fixtures in one, so did unittest
_RUNNERS_OWN = frozenset({"_call_in_runner_task", "_setupAsyncioLoop"})
_RUNNER_DEPTH = 10
_FACTORY_DEPTH = 12
_SUSPENDING = inspect.CO_COROUTINE | inspect.CO_GENERATOR | inspect.CO_ASYNC_GENERATOR


def is_runner_at_work(frame: FrameType | None) -> bool:
    """Whether a runner, and not the project itself, makes the loop run to be rid of the leftovers."""
    for _ in range(_RUNNER_DEPTH):
        if frame is None:
            return False
        if frame.f_code.co_name in _RUNNERS:
            return not is_project(frame.f_code)
        frame = frame.f_back
    return False


def was_interrupted(frame: FrameType | None) -> bool:
    """Whether the loop stopped before what it was run for was done: nothing had its chance to end by then."""
    for _ in range(4):
        if frame is None:
            return False
        if frame.f_code.co_name == "run_until_complete":
            future = frame.f_locals.get("future")
            return future is not None and not future.done()
        frame = frame.f_back
    return False


def caller_of_run(stack: frames.Stack) -> frames.Region:
    """Whose code has the loop run what was just made a task."""
    names = [code.co_name for code, _ in stack]
    index = names.index("run_until_complete") + 1 if "run_until_complete" in names else 0
    return frames.region(stack[index][0].co_filename) if index < len(stack) else "stdlib"


def without_factory(stack: frames.Stack) -> frames.Stack:
    """A stack without the user's task factory or loop class in front of asyncio's own `create_task`."""
    start = 0
    for index, (code, _) in enumerate(stack[:_FACTORY_DEPTH]):
        if code.co_flags & _SUSPENDING:
            break  # an eager task's own code
        if code.co_name == "create_task" and frames.region(code.co_filename) == "stdlib":
            start = index
    return stack[start:]


def is_users(code: CodeType) -> bool:
    """Whether code is the project's or a dependency's, not Python's and not the runner's."""
    return frames.region(code.co_filename) in ("project", "dependency")


def is_project(code: CodeType) -> bool:
    """Whether code is the project's own."""
    return frames.region(code.co_filename) == "project"


def name_of(awaitable: Any) -> str:
    """The qualified name of a coroutine or generator, without the functions around it."""
    name = getattr(awaitable, "__qualname__", None) or type(awaitable).__qualname__
    return str(name).rpartition("<locals>.")[2]


class Maker(NamedTuple):
    """Who made a task.

    Attributes:
        stack: where; where a callback of the loop did, the task's own function stands for it.
        is_callback: no code of the project or a dependency, but a callback of the loop.
        is_runner: a runner, to run tests in it as long as its loop lives.
    """

    stack: frames.Stack
    event: str
    is_callback: bool
    is_runner: bool


def maker_of(stack: frames.Stack, step_code: CodeType, coroutine: Any) -> Maker | None:
    """Who made the task of a coroutine, by the stack of that moment.

    Args:
        step_code: of the function in which a loop makes each step.

    Returns: None where no test has a part in it.
    """
    is_at_work = any(code.co_name in _RUNNERS and not is_project(code) for code, _ in stack[:_RUNNER_DEPTH])
    stack = without_factory(stack)
    in_step = next((index for index, (code, _) in enumerate(stack) if code is step_code), None)
    if in_step is None and is_at_work:
        return None  # the runner's own
    step = stack[:in_step]
    is_callback = in_step is not None and not any(is_users(code) for code, _ in step)
    if is_callback and type(coroutine).__name__ == "async_generator_athrow":
        return None  # the loop closes a generator that was dropped
    event = "create_task"
    if is_callback and hasattr(coroutine, "cr_code"):
        stack, event = ((coroutine.cr_code, 0),), "made by a callback of the event loop"
    is_runner = any(code.co_name in _RUNNERS_OWN and not is_project(code) for code, _ in step)
    return Maker(stack, event, is_callback, is_runner)
