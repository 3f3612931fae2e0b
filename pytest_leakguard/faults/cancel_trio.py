"""Cancels trio runs at a chosen suspension, level triggered: from then on every checkpoint is cancelled.

trio tells an instrument of each step of each task. At the wanted suspension the
scope around the coroutine under test is cancelled, else the whole main task;
the tasks that it has started are inside that scope, so all of them are told.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import trio
from trio._core import _run as trio_run

from pytest_leakguard.faults import await_chain, force, leftovers
from pytest_leakguard.faults.cancel_asyncio import MISTAKES
from pytest_leakguard.faults.suspensions import Observation, Register


class TrioSession(trio.abc.Instrument):
    """One count or one trial. See `cancel_asyncio.Session` for the arguments."""

    def __init__(self, register: Register, observation: Observation, *, hang_seconds: float = 5.0) -> None:
        self.register = register
        self.seen = observation
        self.scope: Any = None
        self._hang_seconds = hang_seconds

    def after_task_step(self, task: trio.lowlevel.Task) -> None:
        self.seen.has_loop = True
        place = await_chain.locate(task.coro, "yield", is_target=self.register.is_target, path_of=self.register.path_of)
        if place is None:
            return
        main = _main_task(task)
        wanted = self.register.meet(place, task=task.name, spawned=task is not main)
        if wanted is None:
            return
        self.seen.injected += 1
        self.seen.error = "Cancelled"
        self.seen.spawned = wanted.spawned
        self.seen.stack = place.stack
        self.seen.comes_in(task.coro)
        trio.lowlevel.spawn_system_task(self._watch, main)
        scope = self.scope
        if scope is None and main.parent_nursery is not None:
            scope = main.parent_nursery.cancel_scope
        if scope is not None:
            scope.cancel()

    async def _watch(self, main: trio.lowlevel.Task) -> None:
        """End a run that hangs: only a shielded wait can, after a cancellation."""
        await trio.sleep(self._hang_seconds)
        tasks = list(_with_children(main))
        self.seen.stuck = tuple(
            leftovers.describe_coroutine(task.coro, is_target=self.register.is_target, path_of=self.register.path_of)
            for task in tasks
        )
        force.note()
        for task in tasks:
            _unshield(task)

    def note_outcome(self, error: BaseException | None) -> None:
        """How the coroutine under test ended, with trio's own Cancelled taken out."""
        if not self.seen.injected:
            return
        if error is None:
            self.seen.end = "completed"
        elif isinstance(error, trio.Cancelled):
            self.seen.end = "cancelled"
        else:
            self.seen.end = "raised"
            self.seen.ended_with = f"{type(error).__name__}: {error}".rstrip(": ")
            self.seen.in_handler = any(isinstance(one, MISTAKES) and _after_cancel(one) for one in _members(error))


def _main_task(task: trio.lowlevel.Task) -> trio.lowlevel.Task:
    root = trio.lowlevel.current_root_task()
    while task.parent_nursery is not None and task.parent_nursery.parent_task is not root:
        task = task.parent_nursery.parent_task
    return task


def _with_children(task: trio.lowlevel.Task) -> Iterator[trio.lowlevel.Task]:
    yield task
    for nursery in task.child_nurseries:
        for child in nursery.child_tasks:
            yield from _with_children(child)


def _unshield(task: trio.lowlevel.Task) -> None:
    status = getattr(task, "_cancel_status", None)
    while status is not None:
        status._scope.shield = False
        status = status.parent


def _members(error: BaseException) -> Iterator[BaseException]:
    members = getattr(error, "exceptions", None)
    if not members:
        yield error
    for member in members or ():
        yield from _members(member)


def _after_cancel(error: BaseException) -> bool:
    seen: set[int] = set()
    one: BaseException | None = error
    while one is not None and id(one) not in seen:
        if isinstance(one, trio.Cancelled):
            return True
        seen.add(id(one))
        one = one.__cause__ or one.__context__
    return False


class TrioTap:
    """Puts an instrument of ours into each trio run; it does nothing unless there is a session."""

    def __init__(self) -> None:
        self.session: TrioSession | None = None
        self._users = 0
        self._undo: Callable[[], None] | None = None

    def install(self) -> None:
        """Begin; counts its callers. trio has no hook for all runs: `run` and guest mode share one function."""
        self._users += 1
        if self._users > 1:
            return
        original = trio_run.setup_runner
        instrument = _Relay(self)

        def setup_instrumented(clock: Any, instruments: Any, *args: Any, **kwargs: Any) -> Any:
            return original(clock, [*instruments, instrument], *args, **kwargs)

        trio_run.setup_runner = setup_instrumented

        def undo() -> None:
            if trio_run.setup_runner is setup_instrumented:
                trio_run.setup_runner = original

        self._undo = undo

    def uninstall(self) -> None:
        """End, when all callers of `install` have."""
        self._users -= 1
        if not self._users and self._undo is not None:
            self._undo()
            self._undo = None


class _Relay(trio.abc.Instrument):
    """Hands steps on to the session of the moment: a run may outlive it."""

    def __init__(self, tap: TrioTap) -> None:
        self._tap = tap

    def after_task_step(self, task: trio.lowlevel.Task) -> None:
        if self._tap.session is not None:
            self._tap.session.after_task_step(task)


@contextmanager
def cancellable(session: TrioSession) -> Iterator[trio.CancelScope]:
    """A scope around the coroutine under test; the session cancels it instead of the main task."""
    with trio.CancelScope() as scope:
        session.scope = scope
        try:
            yield scope
        except BaseException as error:
            session.note_outcome(error)
            raise
        else:
            session.note_outcome(None)
        finally:
            session.scope = None
