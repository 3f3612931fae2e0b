"""Something that is called, as the subject of a fault sweep; each run is a checked block."""

from __future__ import annotations

from collections.abc import Callable

from pytest_leakguard.block import Block, leave
from pytest_leakguard.faults.observe import observed
from pytest_leakguard.faults.oracles import Run
from pytest_leakguard.faults.targets import Targets


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

    def run(self, limit_seconds: float) -> Run:
        """See `Subject`."""
        block = self._block()
        block.enter()
        with observed(self._targets.is_target, limit_seconds) as seen:
            try:
                self._call()
            except BaseException as error:
                seen.note(error)
        return seen.run(tuple(leave(block)))
