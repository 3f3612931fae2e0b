"""Something that is called, as the subject of a fault sweep; each run is a checked block."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from types import FrameType

from pytest_leakguard.block import Block, leave
from pytest_leakguard.faults.observe import observed
from pytest_leakguard.faults.oracles import Run
from pytest_leakguard.faults.targets import Targets
from pytest_leakguard.faults.witness import HeldThen, Witness
from pytest_leakguard.held_then import held_then


class CallableSubject:
    """A `Subject` of a sweep.

    Args:
        block: makes the block of a run.
        call: takes nothing; what it leaves behind must be gone when it returns or raises.
    """

    def __init__(self, block: Callable[[], Block], call: Callable[[], object], targets: Targets) -> None:
        self._block = block
        self._call = call
        self._targets = targets
        self._running: Block | None = None

    def run(self, limit_seconds: float) -> Run:
        """See `Subject`."""
        block = self._running = self._block()
        block.enter()
        with observed(self._targets.is_target, limit_seconds) as seen:
            try:
                self._call()
            except BaseException as error:
                seen.note(error)
        self._running = None
        return seen.run(tuple(leave(block)))

    def witness(self) -> Witness:
        """For a trial that is run once more, under a closer look."""
        return Witness(self._targets, self._held)

    def _held(self, now: Sequence[FrameType]) -> list[HeldThen]:
        return [] if self._running is None else held_then(self._running.held())
