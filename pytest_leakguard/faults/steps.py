"""The families that watch the code run: ``call``, ``release``, ``body``, ``interrupt``."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from types import FrameType

from pytest_leakguard.faults.callees import Callee
from pytest_leakguard.faults.errors import InjectedFault, InjectedInterrupt, message, planned
from pytest_leakguard.faults.lines import Lines, lines_of
from pytest_leakguard.faults.model import STRICT, Family, FaultPoint, Injection, Mode
from pytest_leakguard.faults.points import Aiming, Counting, Shot, Tally, is_in_event_loop, line_now
from pytest_leakguard.faults.targets import Targets
from pytest_leakguard.faults.watching import Listener, watching


@dataclass(frozen=True, slots=True)
class StepInjector:
    """One family. Makes what it listens to from a tally; the drivers do the rest."""

    family: Family
    targets: Targets
    listen: Callable[[Tally], Listener]

    @property
    def modes(self) -> Sequence[Mode]:
        """``transient``: a name that always fails would also fail where it cleans up (``execute("ROLLBACK")``)."""
        return ("transient",)

    @contextmanager
    def count(self) -> Iterator[list[FaultPoint]]:
        """See `Injector`. Raises Refused."""
        points: list[FaultPoint] = []
        with watching(self.targets, self.listen(Counting(self.family, self.targets, points))):
            yield points

    @contextmanager
    def inject(self, point: FaultPoint, mode: Mode) -> Iterator[Injection]:
        """See `Injector`. Raises Refused."""
        shot = Shot()
        with watching(self.targets, self.listen(Aiming(point, mode, self.targets, shot))):
            yield shot


def call_injector(targets: Targets) -> StepInjector:
    """Each call that the code under test makes fails instead of happening."""

    def listen(tally: Tally) -> Listener:
        def call(frame: FrameType, callee: Callee) -> BaseException | None:
            if not callee.can_fail:
                return None
            return tally.hit(frame, line_now(frame), callee.name, callee.error)

        return Listener(call=call)

    return StepInjector("call", targets, listen)


def release_injector(targets: Targets) -> StepInjector:
    """Each release fails after it has had its effect: one that did not happen would be a leak by itself."""

    def listen(tally: Tally) -> Listener:
        def returned(frame: FrameType, callee: Callee) -> BaseException | None:
            if not callee.is_release:
                return None
            return tally.hit(frame, line_now(frame), callee.name, callee.error)

        return Listener(returned=returned)

    return StepInjector("release", targets, listen)


def body_injector(targets: Targets) -> StepInjector:
    """The body of each `with` fails at its first line."""

    def error(point_id: str) -> BaseException:
        return planned(InjectedFault(message("the body failed", point_id)), point_id)

    return StepInjector("body", targets, lambda tally: Listener(line=_on_line(tally, lambda lines: lines.body, error)))


def interrupt_injector(targets: Targets, *, strict: bool = False) -> StepInjector:
    """A KeyboardInterrupt at each line where Python code could still clean up.

    Args:
        strict: also where it could not: told, and never a failure by itself.
    """

    def error(point_id: str) -> BaseException:
        return planned(InjectedInterrupt(message("interrupted", point_id)), point_id)

    def listen(tally: Tally) -> Listener:
        on_line = _on_line(tally, lambda lines: lines.interrupt, error)
        on_strict_line = _on_strict_line(tally, error)

        def line(frame: FrameType, number: int) -> BaseException | None:
            # an event loop turns Ctrl-C into a cancellation; that family is for it
            if is_in_event_loop():
                return None
            return on_line(frame, number) or (on_strict_line(frame, number) if strict else None)

        return Listener(line=line)

    return StepInjector("interrupt", targets, listen)


def _on_line(
    tally: Tally, points: Callable[[Lines], dict[int, str]], error: Callable[[str], BaseException]
) -> Callable[[FrameType, int], BaseException | None]:
    def line(frame: FrameType, number: int) -> BaseException | None:
        lines = lines_of(frame.f_code)
        what = points(lines).get(number)
        if what is None or frame.f_lasti >= lines.ends.get(number, 0):
            return None
        return tally.hit(frame, number, what, error)

    return line


def _on_strict_line(
    tally: Tally, error: Callable[[str], BaseException]
) -> Callable[[FrameType, int], BaseException | None]:
    def line(frame: FrameType, number: int) -> BaseException | None:
        lines = lines_of(frame.f_code)
        if number in lines.withs and frame.f_lasti >= lines.ends.get(number, 0):
            what: str | None = f"{STRICT}with"  # on the way out, before `__exit__` runs
        else:
            what = lines.strict.get(number)
        return None if what is None else tally.hit(frame, number, what, error)

    return line
