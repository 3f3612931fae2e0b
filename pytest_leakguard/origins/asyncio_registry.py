"""The weak sets in which asyncio and trio keep their tasks and generators, made to tell of what they get.

A set keeps being the same object with the same methods; only its class is exchanged.
"""

from __future__ import annotations

import sys
import weakref
from collections.abc import Callable
from functools import wraps
from typing import Any, Protocol

from pytest_leakguard import _real
from pytest_leakguard.origins.hook import note_failure


class Listener(Protocol):
    """Who is told; `frame` is the code that makes or iterates."""

    @property
    def registry_tells(self) -> bool:
        """Whether tasks are to be told as the registry gets them, or else as `create_task` gives them."""

    def note_task(self, task: Any, frame: Any) -> None:
        """A task was made."""

    def note_generator(self, generator: Any, frame: Any) -> None:
        """An asynchronous generator is iterated for the first time."""

    def note_closing(self, generators: Any, frame: Any) -> None:
        """trio is about to close what is left of a run's generators."""


listeners: list[Listener] = []
"""Only the last one is told: a session may run inside a test of another."""


_add = weakref.WeakSet.add


class TaskSet(weakref.WeakSet):  # type: ignore[type-arg]
    """asyncio's registry of tasks, with an `add` that tells."""

    def add(self, item: Any) -> None:
        _add(self, item)
        if listeners and listeners[-1].registry_tells:
            try:  # as `_tell`, at half the cost
                listeners[-1].note_task(item, _real.getframe(1))
            except Exception as error:
                note_failure(error)


class OtherTaskSet(TaskSet):
    """A registry of those tasks only that 3.14 does not keep in lists of C; others are told by `create_task`."""

    def add(self, item: Any) -> None:
        _add(self, item)
        if listeners:
            _tell("note_task", item, _real.getframe(1))


class GeneratorSet(weakref.WeakSet):  # type: ignore[type-arg]
    """A loop's or a trio run's registry of asynchronous generators, with an `add` that tells."""

    def add(self, item: Any) -> None:
        super().add(item)
        if listeners:
            # the caller is the loop's own hook; the one that iterates is behind it
            _tell("note_generator", item, _real.getframe(1).f_back)

    def __iter__(self) -> Any:
        if listeners and _real.getframe(1).f_code.co_name == "finalize_remaining":
            _tell("note_closing", list(super().__iter__()), None)
        return super().__iter__()


def wrap_create_task(loop_class: Any) -> Callable[[], None]:
    """Where no registry tells: stand in for the method of the base class of loops.

    A factory of the user's is called inside it as ever.
    Returns: what undoes it.
    """
    real = loop_class.create_task

    @wraps(real)
    def create_task(self: Any, *args: Any, **kwargs: Any) -> Any:
        task = real(self, *args, **kwargs)
        if listeners and not listeners[-1].registry_tells and not task.done():
            _tell("note_task", task, _real.getframe(1))
        return task

    loop_class.create_task = create_task

    def undo() -> None:
        if loop_class.create_task is create_task:
            loop_class.create_task = real

    return undo


def _tell(what: str, item: Any, frame: Any) -> None:
    try:
        getattr(listeners[-1], what)(item, frame)
    except Exception as error:  # an error of ours must never come out of the user's call
        note_failure(error)


def watch_registry(tasks: Any) -> Callable[[], None] | None:
    """Exchange the class of asyncio's registry of tasks.

    Returns: what undoes it once nobody listens any more; None when there is no such registry.
    """
    registry = getattr(tasks, "_scheduled_tasks", None)  # 3.12 and later
    registry = getattr(tasks, "_all_tasks", None) if registry is None else registry
    if type(registry) not in (weakref.WeakSet, TaskSet):
        return None
    return _exchange([registry], TaskSet)


def watch_other_tasks(tasks: Any) -> Callable[[], None]:
    """Exchange the class of the sets that 3.14 has for tasks not written in C.

    One is for asyncio's own class written in Python, and those derived from it; the other one, which only the C module
    refers to, for classes that are no `asyncio.Task` at all.
    Returns: what undoes it once nobody listens any more.
    """
    candidates = [getattr(tasks, "_scheduled_tasks", None)]
    extension = sys.modules.get("_asyncio")
    if extension is not None:
        candidates += _real.gc_get_referents(extension)
    return _exchange([each for each in candidates if type(each) in (weakref.WeakSet, OtherTaskSet)], OtherTaskSet)


def _exchange(registries: list[Any], kind: type) -> Callable[[], None]:
    for registry in registries:
        registry.__class__ = kind

    def undo() -> None:
        if not listeners:
            for registry in registries:
                registry.__class__ = weakref.WeakSet

    return undo


def watch_generators(loop: Any) -> None:
    """See the asynchronous generators that a loop gets to know from now on."""
    _watch_set(getattr(loop, "_asyncgens", None))


_TRIO = "trio._core._asyncgens"


def watch_trio(frame: Any) -> None:
    """The same for a run of trio: it keeps them on the object that sets the hooks in that frame."""
    # its globals first: asking for the code raises an audit event
    if frame is not None and frame.f_globals.get("__name__") == _TRIO and frame.f_code.co_name == "install_hooks":
        _watch_set(getattr(frame.f_locals.get("self"), "alive", None))


def _watch_set(generators: Any) -> None:
    if type(generators) is weakref.WeakSet:
        generators.__class__ = GeneratorSet
