"""Counting the points of a run, and the one that is to fail when it comes."""

from __future__ import annotations

import asyncio
import sys
import threading
from types import FrameType

import pytest

from pytest_leakguard import _real
from pytest_leakguard.faults.model import FaultPoint
from pytest_leakguard.faults.points import Aiming, Counting, Shot, is_in_event_loop, line_now, outwards
from pytest_leakguard.faults.targets import Targets

TARGETS = Targets(root="/proj")
OTHER_PROCESS = _real.getpid() + 1
names: dict[str, object] = {"frame": lambda: sys._getframe(1)}
exec(compile("def load(): return frame()\ndef save(): return frame()\n", "/proj/app/x.py", "exec"), names)
exec(compile("def load(): return frame()\n", "/proj/zoo.py", "exec"), other := {"frame": names["frame"]})
exec(compile("def load(): return frame()\n", "/proj/a.py", "exec"), first := {"frame": names["frame"]})
LOAD, SAVE, ZOO, FIRST = names["load"](), names["save"](), other["load"](), first["load"]()


def fresh(text: str) -> str:
    """An equal text that is another object."""
    return "".join(list(text))


def made(point_id: str) -> BaseException:
    return OSError(f"made for {point_id}")


# -- counting


def test_each_place_counts_for_itself():
    """By file, function and operation; the line is that of the call."""
    counting = Counting("call", TARGETS, [])
    for frame, what in ((LOAD, "stat"), (LOAD, "open"), (SAVE, "stat"), (ZOO, "stat"), (LOAD, "stat")):
        assert counting.hit(frame, 7, what, made) is None
    assert [(point.id, point.line) for point in counting.points] == [
        ("call:app/x.py:load:stat#1", 7),
        ("call:app/x.py:load:open#1", 7),
        ("call:app/x.py:save:stat#1", 7),
        ("call:zoo.py:load:stat#1", 7),
        ("call:app/x.py:load:stat#2", 7),
    ]


@pytest.mark.parametrize("pid", [OTHER_PROCESS, OTHER_PROCESS - 2])
def test_a_forked_child_counts_nothing(pid):
    """Its points are none of this run's."""
    counting = Counting("call", TARGETS, [], pid=pid)
    counting.hit(LOAD, 7, "stat", made)
    assert counting.points == []


# -- aiming


def aiming(number: int = 1, mode="transient", **more) -> Aiming:
    point = FaultPoint(family="call", path="app/x.py", qualname="load", what="stat", occurrence=number)
    return Aiming(point, fresh(mode), TARGETS, Shot(), **more)


def hit(aim: Aiming, frame: FrameType = LOAD, what: str = "stat") -> BaseException | None:
    return aim.hit(frame, 7, fresh(what), made)


def test_the_wanted_one_fails_and_no_other():
    """Of that file, that function, that operation, when its number comes."""
    aim = aiming(2)
    others = [(LOAD, "open"), (LOAD, "zoo"), (SAVE, "stat"), (ZOO, "stat"), (FIRST, "stat"), (LOAD, "stat")]
    assert [hit(aim, *other) for other in others] == [None] * len(others)
    assert (aim.shot.injected, aim.shot.error, aim.shot.stack) == (0, "", ())
    error = hit(aim)
    assert str(error) == "made for call:app/x.py:load:stat#2"
    shot = aim.shot
    assert (shot.injected, shot.later, shot.apart) == (1, 0, False)
    assert shot.error == f"OSError: {error}"
    assert shot.stack[0] == "app/x.py:1 in load"
    assert shot.findings(aim.point, "transient") == ()


@pytest.mark.parametrize(("mode", "fails"), [("transient", False), ("persistent", True)])
def test_what_comes_later_fails_when_it_persists(mode, fails):
    """The operation, wherever it is tried again; equal ones are counted, others are not."""
    aim = aiming(mode=mode)
    assert hit(aim) is not None
    assert hit(aim, LOAD, "open") is None
    assert [hit(aim, frame) is not None for frame in (LOAD, ZOO, SAVE)] == [fails] * 3
    assert (aim.shot.later, aim.shot.injected) == (3, 4 if fails else 1)


@pytest.mark.parametrize("pid", [OTHER_PROCESS, OTHER_PROCESS - 2])
def test_nothing_fails_in_a_forked_child(pid):
    """An error there would lead it back into the test runner."""
    aim = aiming(pid=pid)
    assert hit(aim) is None
    assert (aim.shot.injected, aim.seen) == (0, 0)


def test_whoever_waits_for_the_moment_is_told_the_frames():
    """From the one that fails outwards."""
    aim = aiming()
    told: list[list[FrameType]] = []
    aim.shot.moment = lambda frames: told.append(list(frames))
    hit(aim)
    assert told == [list(outwards(LOAD))]
    assert told[0][0] is LOAD


def test_a_fault_in_another_thread_or_in_an_event_loop_is_apart():
    """The rest of the run may wait for what has failed there."""

    def apart_in(run) -> bool:
        aim = aiming()
        run(lambda: hit(aim))
        assert aim.shot.injected == 1
        return aim.shot.apart

    def in_thread(function):
        thread = threading.Thread(target=function)
        thread.start()
        thread.join()

    async def main(function):
        assert is_in_event_loop()
        function()

    assert apart_in(in_thread)
    assert apart_in(lambda function: asyncio.run(main(function)))
    assert not apart_in(lambda function: function())
    assert not is_in_event_loop()


def test_without_asyncio_there_is_no_event_loop(monkeypatch):
    """It is not imported to look."""
    monkeypatch.delitem(sys.modules, "asyncio")
    assert not is_in_event_loop()


def test_frames_outwards():
    """A frame and its callers, to the outermost; of none there is none."""
    here = sys._getframe()
    found = list(outwards(here))
    assert found[:2] == [here, here.f_back]
    assert found[-1].f_back is None
    assert list(outwards(None)) == []


class Unplaced:
    """A frame at an instruction that belongs to no line, as the interpreter has some."""

    def __init__(self, frame: FrameType) -> None:
        self.f_code, self.f_lasti, self.f_lineno = frame.f_code, frame.f_lasti, None


def test_the_line_of_a_frame():
    """Where it has none, that of the last instruction that had one."""
    frame = sys._getframe()
    assert line_now(frame) == frame.f_lineno
    assert line_now(Unplaced(LOAD)) == 1


def test_a_shot_has_nothing_so_far():
    """Neither injected nor apart."""
    assert (Shot().injected, Shot().later, Shot().apart, Shot().moment) == (0, 0, False, None)
