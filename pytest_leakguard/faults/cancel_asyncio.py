"""Cancels asyncio tasks at a chosen suspension.

While a tap is installed, each new task of each loop runs through a `Stepper` that
stands for its coroutine. At a suspension it may call ``task.cancel()`` from
within the step: asyncio then cancels what the step gave back, so that future,
count of requests (``cancelling``, ``uncancel``), `asyncio.timeout` and TaskGroup
see what they see when another task cancels this one while it waits.
"""

from __future__ import annotations

import asyncio
import functools
import sys
from asyncio import base_events
from collections import Counter
from collections.abc import Callable, Coroutine, Generator, Iterable, Iterator
from types import AsyncGeneratorType, CoroutineType, GeneratorType
from typing import Any

from pytest_leakguard import _real
from pytest_leakguard.faults import asyncio_awaits, await_chain, leftovers
from pytest_leakguard.faults.errors import comes_from_injected, planned
from pytest_leakguard.faults.suspensions import (
    End,
    InjectedCancellation,
    Observation,
    Register,
    Stuck,
    Suspension,
)
from pytest_leakguard.faults.timeouts import Timeout

_BORROWING = ("shield.<locals>", "_chain_future.<locals>")
"""Callbacks of a plain future that passes on the result of a task or a thread."""

_DOOMED_STEPS = 3
"""So often a task that hangs may suspend again while it is being ended."""

# an error of one of these types, raised while a cancellation is handled, is a mistake in the handler
MISTAKES = (NameError, AttributeError, TypeError, LookupError)


class Tap:
    """Makes the tasks of all loops go through steppers; what happens there is for the session, if there is one."""

    def __init__(self) -> None:
        self.session: Session | None = None
        self._users = 0
        self._undo: list[Callable[[], None]] = []

    def install(self) -> None:
        """Begin; counts its callers. Tasks that exist already are not reached."""
        self._users += 1
        if self._users > 1:
            return
        create_task = base_events.BaseEventLoop.create_task
        call_handler = base_events.BaseEventLoop.call_exception_handler
        tap = self

        def create_stepped_task(loop: Any, coro: Any, *args: Any, **kwargs: Any) -> asyncio.Task[Any]:
            if tap._users and isinstance(coro, (CoroutineType, GeneratorType)):
                coro = Stepper(coro, tap, is_root=asyncio._get_running_loop() is None)
            elif tap.session is not None:
                tap.session.note_collected(coro)
            return create_task(loop, coro, *args, **kwargs)

        def call_noting_handler(loop: Any, context: dict[str, Any]) -> None:
            if tap.session is not None:
                tap.session.note_context(context)
            call_handler(loop, context)

        for name, original, ours in (
            ("create_task", create_task, create_stepped_task),
            ("call_exception_handler", call_handler, call_noting_handler),
        ):
            setattr(base_events.BaseEventLoop, name, ours)
            self._undo.append(
                functools.partial(asyncio_awaits.put_back, base_events.BaseEventLoop, name, ours, original)
            )
        self._undo += asyncio_awaits.make_suspend(lambda: self.session is not None)

    def uninstall(self) -> None:
        """End, when all callers of `install` have."""
        self._users -= 1
        while not self._users and self._undo:
            self._undo.pop()()


class Stepper(Coroutine[Any, Any, Any]):
    """Stands for a task's coroutine and is taken for it: what is asked of it, the coroutine answers."""

    def __init__(self, coroutine: Any, tap: Tap, *, is_root: bool) -> None:
        self.stepped = coroutine
        self.is_root = is_root
        self.progress: _Progress | None = None
        self._tap = tap

    def send(self, value: Any) -> Any:
        session = self._tap.session
        if session is None and self.progress is None:
            return self.stepped.send(value)
        return self._step(session, value, None)

    def throw(self, error: Any, value: Any = None, traceback: Any = None) -> Any:
        if not isinstance(error, BaseException):
            error = error() if value is None else value if isinstance(value, BaseException) else error(value)
        session = self._tap.session
        if session is None and self.progress is None:
            return self.stepped.throw(error)
        return self._step(session, None, error)

    def _step(self, session: Session | None, value: Any, error: BaseException | None) -> Any:
        progress = self.progress
        if progress is None or progress.session is not session:
            if progress is not None and progress.outcome is not None:
                raise progress.outcome
            progress = self.progress = None if session is None else _Progress(session)
        if progress is None:
            return self.stepped.send(value) if error is None else self.stepped.throw(error)
        try:
            return progress.session.step(self, progress, value, error)
        except BaseException:
            self.progress = None
            raise

    def close(self) -> None:
        self.stepped.close()

    def __await__(self) -> Generator[Any, Any, Any]:
        return (yield from self.stepped.__await__())

    def __getattr__(self, name: str) -> Any:
        return getattr(self.stepped, name)


class _Progress:
    """What a session keeps of one task."""

    __slots__ = ("doomed", "ending", "future", "injected", "loop", "outcome", "place", "session", "timeout", "was_told")

    def __init__(self, session: Session) -> None:
        self.session = session
        self.place: await_chain.Place | None = None
        self.future: Any = None
        self.was_told = False  # a CancelledError came in
        self.injected = 0
        self.timeout: Timeout | None = None
        self.outcome: BaseException | None = None  # of a coroutine that ended, while its loop runs on for a moment
        self.ending: Iterator[Any] | None = None
        self.doomed = 0


class Session:
    """One count or one trial.

    Args:
        background: tasks by name that outlive the outermost coroutine without a fault too; not waited for.
        again: after the first cancellation, cancel once more at the task's nth suspension from there.
        hang_seconds: after the cancellation, the tasks have so long to end.
    """

    def __init__(
        self,
        register: Register,
        observation: Observation,
        *,
        background: Counter[str] | None = None,
        again: int = 0,
        hang_seconds: float = 5.0,
    ) -> None:
        self.register = register
        self.seen = observation
        self.scope: Any = None  # of anyio's, around the coroutine under test
        self.level = False
        self._background = Counter() if background is None else background
        self._again = again
        self._hang_seconds = hang_seconds
        self._watchdog: asyncio.TimerHandle | None = None
        self._hung = False

    # -- steps

    def step(self, stepper: Stepper, progress: _Progress, value: Any, error: BaseException | None) -> Any:
        """One step of a task: what its coroutine yields. Raises what ends it."""
        if progress.outcome is not None:
            return self._run_on(progress)
        if error is None and progress.place is not None and self._came_for_woken(stepper, progress):
            return None
        if isinstance(error, asyncio.CancelledError):
            self._note_arrival(progress, error)
        try:
            if progress.timeout is not None:
                with progress.timeout.translating():
                    yielded = self._resume(stepper, value, error)
            else:
                yielded = self._resume(stepper, value, error)
        except BaseException as outcome:
            self._note_end(progress, outcome)
            if not stepper.is_root:
                raise
            progress.outcome, progress.ending = outcome, self._ending(asyncio.get_running_loop())
            return self._run_on(progress)
        finally:
            del error
        return self._suspended(stepper, progress, yielded)

    def _resume(self, stepper: Stepper, value: Any, error: BaseException | None) -> Any:
        return stepper.stepped.send(value) if error is None else stepper.stepped.throw(error)

    def _suspended(self, stepper: Stepper, progress: _Progress, yielded: Any) -> Any:
        if self._hung:
            progress.doomed += 1
            if progress.doomed > _DOOMED_STEPS:
                _abandon(stepper.stepped)
                raise asyncio.CancelledError("given up by pytest-leakguard: the task does not end")
        place = await_chain.locate(
            stepper.stepped,
            type(yielded).__name__.lstrip("_") if yielded is not None else "yield",
            is_target=self.register.is_target,
            path_of=self.register.path_of,
        )
        progress.place, progress.future = place, yielded if _is_for_target_alone(place, yielded) else None
        task = asyncio.current_task()
        assert task is not None
        if progress.timeout is not None and progress.timeout.is_over(self._awaited_in(stepper)):
            progress.timeout = None
        if progress.injected:
            self.seen.after += 1
            if self.seen.after == self._again:
                self._cancel(task, progress, place, "a second cancellation during the clean-up of the first")
        if place is not None and not asyncio_awaits.loses_its_result(place.within):
            wanted = self._meet(stepper, task, progress, place, woken=False)
            if wanted is not None:
                self._deliver(stepper, task, progress, place, wanted)
        return yielded

    def _came_for_woken(self, stepper: Stepper, progress: _Progress) -> bool:
        """Whether the wait is over, but the task is cancelled before it is back."""
        place, future = progress.place, progress.future
        progress.place = progress.future = None
        if place is None or future is None or not future.done() or self.register.family != "cancel":
            return False
        task = asyncio.current_task()
        assert task is not None
        wanted = self._meet(stepper, task, progress, place, woken=True)
        if wanted is None:
            return False
        self._cancel(task, progress, place, wanted.told)
        return True

    def _meet(
        self, stepper: Stepper, task: asyncio.Task[Any], progress: _Progress, place: await_chain.Place, *, woken: bool
    ) -> Suspension | None:
        return self.register.meet(
            place,
            task=leftovers.name_of(stepper),
            spawned=not stepper.is_root,
            told="the task was being cancelled already" if _is_cancelling(task, progress) else "",
            woken=woken,
        )

    # -- delivery

    def _deliver(
        self,
        stepper: Stepper,
        task: asyncio.Task[Any],
        progress: _Progress,
        place: await_chain.Place,
        wanted: Suspension,
    ) -> None:
        self.seen.spawned = wanted.spawned
        if self.register.family == "cancel":
            self._cancel(task, progress, place, wanted.told)
            return
        chain = list(await_chain.links(stepper.stepped))
        index = await_chain.innermost_target(chain, self.register.is_target)
        assert index is not None
        self._note_injection(progress, place, wanted.told)
        progress.timeout = Timeout(
            task, chain[index].frame, chain[index].awaits, message=self._message("timed out"), point_id=wanted.point.id
        )

    def _cancel(self, task: asyncio.Task[Any], progress: _Progress, place: await_chain.Place | None, told: str) -> None:
        self._note_injection(progress, place, told)
        if self.scope is not None:
            self.level = True
            self.scope.cancel()
        else:
            task.cancel(self._message("cancelled"))

    def _message(self, word: str) -> str:
        return f"{word} by pytest-leakguard at {self.register.wanted}"

    def _note_injection(self, progress: _Progress, place: await_chain.Place | None, told: str) -> None:
        self.seen.injected += 1
        progress.injected += 1
        self.seen.told = self.seen.told or told
        if place is not None and not self.seen.stack:
            self.seen.stack = place.stack
        if self._watchdog is None:
            loop = asyncio.get_running_loop()
            self._watchdog = loop.call_later(self._hang_seconds, self._end_hang, loop)

    def _note_arrival(self, progress: _Progress, error: asyncio.CancelledError) -> None:
        progress.was_told = True
        if progress.injected and progress.timeout is None:
            planned(error, self.register.wanted or "")
            self.seen.error = self.seen.error or f"{type(error).__name__}: {error}".rstrip(": ")

    def _awaited_in(self, stepper: Stepper) -> object:
        chain = list(await_chain.links(stepper.stepped))
        index = await_chain.innermost_target(chain, self.register.is_target)
        return None if index is None else chain[index].awaits

    # -- the end of a task, of the outermost one, of a run that hangs

    def _note_end(self, progress: _Progress, outcome: BaseException) -> None:
        if not progress.injected:
            return
        if progress.timeout is not None and progress.timeout.error is not None:
            self.seen.error = f"{type(progress.timeout.error).__name__}: {progress.timeout.error}"
        task = asyncio.current_task()
        if isinstance(outcome, StopIteration):
            self.seen.end = self._kind_of_return(task)
        elif isinstance(outcome, (asyncio.CancelledError, InjectedCancellation)):
            self.seen.end = "cancelled"
        elif isinstance(outcome, asyncio.TimeoutError) and comes_from_injected(outcome):
            self.seen.end = "timed out"
        else:
            self.seen.end = "raised"
            self.seen.ended_with = f"{type(outcome).__name__}: {outcome}".rstrip(": ")
            self.seen.in_handler = isinstance(outcome, MISTAKES) and comes_from_injected(outcome)

    def _kind_of_return(self, task: asyncio.Task[Any] | None) -> End:
        if self.level:
            return "completed"
        if sys.version_info >= (3, 11) and self.register.family == "cancel" and task is not None:
            return "returned" if task.cancelling() else "uncancelled"
        return "returned"

    def _run_on(self, progress: _Progress) -> Any:
        assert progress.ending is not None
        assert progress.outcome is not None
        for yielded in progress.ending:
            return yielded
        outcome, progress.outcome = progress.outcome, None
        try:
            raise outcome
        finally:
            del outcome

    def _ending(self, loop: asyncio.AbstractEventLoop) -> Iterator[Any]:
        """Let the loop go on as long as something ends by itself, then note what is left."""
        for seconds in leftovers.WAITS:
            names = Counter(leftovers.name_of(task.get_coro()) for task in leftovers.spawned_tasks(loop))
            if names <= self._background or self._hung:
                break
            yield from leftovers.pause(loop, seconds)
        if self._watchdog is not None:
            self._watchdog.cancel()
        if not self._hung:
            self.seen.pending += tuple(self._describe(task) for task in leftovers.spawned_tasks(loop))
        # asyncio keeps them for shutdown_asyncgens; other loops may not
        self.seen.open_generators += self._count_open(list(getattr(loop, "_asyncgens", ())))

    def _end_hang(self, loop: asyncio.AbstractEventLoop, left: int = 20) -> None:
        """Note where all tasks wait, and end them, by force in the end."""
        pending = leftovers.other_tasks(loop)
        if not self._hung:
            self._hung = True
            self.seen.stuck = tuple(self._describe(task) for task in pending)
        for task in pending:
            task.cancel("ended by pytest-leakguard: the run hangs")
        if pending and left:
            self._watchdog = loop.call_later(0.01, self._end_hang, loop, left - 1)

    def _describe(self, task: asyncio.Task[Any]) -> Stuck:
        return leftovers.describe(task, is_target=self.register.is_target, path_of=self.register.path_of)

    def note_collected(self, closer: object) -> None:
        """A loop closes what the collector found: an async generator that nobody had closed."""
        if type(closer).__name__ == "async_generator_athrow":
            generators = [one for one in _real.gc_get_referents(closer) if isinstance(one, AsyncGeneratorType)]
            self.seen.collected_generators += self._count_open(generators)

    def _count_open(self, generators: Iterable[AsyncGeneratorType[Any, Any]]) -> Counter[str]:
        return leftovers.count_open_generators(
            generators, is_target=self.register.is_target, path_of=self.register.path_of
        )

    def note_context(self, context: dict[str, Any]) -> None:
        """What a loop tells its exception handler."""
        error = context.get("exception")
        if error is not None and "never retrieved" in context.get("message", ""):
            self.seen.unretrieved.append(f"{type(error).__name__}: {error}".rstrip(": "))


def _is_cancelling(task: asyncio.Task[Any], progress: _Progress) -> bool:
    if sys.version_info >= (3, 11):
        return bool(task.cancelling())
    return progress.was_told


def _is_for_target_alone(place: await_chain.Place | None, future: Any) -> bool:
    """Whether target code has to look after what a future brings: it awaits it itself, and no task gives it.

    Functions of others give back what arrives too late, or lose it in a way that
    their callers can do nothing about.
    """
    if place is None or place.within or not isinstance(future, asyncio.Future) or isinstance(future, asyncio.Task):
        return False
    if type(future).__name__ == "_GatheringFuture":
        return False
    callbacks = (getattr(callback, "__qualname__", "") for callback, _ in getattr(future, "_callbacks", None) or ())
    return not any(name.startswith(_BORROWING) for name in callbacks)


def _abandon(coroutine: Any) -> None:
    """Close a coroutine that does not end; it may refuse even that."""
    try:
        coroutine.close()
    except BaseException:
        pass
