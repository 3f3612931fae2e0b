"""Cancels asyncio tasks at a chosen suspension.

The steps of all tasks come by here (see `steppers`). At the wanted suspension
``task.cancel()`` is called from within the step: asyncio then cancels what the
step gave back, so that the future, the count of requests (``cancelling``,
``uncancel``), `asyncio.timeout` and TaskGroup see what they see when another task
cancels this one while it waits.
"""

from __future__ import annotations

import asyncio
import sys
from collections import Counter
from collections.abc import Iterable, Iterator
from types import AsyncGeneratorType
from typing import Any

from pytest_leakguard import _real
from pytest_leakguard.faults import asyncio_awaits, await_chain, force, leftovers
from pytest_leakguard.faults.errors import comes_from_injected, planned
from pytest_leakguard.faults.steppers import Progress, Stepper
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

_END_AGAIN_SECONDS = 0.01
"""After so long what hangs is cancelled once more, until the trial is over."""

# an error of one of these types, raised while a cancellation is handled, is a mistake in the handler
MISTAKES = (NameError, AttributeError, TypeError, LookupError)


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

    def step(self, stepper: Stepper, progress: Progress, value: Any, error: BaseException | None) -> Any:
        """One step of a task: what its coroutine yields. Raises what ends it."""
        self.seen.has_loop = True
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
            if not stepper.is_root or isinstance(outcome, (KeyboardInterrupt, SystemExit)):
                raise
            progress.outcome, progress.ending = outcome, self._ending(asyncio.get_running_loop())
            return self._run_on(progress)
        finally:
            del error
        return self._suspended(stepper, progress, yielded)

    def _resume(self, stepper: Stepper, value: Any, error: BaseException | None) -> Any:
        return stepper.stepped.send(value) if error is None else stepper.stepped.throw(error)

    def _suspended(self, stepper: Stepper, progress: Progress, yielded: Any) -> Any:
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
            self._note_timeout(progress)
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

    def _came_for_woken(self, stepper: Stepper, progress: Progress) -> bool:
        """Whether the wait is over, but the task is cancelled before it is back."""
        place, future = progress.place, progress.future
        progress.place = progress.future = None
        if place is None or future is None or self.register.family != "cancel":
            return False
        task = asyncio.current_task()
        assert task is not None
        wanted = self._meet(stepper, task, progress, place, woken=True)
        if wanted is None:
            return False
        self._cancel(task, progress, place, wanted.told)
        return True

    def _meet(
        self, stepper: Stepper, task: asyncio.Task[Any], progress: Progress, place: await_chain.Place, *, woken: bool
    ) -> Suspension | None:
        wanted = self.register.meet(
            place,
            task=leftovers.name_of(stepper),
            spawned=not stepper.is_root,
            told="the task was being cancelled already" if _is_cancelling(task, progress) else "",
            woken=woken,
        )
        if wanted is not None:
            self.seen.spawned = wanted.spawned
            self.seen.comes_in(stepper.stepped)
        return wanted

    # -- delivery

    def _deliver(
        self,
        stepper: Stepper,
        task: asyncio.Task[Any],
        progress: Progress,
        place: await_chain.Place,
        wanted: Suspension,
    ) -> None:
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

    def _cancel(self, task: asyncio.Task[Any], progress: Progress, place: await_chain.Place | None, told: str) -> None:
        self._note_injection(progress, place, told)
        if self.scope is not None:
            self.level = True
            self.scope.cancel()
        else:
            task.cancel(self._message("cancelled"))

    def _message(self, word: str) -> str:
        return f"{word} by pytest-leakguard at {self.register.wanted}"

    def _note_injection(self, progress: Progress, place: await_chain.Place | None, told: str) -> None:
        self.seen.injected += 1
        progress.injected += 1
        self.seen.told = self.seen.told or told
        if place is not None and not self.seen.stack:
            self.seen.stack = place.stack
        if self._watchdog is None:
            loop = asyncio.get_running_loop()
            self._watchdog = loop.call_later(self._hang_seconds, self._end_hang, loop)

    def _note_arrival(self, progress: Progress, error: asyncio.CancelledError) -> None:
        progress.was_told = True
        if progress.injected and progress.timeout is None:
            planned(error, self.register.wanted or "")
            self.seen.error = self.seen.error or f"{type(error).__name__}: {error}".rstrip(": ")

    def _note_timeout(self, progress: Progress) -> None:
        error = None if progress.timeout is None else progress.timeout.error
        if error is not None:
            self.seen.error = self.seen.error or f"{type(error).__name__}: {error}".rstrip(": ")

    def _awaited_in(self, stepper: Stepper) -> object:
        chain = list(await_chain.links(stepper.stepped))
        index = await_chain.innermost_target(chain, self.register.is_target)
        return None if index is None else chain[index].awaits

    # -- the end of a task, of the outermost one, of a run that hangs

    def _note_end(self, progress: Progress, outcome: BaseException) -> None:
        if not progress.injected:
            return
        self._note_timeout(progress)
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

    def _run_on(self, progress: Progress) -> Any:
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
        self.end()  # what is waited for from here on is no hang
        for seconds in leftovers.WAITS:
            names = Counter(leftovers.name_of(task.get_coro()) for task in leftovers.spawned_tasks(loop))
            if names <= self._background or self._hung:
                break
            yield from leftovers.pause(loop, seconds)
        if not self._hung:
            self.seen.pending += tuple(self._describe(task) for task in leftovers.spawned_tasks(loop))
        # asyncio keeps them for shutdown_asyncgens; nothing promises that it always will
        self.seen.open_generators += self._count_open(list(getattr(loop, "_asyncgens", ())))

    def _end_hang(self, loop: asyncio.AbstractEventLoop) -> None:
        """Note where all tasks wait, and end them, by force in the end."""
        pending = asyncio.all_tasks(loop)  # none of them runs: this is a callback of the loop
        if not self._hung:
            self._hung = True
            force.note()
            self.seen.stuck = tuple(self._describe(task) for task in pending)
        for task in pending:
            task.cancel("ended by pytest-leakguard: the run hangs")
        if pending:
            self._watchdog = loop.call_later(_END_AGAIN_SECONDS, self._end_hang, loop)

    def _describe(self, task: asyncio.Task[Any]) -> Stuck:
        return leftovers.describe(task, is_target=self.register.is_target, path_of=self.register.path_of)

    def end(self) -> None:
        """The run is over; its loop may live on, and other runs with it."""
        if self._watchdog is not None:
            self._watchdog.cancel()

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
            text = f"{type(error).__name__}: {error}".rstrip(": ")
            self.seen.unretrieved.append(text)
            if context["message"].startswith("Task"):
                self.seen.of_tasks.append(text)


def _is_cancelling(task: asyncio.Task[Any], progress: Progress) -> bool:
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
