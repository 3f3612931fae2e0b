"""The suspensions of a run get names, in the order in which they come; the one that is wanted is known again."""

from __future__ import annotations

from dataclasses import replace

from pytest_leakguard.faults.await_chain import Place
from pytest_leakguard.faults.model import FaultPoint
from pytest_leakguard.faults.suspensions import WOKEN, Observation, Register, Stuck

PLACE = Place(path="app/pool.py", qualname="Pool.get", line=7, what="Future", within=(), stack=())


def register(wanted: str = "") -> Register:
    """A register of cancellations; targets are not asked for here."""
    return Register(
        "cancel",
        is_target=lambda file: True,
        path_of=str,
        wanted=FaultPoint.parse(wanted) if wanted else None,
    )


def meet(register: Register, place: Place = PLACE, **more):
    return register.meet(place, **{"task": "main", "spawned": False, **more})


def test_a_count_names_each_suspension():
    """By path, function and what is awaited, each with a number of its own; the line belongs to the point."""
    counted = register()
    others = [replace(PLACE, path="b.py"), replace(PLACE, qualname="g"), replace(PLACE, what="Event")]
    for place in (PLACE, *others, PLACE):
        assert meet(counted, place) is None
    assert meet(counted, woken=True) is None
    assert [point.id for point in counted.points] == [
        "cancel:app/pool.py:Pool.get:Future#1",
        "cancel:b.py:Pool.get:Future#1",
        "cancel:app/pool.py:g:Future#1",
        "cancel:app/pool.py:Pool.get:Event#1",
        "cancel:app/pool.py:Pool.get:Future#2",
        f"cancel:app/pool.py:Pool.get:Future{WOKEN}#1",
    ]
    assert {point.line for point in counted.points} == {7}
    assert list(counted.suspensions) == [point.id for point in counted.points]


def test_what_can_show_no_failure_is_known_and_no_point():
    """It keeps its number, with the reason, the task and whether that one was spawned."""
    counted = register()
    meet(counted, told="a reason", task="serve", spawned=True)
    meet(counted)
    assert [point.occurrence for point in counted.points] == [2]
    first, second = counted.suspensions.values()
    assert (first.told, first.task, first.spawned) == ("a reason", "serve", True)
    assert (second.told, second.task, second.spawned) == ("", "main", False)


def test_a_trial_knows_the_wanted_one_when_it_comes():
    """The second of equal ones; a trial collects nothing."""
    for wanted in ("cancel:app/pool.py:Pool.get:Future#2", "cancel:app/pool.py:Pool.get:Future-woken#1"):
        trial = register(wanted)
        met = [meet(trial), meet(trial), meet(trial, woken=True), meet(trial, replace(PLACE, path="zoo.py"))]
        met += [meet(trial, replace(PLACE, path="a.py")), meet(trial)]
        (found,) = [one for one in met if one is not None]
        assert found.point.id == wanted
        assert (trial.points, trial.suspensions) == ([], {})


def test_nothing_is_observed_so_far():
    """A run starts with nothing injected, nothing left, and no loop."""
    assert not any(getattr(Observation(), name) for name in Observation.__slots__)
    assert (Observation().injected, Observation().later, Observation().after) == (0, 0, 0)
    stuck = Stuck(task="main", at="a.py:1 in f", lines=())
    assert (stuck.enters, stuck.joins) == (False, False)


async def waits_for(other):
    await other


class Never:
    """Gives control away once."""

    def __await__(self):
        yield


def test_whoever_waits_for_the_moment_is_told_the_frames_innermost_first():
    """Without anybody to tell nothing happens."""
    coroutine = waits_for(waits_for(Never()))
    coroutine.send(None)
    told: list[list[str]] = []
    try:
        Observation().comes_in(coroutine)
        seen = Observation(moment=lambda frames: told.append([frame.f_code.co_name for frame in frames]))
        seen.comes_in(coroutine)
    finally:
        coroutine.close()
    assert told == [["__await__", "waits_for", "waits_for"]]
