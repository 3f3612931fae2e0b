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

Nearly all tasks are over when their loop stops, so at first only the stack and the owner of the moment are kept, and
no callback. What they mean is worked out for a task that rests pending, or that is asked for.
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
    maker_of,
    name_of,
    was_interrupted,
    without_factory,
)
from pytest_leakguard.origins.audit import Recorder
from pytest_leakguard.origins.awaiting import held_by
from pytest_leakguard.origins.sighting import Sighting, What, has_work, is_due, is_ending, weakly

REGISTRY_TELLS = sys.version_info < (3, 14)

CANCELLED = "still pending when its loop stopped; only the runner cancelled it"
DESTROYED = "destroyed while it was still pending"
CLOSED = "not closed when its loop stopped; only the runner closed it"

_RUN_EVENT = "sys.set_asyncgen_hook_finalizer"
_LAST_IMPORTS = ("asyncio.unix_events", "asyncio.windows_events")
_KEPT_DEAD = 1000
"""What has died is only noticed at the next start or stop of a loop, or when so many are known."""


class AsyncioWitness:
    """Keeps sight of tasks and asynchronous generators until they are over or told.

    Attributes:
        registry_tells: whether tasks are seen as asyncio's own registry gets them.
        left: what ended without having been released, by serial, until it is told.
        seen: how many it saw so far; the serial of the latest.
        waits: what may end as soon as its loop goes on is told after the next test only.
        puts_off: there was something of that kind.
    """

    def __init__(self, recorder: Recorder, *, registry_tells: bool = REGISTRY_TELLS) -> None:
        self._recorder = recorder
        self.registry_tells = registry_tells
        self._alive: dict[int, Sighting] = {}
        self._most = _KEPT_DEAD
        self.seen = 0
        self.waits = True
        self.puts_off = False
        self._tasks: Any = None
        self._events: Any = None
        self._step: Any = None
        self._at_once: tuple[Any, ...] = ()
        self._has_fixtures = False  # a wider fixture has made something
        self._has_rested = False  # something may be at rest
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

    @property
    def is_idle(self) -> bool:
        """Whether it knows of nothing."""
        return not self._alive and not self.left

    def find(self, serial: int) -> Sighting | None:
        """What has that serial, while it is watched or waits to be told."""
        if serial in self.left:
            return self.left[serial]
        for sighting, obj in self._watched():
            if sighting.serial == serial:
                return sighting if self._settle(sighting, obj) else None
        return None

    def pending(self) -> list[Sighting]:
        """What is neither over nor about to be, although its loop does not run in this thread."""
        found = []
        held: set[int] = set()
        generators = []
        for sighting, obj in self._watched():
            if sighting.is_over(obj) or self._runs_here(sighting, obj) or not self._settle(sighting, obj):
                continue
            if sighting.what == "asyncgen":
                generators.append(sighting)
            elif not is_ending(obj):
                held |= held_by(obj.get_coro())
                # its wait is over: it goes on when the loop does, and is looked at again then
                if not (is_due(obj) or self._is_put_off(sighting)) or sighting.is_closed():
                    found.append(sighting)
        # a generator that a pending task is in the middle of is a part of that
        return found + [sighting for sighting in generators if sighting.identity not in held]

    def _is_put_off(self, sighting: Sighting) -> bool:
        """Whether it is not told yet, since its loop would run something now that may end it.

        A closed connection ends its handler that way. After one test only: what is pending after the next too is told.
        """
        now = self._recorder.context()
        if now.phase != "teardown" or not (self.waits and sighting.at_rest):  # the end of a block does not wait
            return False
        if sighting.put_off not in ("", now.test) or not has_work(sighting.loop()):
            return False
        sighting.put_off, self.puts_off = now.test, True
        return True

    def forget(self, serial: int) -> None:
        """Told; not watched any more, nor are the generators that it is in the middle of."""
        self.left.pop(serial, None)
        for sighting, obj in self._watched():
            if sighting.serial == serial:
                self._drop(sighting)
                for part in held_by(obj.get_coro()) if sighting.what == "task" else ():
                    if part in self._alive and self._alive[part].what == "asyncgen":
                        self._alive.pop(part)

    def is_of_a_task(self, coroutine_id: int) -> bool:
        """Whether the coroutine with that id belongs to a task that is told by itself."""
        if any(sighting.coroutine_id == coroutine_id for sighting in self.left.values()):
            return True
        return any(
            sighting.what == "task" and _real.identity(obj.get_coro()) == coroutine_id
            for sighting, obj in self._watched()
        )

    def _watched(self) -> list[tuple[Sighting, Any]]:
        """What is alive, each with the object itself; what has died is forgotten."""
        while True:
            try:
                known = list(self._alive.values())
                break
            except RuntimeError:  # the collector came in between, and something died
                continue
        found = []
        for sighting in known:
            obj = sighting.ref()
            if obj is None:
                self._drop(sighting)
            else:
                found.append((sighting, obj))
        return found

    def _drop(self, sighting: Sighting) -> None:
        if self._alive.get(sighting.identity) is sighting:  # and not one that took its place in memory
            self._alive.pop(sighting.identity, None)

    # -- made ----------------------------------------------------------------

    def _attach(self) -> bool:
        tasks, base = sys.modules.get("asyncio.tasks"), sys.modules.get("asyncio.base_events")
        events = sys.modules.get("asyncio.events")
        if tasks is None or base is None or events is None or not hasattr(base, "BaseEventLoop"):
            return False
        self._tasks, self._events = tasks, events
        self._step = events.Handle._run.__code__
        runner = getattr(sys.modules.get("asyncio.runners"), "Runner", None)  # 3.11 and later
        runs = [base.BaseEventLoop.run_until_complete, *([runner.run] if runner is not None else ())]
        self._at_once = tuple(run.__code__ for run in runs)
        undo = watch_registry(tasks) if self.registry_tells else None
        if undo is None:
            self.registry_tells = False
            undo = wrap_create_task(base.BaseEventLoop)
            if not REGISTRY_TELLS:
                self._undo.append(watch_other_tasks(tasks))
        self._undo.append(undo)
        return True

    def _on_import(self, args: Any, _frame: object) -> None:
        # the last module of the package: all that is needed here is loaded by then
        if args[0] in _LAST_IMPORTS and self._tasks is None and self in listeners:
            self._attach()

    def note_task(self, task: Any, frame: Any) -> None:
        """A task was made by the code of `frame`."""
        if not self._recorder.active or (not self.registry_tells and self._knows(task)):
            return  # known when `create_task` is wrapped twice: a checked session runs inside another
        loop = task.get_loop()
        watch_generators(loop)
        if getattr(task.get_coro(), "__name__", "") == "shutdown_asyncgens":
            self._generators_closing(loop, frame)
            return
        sighting = self._see("task", task, frames.walk(frame))
        if self._events._get_running_loop() is loop or loop.is_running() or self._is_run_at_once(sighting.stack):
            return
        if self._settle(sighting, task):
            self._rest(sighting, task)

    def _is_run_at_once(self, stack: frames.Stack) -> bool:
        """Whether asyncio itself has made a task in order to run the loop for it: it does not rest before."""
        return any(code in self._at_once for code, _ in stack[1:5])

    def _settle(self, sighting: Sighting, obj: Any) -> bool:
        """Work out from the stack where it was made, and whose it is; False for what is no test's: forgotten."""
        if sighting.record is not None:
            return True
        if sighting.what == "asyncgen":
            sighting.coroutine = name_of(obj)
            sighting.settle("first iteration", sighting.stack, sighting.context)
            return True
        maker = maker_of(sighting.stack, self._step, obj.get_coro())
        if maker is None:
            self._drop(sighting)
            return False
        sighting.by_callback = maker.is_callback
        sighting.identify(obj)
        sighting.settle(maker.event, maker.stack, OUTSIDE if maker.is_runner else sighting.context)
        return True

    def _note_direct(self, frame: FrameType) -> None:
        """The code of `frame` starts or stops a loop: tasks that were made without `create_task` are seen now."""
        for task in self._direct.new(frame, self._tasks.all_tasks):
            coroutine = task.get_coro()
            if self._knows(task) or not hasattr(coroutine, "cr_code"):
                continue
            if self._recorder.active and not is_runner_at_work(frame):
                event = "made by asyncio.Task itself, which tells nobody where"
                sighting = self._see("task", task, ((coroutine.cr_code, 0),))
                sighting.identify(task)
                sighting.settle(event, sighting.stack, sighting.context)

    def _knows(self, task: Any) -> bool:
        known = self._alive.get(_real.identity(task))
        return known is not None and known.ref() is task

    def note_generator(self, generator: Any, frame: Any) -> None:
        """An asynchronous generator is iterated for the first time by the code of `frame`."""
        if self._recorder.active:
            sighting = self._see("asyncgen", generator, frames.walk(frame))
            loop = self._running_loop()
            sighting.loop_of_generator = weakly(loop)
            if not sighting.is_running():
                self._rest(sighting, generator)

    def _see(self, what: What, obj: Any, stack: frames.Stack) -> Sighting:
        self.seen += 1
        context = self._context()
        if context.owner.kind != "test" and context is not OUTSIDE:
            self._has_fixtures = True
        sighting = Sighting(self.seen, what, obj, stack, context)
        self._alive[sighting.identity] = sighting
        if len(self._alive) > self._most:
            self._most = 2 * len(self._watched()) + _KEPT_DEAD
        self._recorder.moves += 1
        return sighting

    def _context(self) -> Context:
        """Who owns what is made now: a task's own offspring goes with it when it is a fixture's."""
        now = self._recorder.context()
        if not self._has_fixtures or now.owner.kind != "test" or self._running_loop() is None:
            return now
        parent = self._tasks.current_task()
        sighting = self._alive.get(_real.identity(parent)) if parent is not None else None
        if sighting is not None and sighting.context.owner.kind in ("fixture", "node"):
            self._settle(sighting, parent)
            made = sighting.record.context if sighting.record is not None else OUTSIDE
            if made is not OUTSIDE:
                return Context(made.owner, made.test, now.phase)
        return now

    # -- rests, runs, ends ---------------------------------------------------

    def _on_run(self, _args: Any, frame: FrameType | None) -> None:
        """Some loop starts or stops to run in this thread."""
        watch_trio(frame)
        if self not in listeners:
            return
        if frame is not None and not self.registry_tells and self._tasks is not None:
            self._note_direct(frame)
        if not self._alive:
            return
        if not self._has_rested and sys.get_asyncgen_hooks().finalizer is None:
            return  # a loop starts, and would set nothing going again
        self._has_rested = False
        closes: bool | None = None
        interrupted: bool | None = None
        for sighting, obj in self._watched():
            if sighting.is_over(obj):
                self._drop(sighting)
                continue
            running = sighting.is_running()
            if running and not sighting.at_rest:
                continue
            ending = sighting.what == "task" and is_ending(obj)
            if not sighting.at_rest:
                if not self._settle(sighting, obj):
                    continue
                self._rest(sighting, obj)
                sighting.look(obj)
                if interrupted is None:
                    interrupted = was_interrupted(frame)
                sighting.asked = ending or interrupted
            elif running or ending:
                # a loop written in C (uvloop) does not count as running yet when it starts
                sighting.at_rest = not running
                if sighting.what == "task" and not sighting.asked:
                    if closes is None:
                        closes = is_runner_at_work(frame)
                    if closes:
                        self._leave(sighting, CANCELLED)
                sighting.asked |= ending
            if sighting.at_rest:
                self._has_rested = True

    def _rest(self, sighting: Sighting, obj: Any) -> None:
        """Its loop does not run, and it is not over: from now on its death is told."""
        sighting.at_rest = self._has_rested = True
        if sighting.what == "task" and sighting.guard is None:
            sighting.guard = weakref.ref(obj, lambda _: self._died(sighting))

    def _died(self, sighting: Sighting) -> None:
        if self._alive.get(sighting.identity) is not sighting:
            return
        self._drop(sighting)
        if sighting.at_rest and not sighting.asked and not sighting.was_closed() and self in listeners:
            self._leave(sighting, DESTROYED)

    def _generators_closing(self, loop: Any, frame: Any) -> None:
        """What is left of a loop's generators is about to be closed; by a runner, unless it is the project itself."""
        left = [
            (sighting, obj)
            for sighting, obj in self._watched()
            if sighting.what == "asyncgen" and sighting.loop() is loop and not sighting.is_over(obj)
        ]
        if left and caller_of_run(without_factory(frames.walk(frame))) != "project":
            for sighting, obj in left:
                self._leave_generator(sighting, obj)

    def _leave_generator(self, sighting: Sighting, obj: Any) -> None:
        sighting.look(obj)
        if self._settle(sighting, obj):
            self._leave(sighting, CLOSED)

    def _leave(self, sighting: Sighting, how: str) -> None:
        self._drop(sighting)
        if sighting.record is not None and sighting.record.context.owner.kind != "nobody":
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
                self._leave_generator(sighting, generator)

    def _running_loop(self) -> Any:
        return self._events._get_running_loop() if self._events is not None else None

    def _runs_here(self, sighting: Sighting, obj: Any) -> bool:
        """Whether it is in the middle of a step: this thread's own task, a generator that is being iterated."""
        if sighting.what == "asyncgen":
            return bool(obj.ag_running)
        return self._running_loop() is not None and self._tasks.current_task() is obj
