"""Watching tasks changes nothing that a test could see, and costs nothing where asyncio is not used."""

from __future__ import annotations

import asyncio
import sys
import weakref
from asyncio import tasks
from types import SimpleNamespace

import pytest

from pytest_leakguard.core.ledger import Ledger
from pytest_leakguard.origins.asyncio_direct import DirectTasks
from pytest_leakguard.origins.asyncio_witness import REGISTRY_TELLS, AsyncioWitness
from pytest_leakguard.origins.audit import Recorder
from pytest_leakguard.probes.tasks import TaskProbe

SAME = """
import asyncio, gc, sys, weakref
from asyncio import base_events

made = []

class Loop(asyncio.SelectorEventLoop):
    def create_task(self, coro, **kwargs):
        made.append("loop")
        return asyncio.Task(coro, loop=self)

class Policy(asyncio.DefaultEventLoopPolicy):
    def new_event_loop(self):
        made.append("policy")
        return super().new_event_loop()

async def worker():  # by itself
    await asyncio.sleep(600)

def factory(loop, coro, **kwargs):
    made.append("factory")
    return asyncio.Task(coro, loop=loop, **kwargs)

async def turn():
    await asyncio.sleep(0)

def test_nothing_is_replaced():
    async def main():
        loop = asyncio.get_running_loop()
        assert loop.get_task_factory() is None
        hooks = sys.get_asyncgen_hooks()
        assert hooks.firstiter == loop._asyncgen_firstiter_hook
        assert hooks.finalizer == loop._asyncgen_finalizer_hook
        task = asyncio.create_task(turn())
        assert "cb" not in repr(task)
        await task
    if sys.version_info < (3, 14):
        assert base_events.BaseEventLoop.create_task.__code__.co_filename == base_events.__file__
    assert sys.get_coroutine_origin_tracking_depth() == 0
    before = sys.get_asyncgen_hooks()
    asyncio.run(main())
    assert sys.get_asyncgen_hooks() == before

def test_tasks_die_as_ever():
    async def main():
        task = asyncio.create_task(turn())
        await task
        seen = weakref.ref(task)
        del task
        await turn()
        assert seen() is None
    gc.disable()
    try:
        asyncio.run(main())
    finally:
        gc.enable()

def test_the_users_factory_is_called():
    made.clear()
    async def main():
        asyncio.get_running_loop().set_task_factory(factory)
        asyncio.create_task(worker())  # factory
        await turn()
        assert asyncio.get_running_loop().get_task_factory() is factory
    asyncio.run(main())
    assert made[0] == "factory"

def test_a_loop_of_its_own():
    loop = Loop()
    async def main():
        asyncio.create_task(worker())  # loop
        await turn()
    loop.run_until_complete(main())
    loop.close()
    assert made.count("loop") == 2

def test_a_policy_of_its_own():
    asyncio.set_event_loop_policy(Policy())
    async def main():
        asyncio.create_task(worker())  # policy
        await turn()
    try:
        asyncio.run(main())
    finally:
        asyncio.set_event_loop_policy(None)
    assert "policy" in made

def test_an_eager_task():
    async def main():
        if hasattr(asyncio, "eager_task_factory"):
            asyncio.get_running_loop().set_task_factory(asyncio.eager_task_factory)
        await asyncio.create_task(turn())
        asyncio.create_task(worker())  # eager
        await turn()
    asyncio.run(main())

class Mine(asyncio.tasks._PyTask):
    pass

def test_a_task_written_in_python():
    async def main():
        Mine(worker(), loop=asyncio.get_running_loop())  # python
        await turn()
    asyncio.run(main())
"""


def test_a_test_sees_the_same_asyncio(alone, pytester):
    """Factories, policies, loops and tasks of the user's work as ever, and what they leave is seen."""
    pytester.makepyfile(test_same=SAME)
    ran = alone("-W", "ignore::DeprecationWarning")
    ran.result.assert_outcomes(passed=7)
    lines = {n: text.rpartition("# ")[2] for n, text in enumerate(SAME.strip().splitlines(), 1) if "  # " in text}
    told = {lines[f["origin"]["line"]] for f in ran.findings}
    if sys.version_info >= (3, 14):
        # what a loop's own create_task makes is seen when the loop stops: only the line of its coroutine is known
        assert told == {"factory", "by itself", "policy", "eager", "python"}
    else:
        assert told == {"factory", "loop", "policy", "eager", "python"}
    assert len(ran.findings) == 5


LOADED = """
import json, sys

def test_it():
    with open("loaded.json", "w") as stream:
        json.dump(sorted(name for name in sys.modules if name.partition(".")[0] in ("asyncio", "_asyncio")), stream)
"""


def test_asyncio_is_not_imported_for_it(alone, pytester, monkeypatch):
    """A suite without asyncio runs without it."""
    monkeypatch.setenv("PYTEST_DISABLE_PLUGIN_AUTOLOAD", "1")
    pytester.makepyfile(LOADED)
    pytester.runpytest("-p", "no:leakguard")
    before = (pytester.path / "loaded.json").read_text()
    assert alone().result.ret == 0
    assert (pytester.path / "loaded.json").read_text() == before


def test_asyncio_that_a_test_imports_is_watched(alone, pytester):
    """The first import comes in the middle of the run."""
    pytester.makepyfile(
        """
        def test_it():
            import asyncio
            async def main():
                asyncio.create_task(asyncio.sleep(600))
                await asyncio.sleep(0)
            asyncio.run(main())
        """
    )
    (finding,) = alone().findings
    assert (finding["kind"], finding["subject"]) == ("task", "sleep")


LEFT_ALONE = """
import asyncio, weakref
from asyncio import tasks
import pytest

def registry():
    return getattr(tasks, "_scheduled_tasks", getattr(tasks, "_all_tasks", None))

def is_watched():
    return type(registry()) is not weakref.WeakSet or hasattr(asyncio.BaseEventLoop.create_task, "__wrapped__")

def test_left_alone():
    assert not is_watched()
    async def main():
        asyncio.create_task(asyncio.sleep(600))
        await asyncio.sleep(0)
    asyncio.run(main())
"""


def test_a_kind_that_is_not_asked_for_leaves_asyncio_alone(alone, pytester):
    """`-task` costs nothing and finds nothing."""
    pytester.makepyfile(LEFT_ALONE)
    ran = alone("--leakguard-probes=-task")
    ran.result.assert_outcomes(passed=1)
    assert ran.findings == []


def test_a_mark_can_ask_for_it(alone, pytester):
    """The kind is watched as soon as one collected test wants it."""
    pytester.makepyfile(LEFT_ALONE.replace("def test_left", "@pytest.mark.no_leaks(add='task')\ndef test_left")
                        .replace("not is_watched", "is_watched"))  # fmt: skip
    (finding,) = alone("--leakguard-probes=fd").findings
    assert finding["kind"] == "task"


@pytest.fixture
def recorder():
    """One that records nothing by itself; started, it would take the place of the one that watches this suite."""
    recorder = Recorder(Ledger())
    recorder.active = True
    return recorder


@pytest.mark.parametrize("registry_tells", [True, False] if REGISTRY_TELLS else [False])
def test_both_ways_of_seeing_a_task_made(recorder, registry_tells):
    """Through the registry, or as on 3.14 through `create_task`; what was exchanged is given back."""
    before = asyncio.base_events.BaseEventLoop.create_task
    witness = AsyncioWitness(recorder, registry_tells=registry_tells)
    witness.arm()
    loop = asyncio.new_event_loop()
    try:
        task = loop.create_task(asyncio.sleep(0.0), name="seen")
        assert [sighting.name for sighting in witness.pending()] == ["seen"]
        assert witness.seen == 1
        loop.run_until_complete(task)
        assert witness.pending() == []
    finally:
        loop.close()
        witness.disarm()
    assert asyncio.base_events.BaseEventLoop.create_task is before


def test_a_registry_of_another_build_is_left_alone(recorder, monkeypatch):
    """An interpreter that keeps its tasks in some other way has `create_task` wrapped."""
    name = "_scheduled_tasks" if hasattr(tasks, "_scheduled_tasks") else "_all_tasks"
    monkeypatch.setattr(tasks, name, SimpleNamespace())
    before = asyncio.base_events.BaseEventLoop.create_task
    witness = AsyncioWitness(recorder)
    witness.arm()
    try:
        assert asyncio.base_events.BaseEventLoop.create_task is not before
    finally:
        witness.disarm()
    assert asyncio.base_events.BaseEventLoop.create_task is before


def test_the_registry_has_its_class_back(recorder):
    """After the last witness has gone."""
    registry = getattr(tasks, "_scheduled_tasks", getattr(tasks, "_all_tasks", None))
    before = type(registry)
    witness = AsyncioWitness(recorder)
    witness.arm()
    assert type(registry) is not weakref.WeakSet
    witness.disarm()
    assert type(registry) is before


def test_an_error_of_ours_stays_with_us(recorder, monkeypatch):
    """A task that can't be noted is made all the same."""
    witness = AsyncioWitness(recorder)
    witness.arm()
    monkeypatch.setattr(AsyncioWitness, "note_task", lambda *_: 1 / 0)
    monkeypatch.setattr("pytest_leakguard.origins.asyncio_registry.note_failure", failures := [].append)
    try:
        assert asyncio.run(asyncio.sleep(0, "done")) == "done"
    finally:
        witness.disarm()
    assert isinstance(failures.__self__[0], ZeroDivisionError)


DIRECT = """
import asyncio

KEPT = []

async def worker():
    await asyncio.sleep(600)

def test_left():
    async def main():
        KEPT.append(asyncio.Task(worker(), loop=asyncio.get_running_loop(), name="direct"))
        await asyncio.sleep(0)
    asyncio.run(main())

def test_ended():
    async def main():
        task = asyncio.Task(worker(), loop=asyncio.get_running_loop())
        await asyncio.sleep(0)
        task.cancel()
        await asyncio.wait([task])
    asyncio.run(main())
"""


def test_a_task_that_is_made_without_create_task_is_seen(alone, pytester):
    """Of 3.14 on nothing tells of a call of the class itself: what is pending when the loop stops is."""
    pytester.makepyfile(DIRECT)
    (finding,) = alone("--leakguard-probes=task").findings
    assert finding["what"].startswith("task 'direct' of worker, waiting at ")
    assert finding["owner"]["name"].endswith("::test_left")


CLASSES = """
import asyncio
import types
from asyncio import tasks

import pytest

KEPT = []

class Derived(asyncio.Task):
    pass

class InPython(tasks._PyTask):
    pass

class Foreign(asyncio.Future):  # no asyncio.Task, as another library may have one

    def __init__(self, coro, *, loop, name):
        super().__init__(loop=loop)
        self._coro, self._name, self._must_cancel, self._fut_waiter = coro, name, False, loop.create_future()
        coro.send(None)
        tasks._register_task(self)  # registers

    def get_coro(self):
        return self._coro

    def get_name(self):
        return self._name

    def cancel(self, message=None):
        self._must_cancel = True
        self._loop.call_soon(super().cancel)

@types.coroutine
def rest():
    yield

async def by_hand():
    await rest()

async def ends():
    await asyncio.sleep(0)

@pytest.mark.parametrize("kind", [asyncio.Task, Derived, tasks._PyTask, InPython, Foreign])
def test_left(kind):
    async def main():
        work = by_hand() if kind is Foreign else asyncio.sleep(600)
        KEPT.append(kind(work, loop=asyncio.get_running_loop(), name="it"))  # made
        await asyncio.sleep(0)
    asyncio.run(main())

@pytest.mark.parametrize("kind", [asyncio.Task, Derived, tasks._PyTask, InPython])
def test_ended(kind):
    async def main():
        KEPT.append(kind(ends(), loop=asyncio.get_running_loop()))
        await KEPT[-1]
        KEPT.append(kind(ends(), loop=asyncio.get_running_loop()))
        await asyncio.sleep(0)
        KEPT[-1].cancel()
        await asyncio.wait([KEPT[-1]])
    asyncio.run(main())

@pytest.mark.parametrize("kind", [Derived, InPython])
def test_of_a_factory(kind):
    async def main():
        asyncio.get_running_loop().set_task_factory(lambda loop, coro, **kwargs: kind(coro, loop=loop, **kwargs))
        KEPT.append(asyncio.create_task(asyncio.sleep(600), name="it"))  # made
        await asyncio.create_task(ends())
    asyncio.run(main())
"""


def test_whatever_class_a_task_has_it_is_seen_once(alone, pytester):
    """Made directly or by a factory. The line is told, but on 3.14 not of classes written in C that are called."""
    pytester.makepyfile(CLASSES)
    ran = alone("--leakguard-probes=task", "-Wignore")
    lines = [n for n, line in enumerate(CLASSES.strip().splitlines(), 1) if line.endswith(("# made", "# registers"))]
    told = {finding["owner"]["name"].partition("::")[2]: finding for finding in ran.findings}
    assert len(told) == len(ran.findings)
    direct = [f"test_left[{kind}]" for kind in ("Task0", "Derived", "Task1", "InPython", "Foreign")]
    by_factory = [f"test_of_a_factory[{kind}]" for kind in ("Derived", "InPython")]
    assert sorted(told) == sorted(direct + by_factory)
    for name, finding in told.items():
        assert finding["what"].startswith("task 'it' of ")
        if REGISTRY_TELLS or name not in direct[:2]:
            wanted = {"test_left[Foreign]": 0, **dict.fromkeys(by_factory, 2)}.get(name, 1)
            assert finding["origin"]["line"] == lines[wanted], name


KEPT = """
import asyncio, gc, weakref

from pytest_leakguard.origins.sighting import Sighting

def sightings():
    return sum(type(obj) is Sighting for obj in gc.get_objects())

def callbacks(task):
    return sum(ref.__callback__ is not None for ref in weakref.getweakrefs(task))

def test_many_in_one_run():
    async def main():
        most = 0
        fillers = []
        for number in range(2000):
            await asyncio.create_task(asyncio.sleep(0))
            # what takes the place of a task in memory: or else the next one would, and be known in the stead of it
            fillers += [bytes(size) for size in range(96, 416, 16)]
            if number % 100 == 0:
                most = max(most, sightings())
        return most
    assert 500 < asyncio.run(main()) < 1200
    assert sightings() == 0

def test_a_callback_only_at_rest():
    loop = asyncio.new_event_loop()
    async def main():
        task, left = asyncio.create_task(asyncio.sleep(0)), asyncio.create_task(asyncio.sleep(600))
        before = callbacks(left)
        await task
        assert callbacks(task) == callbacks(left) == before
        return left, before
    left, before = loop.run_until_complete(main())
    assert callbacks(left) == before + 1
    left.cancel()
    loop.run_until_complete(asyncio.wait([left]))
    loop.close()
"""


def test_little_is_kept_of_tasks_that_are_over_in_time(alone, pytester):
    """A loop that runs for long makes any number of tasks: what is known does not grow with those that are over.

    Only one that rests pending is asked to tell of its death.
    """
    pytester.makepyfile(test_it=KEPT)
    ran = alone()
    ran.result.assert_outcomes(passed=2)
    assert ran.findings == []


@pytest.mark.skipif(sys.version_info < (3, 13), reason="loops start and stop in methods of other names")
def test_what_a_loop_had_before_is_not_taken_for_new():
    """Of the tasks that nothing tells of, those are new that a loop has at its stop and had not at its start."""
    direct = DirectTasks()
    told = []

    def names():
        return sorted(task.get_name() for task in direct.new(sys._getframe(1), asyncio.all_tasks))

    class Loop(asyncio.SelectorEventLoop):
        def _run_forever_setup(self):
            super()._run_forever_setup()
            assert names() == []

        def _run_forever_cleanup(self):
            told.append(names())
            super()._run_forever_cleanup()

    async def main():
        return asyncio.Task(asyncio.sleep(600), loop=loop, name="newer")

    loop = Loop()
    try:
        older = asyncio.Task(asyncio.sleep(600), loop=loop, name="older")
        newer = loop.run_until_complete(main())
        loop.run_until_complete(asyncio.sleep(0))
        for task in (older, newer):
            task.cancel()
        loop.run_until_complete(asyncio.wait([older, newer]))
        assert told == [["newer"], [], []]
        assert names() == []  # no loop starts or stops here
    finally:
        loop.close()


def test_the_depth_of_coroutines_is_given_back():
    """Python keeps the lines that made coroutines only while they are asked for, unless the user asked before."""
    probe = TaskProbe(Recorder(Ledger()))
    for users in (0, 3):
        before = sys.get_coroutine_origin_tracking_depth()
        sys.set_coroutine_origin_tracking_depth(users)
        try:
            probe.arm(trace=True)
            assert sys.get_coroutine_origin_tracking_depth() == max(users, 1)
            probe.disarm()
            assert sys.get_coroutine_origin_tracking_depth() == users
        finally:
            probe.disarm()
            sys.set_coroutine_origin_tracking_depth(before)
