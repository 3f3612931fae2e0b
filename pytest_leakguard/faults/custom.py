"""The family ``custom``: the operations that the user names fail, instead of happening."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from types import FrameType

from pytest_leakguard import _real, fault_points
from pytest_leakguard.faults.callees import Callee
from pytest_leakguard.faults.model import Family, FaultPoint, Injection, Mode
from pytest_leakguard.faults.operations import MakeError, Operation, error_of, spelled
from pytest_leakguard.faults.points import Aiming, Counting, Shot, Tally, line_now
from pytest_leakguard.faults.targets import Targets
from pytest_leakguard.faults.watching import Listener, watching


@contextmanager
def listening(reached: Callable[[str, MakeError | None], None]) -> Iterator[None]:
    """While the block runs, `fault_point` calls that; what it raises comes out of it."""
    before = fault_points._reached
    fault_points._reached = reached
    try:
        yield
    finally:
        fault_points._reached = before


@dataclass(frozen=True, slots=True)
class CustomInjector:
    """Makes `fault_point` raise, and the calls of named operations.

    Attributes:
        operations: without any the code is not watched, and no debugger or tracer is in the way.
    """

    targets: Targets
    operations: tuple[Operation, ...] = ()

    @property
    def family(self) -> Family:
        """``custom``"""
        return "custom"

    @property
    def modes(self) -> Sequence[Mode]:
        """Both: what is down may stay down."""
        return ("transient", "persistent")

    @contextmanager
    def count(self) -> Iterator[list[FaultPoint]]:
        """See `Injector`. Raises Refused."""
        points: list[FaultPoint] = []
        with self._listening(Counting("custom", self.targets, points)):
            yield points

    @contextmanager
    def inject(self, point: FaultPoint, mode: Mode) -> Iterator[Injection]:
        """See `Injector`. Raises Refused."""
        shot = Shot()
        with self._listening(Aiming(point, mode, self.targets, shot)):
            yield shot

    @contextmanager
    def _listening(self, tally: Tally) -> Iterator[None]:
        def reached(name: str, make: MakeError | None) -> None:
            error = self._at(tally, _real.getframe(2), name, make)
            if error is not None:
                _raise(error)

        def called(frame: FrameType, callee: Callee) -> BaseException | None:
            for operation in self.operations:
                if operation.matches(callee):
                    return self._at(tally, frame, operation.what, operation.error)
            return None

        with listening(reached), ExitStack() as stack:
            if self.operations:
                stack.enter_context(watching(self.targets, Listener(call=called)))
            yield

    def _at(self, tally: Tally, frame: FrameType, name: str, make: MakeError | None) -> BaseException | None:
        if not self.targets.is_target(frame.f_code.co_filename) or frame.f_code.co_name == "<module>":
            return None
        return tally.hit(frame, line_now(frame), spelled(name), lambda id: error_of(name, make, id))


def _raise(error: BaseException) -> None:
    # the traceback keeps this frame; it is not to keep the error
    try:
        raise error
    finally:
        del error
