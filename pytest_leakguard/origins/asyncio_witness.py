"""Sees asyncio's tasks and asynchronous generators come into being, rest and end, from beside the loop.

Nothing of the user's is replaced: no task factory, no asyncgen hook, no policy, no method of a loop or a
task. What tells, on 3.10 to 3.14:

* *made*: asyncio adds each task that is not done after its first eager step to one weak set, whoever made it
  (`create_task`, a task factory, `asyncio.Task`, uvloop); a loop does the same with each asynchronous
  generator at its first iteration. The class of these sets is exchanged for a subclass whose `add` notes
  the stack. 3.14 keeps tasks written in C in a list of its own, and only others in such sets; there
  ``BaseEventLoop.create_task`` is wrapped too, and what a loop has pending besides is seen when it
  stops (`asyncio_direct`).
* *rests, runs*: a loop sets the asyncgen hooks when it starts and when it stops to run; that raises an
  audit event. At each stop what is pending is noted: the moment at which a test's coroutine has
  returned. At each start the stack tells whether a runner is at work on the leftovers
  (`asyncio.Runner`, `asyncio.run`, pytest-asyncio, anyio and unittest all do it in a function
  called ``_cancel_all_tasks`` or ``_tearDownAsyncioLoop``): what rested pending and was not asked to end
  by anybody else is a leak, although it is done a moment later. That is also the latest moment:
  fixtures and ``asyncTearDown`` had their chance. Where an exception such as KeyboardInterrupt broke the
  loop off before its main task was done, nobody returned from anything, and nothing is blamed.
* *destroyed*: a task that dies while its loop does not run and that rested pending never ended, unless
  somebody closed its coroutine: without a loop there is no other way to end one.

Why so: two other ways were compared on 3.10 to 3.13. Wrapping ``asyncio.runners._cancel_all_tasks``
does not see 3.10's unittest, anyio's and the backport's own copies on 3.10, nor loops that are
closed without it, nor module-level loops. Wrapping ``run_until_complete`` and ``close`` of the loop class shows
in the user's tracebacks and is passed by loops that are written in C. A task factory per loop is
what a test can see, replace, or measure.

A task that a fixture's task makes belongs to that fixture, like a thread that a fixture's thread starts.
"""

from __future__ import annotations

import sys
import weakref
from collections.abc import Callable
from types import FrameType
from typing import Any

from pytest_leakguard import _real
from pytest_leakguard.core.ledger import OUTSIDE, Context
from pytest_leakguard.origins import frames
from pytest_leakguard.origins.asyncio_direct import DirectTasks
from pytest_leakguard.origins.asyncio_registry import (
    listeners,
    watch_generators,
    watch_other_tasks,
    watch_registry,
    watch_trio,
    wrap_create_task,
)
from pytest_leakguard.origins.asyncio_stacks import (
    caller_of_run,
    is_runner_at_work,
    is_runners_own,
    is_users,
    name_of,
    was_interrupted,
    without_factory,
)
from pytest_leakguard.origins.audit import Recorder
from pytest_leakguard.origins.awaiting import has_started, held_by
from pytest_leakguard.origins.record import Record
from pytest_leakguard.origins.sighting import Sighting, What, is_due, is_ending, weakly

REGISTRY_TELLS = sys.version_info < (3, 14)

CANCELLED = "still pending when its loop stopped; only the runner cancelled it"
DESTROYED = "destroyed while it was still pending"
CLOSED = "not closed when its loop stopped; only the runner closed it"

_RUN_EVENT = "sys.set_asyncgen_hook_finalizer"
_LAST_IMPORTS = ("asyncio.unix_events", "asyncio.windows_events")


class AsyncioWitness:
    """Keeps sight of tasks and asynchronous generators until they are over or told.

    Attributes:
        registry_tells: whether tasks are seen as asyncio's own registry gets them.
        left: what ended without having been released, by serial, until it is told.
        seen: how many it saw so far; the serial of the latest.
    """

    def __init__(self, recorder: Recorder, *, registry_tells: bool = REGISTRY_TELLS) -> None:
        self._recorder = recorder
        self.registry_tells = registry_tells
        self._alive: dict[int, Sighting] = {}
        self.seen = 0
        self._tasks: Any = None
        self._step: Any = None
        self._undo: list[Callable[[], None]] = []
        self._direct = DirectTasks()
        self.left: dict[int, Sighting] = {}

    def arm(self) -> None:
        """See what is made from now on; asyncio is waited for, never imported. Twice is harmless."""
        if self in listeners:
            return
        listeners.append(self)
        self._recorder.listen({_RUN_EVENT: self._on_run})
        if not self._attach():
            self._recorder.listen({"import": self._on_import})

    def disarm(self) -> None:
        """Leave asyncio as it was found."""
        if self in listeners:
            listeners.remove(self)
        while self._undo:
            self._undo.pop()()

    @property
    def is_armed(self) -> bool:
        """Whether it watches."""
        return self in listeners

    def find(self, serial: int) -> Sighting | None:
        """What has that serial, while it is watched or waits to be told."""
        if serial in self.left:
            return self.left[serial]
        return next((sighting for sighting in self._watched() if sighting.serial == serial), None)

    def pending(self) -> list[Sighting]:
        """What is neither over nor about to be, although its loop does not run in this thread."""
        found = []
        held: set[int] = set()
        generators = []
        for sighting in self._watched():
            obj = sighting.ref()
            if obj is None or sighting.is_over(obj) or self._runs_here(sighting, obj):
                continue
            if sighting.what == "asyncgen":
                generators.append((sighting, _real.identity(obj)))
            elif not is_ending(obj):
                held |= held_by(obj.get_coro())
                # its wait is over: it goes on when the loop does, and is looked at again then
                if not is_due(obj) or sighting.is_closed():
                    found.append(sighting)
        # a generator that a pending task is in the middle of is a part of that
        return found + [sighting for sighting, identity in generators if identity not in held]

    def forget(self, serial: int) -> None:
        """Told; not watched any more, nor are the generators that it is in the middle of."""
        self.left.pop(serial, None)
        for sighting in self._watched():
            obj = sighting.ref() if sighting.serial == serial else None
            if obj is not None:
                self._alive.pop(_real.identity(obj), None)
                for part in held_by(obj.get_coro()) if sighting.what == "task" else ():
                    if part in self._alive and self._alive[part].what == "asyncgen":
                        self._alive.pop(part)

    def is_of_a_task(self, coroutine_id: int) -> bool:
        """Whether the coroutine with that id belongs to a task that is told by itself."""
        return any(sighting.coroutine_id == coroutine_id for sighting in (*self.left.values(), *self._watched()))

    def _watched(self) -> list[Sighting]:
        while True:
            try:
                return list(self._alive.values())
            except RuntimeError:  # the collector came in between, and something died
                continue

    # -- made ----------------------------------------------------------------

    def _attach(self) -> bool:
        tasks, base = sys.modules.get("asyncio.tasks"), sys.modules.get("asyncio.base_events")
        events = sys.modules.get("asyncio.events")
        if tasks is None or base is None or events is None or not hasattr(base, "BaseEventLoop"):
            return False
        self._tasks = tasks
        self._step = events.Handle._run.__code__
        undo = watch_registry(tasks) if self.registry_tells else None
        if undo is None:
            self.registry_tells = False
            undo = wrap_create_task(base.BaseEventLoop)
            if not REGISTRY_TELLS:
                self._undo.append(watch_other_tasks(tasks))
        self._undo.append(undo)
        return True

    def _on_import(self, args: Any) -> None:
        # the last module of the package: all that is needed here is loaded by then
        if args[0] in _LAST_IMPORTS and self._tasks is None and self in listeners:
            self._attach()

    def note_task(self, task: Any, frame: Any) -> None:
        """A task was made by the code of `frame`."""
        if not self._recorder.active or (not self.registry_tells and self._knows(task)):
            return  # known when `create_task` is wrapped twice: a checked session runs inside another
        loop = task.get_loop()
        watch_generators(loop)
        coroutine = task.get_coro()
        stack = without_factory(frames.walk(frame))
        if getattr(coroutine, "__name__", "") == "shutdown_asyncgens":
            if caller_of_run(stack) != "project":
                self._leave_generators(loop)
            return
        step = self._step_of(stack)
        if len(step) == len(stack) and is_runner_at_work(frame):
            return  # the runner's own
        by_callback = len(step) < len(stack) and not any(is_users(code) for code, _ in step)
        if by_callback and type(coroutine).__name__ == "async_generator_athrow":
            return  # the loop closes a generator that was dropped
        event = "create_task"
        if by_callback and hasattr(coroutine, "cr_code"):
            stack, event = ((coroutine.cr_code, 0),), "made by a callback of the event loop"
        own = is_runners_own(step)
        sighting = self._see_task(task, event, stack, OUTSIDE if own else None)
        sighting.by_callback = by_callback

    def _note_direct(self, frame: FrameType) -> None:
        """The code of `frame` starts or stops a loop: tasks that were made without `create_task` are seen now."""
        for task in self._direct.new(frame, self._tasks.all_tasks):
            coroutine = task.get_coro()
            if self._knows(task) or not hasattr(coroutine, "cr_code"):
                continue
            if self._recorder.active and not is_runner_at_work(frame):
                event = "made by asyncio.Task itself, which tells nobody where"
                sighting = self._see_task(task, event, ((coroutine.cr_code, 0),), None)
                sighting.at_rest = False  # its loop stops at this moment

    def _knows(self, task: Any) -> bool:
        known = self._alive.get(_real.identity(task))
        return known is not None and known.ref() is task

    def _see_task(self, task: Any, event: str, stack: frames.Stack, context: Context | None) -> Sighting:
        coroutine = task.get_coro()
        sighting = self._see("task", task, event, stack, task.get_loop(), context)
        sighting.body = weakly(coroutine)
        sighting.coroutine = name_of(coroutine)
        sighting.coroutine_id = _real.identity(coroutine)
        sighting.name = str(task.get_name())
        sighting.started = has_started(coroutine)
        return sighting

    def note_generator(self, generator: Any, frame: Any) -> None:
        """An asynchronous generator is iterated for the first time by the code of `frame`."""
        if self._recorder.active:
            stack = frames.walk(frame)
            sighting = self._see("asyncgen", generator, "first iteration", stack, self._running_loop(), None)
            sighting.coroutine = name_of(generator)

    def _see(
        self, what: What, obj: Any, event: str, stack: frames.Stack, loop: Any, context: Context | None
    ) -> Sighting:
        record = Record(event, None, stack, context or self._context())
        record.how = "wrap"
        self.seen += 1
        sighting = Sighting(self.seen, what, record, loop)
        identity, serial = _real.identity(obj), self.seen
        sighting.ref = weakref.ref(obj, lambda _: self._died(identity, serial))
        sighting.at_rest = not sighting.is_running()
        self._alive[identity] = sighting
        self._recorder.moves += 1
        return sighting

    def _context(self) -> Context:
        """Who owns what is made now: a task's own offspring goes with it when it is a fixture's."""
        now = self._recorder.context()
        if now.owner.kind == "test" and self._running_loop() is not None:
            parent = self._tasks.current_task()
            sighting = self._alive.get(_real.identity(parent)) if parent is not None else None
            if sighting is not None and sighting.record.context.owner.kind in ("fixture", "node"):
                made = sighting.record.context
                return Context(made.owner, made.test, now.phase)
        return now

    def _step_of(self, stack: frames.Stack) -> frames.Stack:
        """The part of a stack that is inside one step of the loop; all of it outside of any."""
        for index, (code, _) in enumerate(stack):
            if code is self._step:
                return stack[:index]
        return stack

    # -- rests, runs, ends ---------------------------------------------------

    def _on_run(self, _args: Any) -> None:
        """Some loop starts or stops to run in this thread."""
        watch_trio(_real.getframe(2))
        if self not in listeners:
            return
        if not self.registry_tells and self._tasks is not None:
            self._note_direct(_real.getframe(2))
        if not self._alive:
            return
        closes: bool | None = None
        interrupted: bool | None = None
        for sighting in self._watched():
            obj = sighting.ref()
            if obj is None:
                continue
            if sighting.is_over(obj):
                self._alive.pop(_real.identity(obj), None)
                continue
            running = sighting.is_running()
            ending = sighting.what == "task" and is_ending(obj)
            if not running and not sighting.at_rest:
                sighting.at_rest = True
                sighting.look(obj)
                if interrupted is None:
                    interrupted = was_interrupted(_real.getframe(2))
                sighting.asked = ending or interrupted
            elif sighting.at_rest and (running or ending):
                # a loop written in C (uvloop) does not count as running yet when it starts
                sighting.at_rest = not running
                if sighting.what == "task" and not sighting.asked:
                    if closes is None:
                        closes = is_runner_at_work(_real.getframe(2))
                    if closes:
                        self._leave(_real.identity(obj), sighting, CANCELLED)
                sighting.asked |= ending

    def _died(self, identity: int, serial: int) -> None:
        sighting = self._alive.get(identity)
        if sighting is None or sighting.serial != serial:
            return
        self._alive.pop(identity, None)
        if sighting.what != "task" or not sighting.at_rest or sighting.asked or sighting.was_closed():
            return
        if self in listeners:
            self._leave(identity, sighting, DESTROYED)

    def _leave_generators(self, loop: Any) -> None:
        """A runner is about to close what is left of a loop's generators."""
        for sighting in self._watched():
            obj = sighting.ref()
            if sighting.what != "asyncgen" or obj is None or sighting.loop() is not loop:
                continue
            if not sighting.is_over(obj):
                sighting.look(obj)
                self._leave(_real.identity(obj), sighting, CLOSED)

    def _leave(self, identity: int, sighting: Sighting, how: str) -> None:
        self._alive.pop(identity, None)
        if sighting.record.context.owner.kind != "nobody":
            sighting.ended = how
            if sighting.started:
                sighting.coroutine_id = 0  # awaited; when it has gone another may get its address
            self.left[sighting.serial] = sighting
            self._recorder.moves += 1

    def note_closing(self, generators: Any, _frame: Any) -> None:
        """trio is about to close what is left of a run's generators."""
        for generator in tuple(generators):
            sighting = self._alive.get(_real.identity(generator))
            if sighting is not None and sighting.ref() is generator and not sighting.is_over(generator):
                sighting.look(generator)
                self._leave(_real.identity(generator), sighting, CLOSED)

    def _running_loop(self) -> Any:
        return self._tasks.events._get_running_loop() if self._tasks is not None else None

    def _runs_here(self, sighting: Sighting, obj: Any) -> bool:
        """Whether it is in the middle of a step: this thread's own task, a generator that is being iterated."""
        if sighting.what == "asyncgen":
            return bool(obj.ag_running)
        return self._running_loop() is not None and self._tasks.current_task() is obj
