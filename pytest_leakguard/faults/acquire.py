"""Makes the nth acquisition fail, through the audit hook: no function is replaced."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from types import FrameType
from typing import Any

from pytest_leakguard.faults import errors
from pytest_leakguard.faults.model import Family, FaultPoint, Injection, Mode
from pytest_leakguard.faults.points import Aiming, Counting, Shot, Tally, line_now
from pytest_leakguard.faults.targets import Targets, target_frame
from pytest_leakguard.origins import frames, hook


@dataclass(frozen=True, slots=True)
class AcquireInjector:
    """The family ``acquire``: what the code under test acquires, itself or through the standard library."""

    targets: Targets

    @property
    def family(self) -> Family:
        """``acquire``"""
        return "acquire"

    @property
    def modes(self) -> Sequence[Mode]:
        """Both."""
        return ("transient", "persistent")

    @contextmanager
    def count(self) -> Iterator[list[FaultPoint]]:
        """See `Injector`."""
        points: list[FaultPoint] = []
        with hook.sabotage(self._plan(Counting("acquire", self.targets, points)), errors.EVENTS):
            yield points

    @contextmanager
    def inject(self, point: FaultPoint, mode: Mode) -> Iterator[Injection]:
        """See `Injector`."""
        shot = Shot()
        with hook.sabotage(self._plan(Aiming(point, mode, self.targets, shot)), errors.EVENTS):
            yield shot

    def _plan(self, tally: Tally) -> hook.Plan:
        targets = self.targets

        def plan(event: str, args: Any, frame: FrameType) -> BaseException | None:
            what = errors.WHAT.get(event)
            if what is None or _is_handed_over(event, args, frame):
                return None
            place = target_frame(frame, targets)
            if place is None:
                return None
            return tally.hit(place, line_now(place), what, lambda id: errors.error_of(event, args, id))

        return plan


def _is_handed_over(event: str, args: Any, frame: FrameType) -> bool:
    """The standard library wraps or shares what it has acquired: an error there is no one's but its own.

    A socket object for a descriptor that exists (accept, socketpair), a file for one
    end of a pipe (Popen), the fork of multiprocessing with its pipes.
    """
    if event == "socket.__new__":
        return frame.f_code.co_name == "__init__" and frame.f_locals.get("fileno") is not None
    if frames.region(frame.f_code.co_filename) != "stdlib":
        return False
    return event == "os.fork" or (event == "open" and type(args[0]) is int and frame.f_code.co_name != "fdopen")
