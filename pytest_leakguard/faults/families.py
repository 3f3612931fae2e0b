"""The injectors of this version of Python, by family."""

from __future__ import annotations

from collections.abc import Collection

from pytest_leakguard.faults import cancel
from pytest_leakguard.faults.acquire import AcquireInjector
from pytest_leakguard.faults.custom import CustomInjector
from pytest_leakguard.faults.loops import watched
from pytest_leakguard.faults.model import STRICT_INTERRUPT, Injector
from pytest_leakguard.faults.operations import Operation
from pytest_leakguard.faults.steps import body_injector, call_injector, interrupt_injector, release_injector
from pytest_leakguard.faults.targets import Targets


def injectors_for(
    families: Collection[str], targets: Targets, operations: tuple[Operation, ...] = ()
) -> list[Injector]:
    """One injector for each family that is asked for and can be had.

    Args:
        families: their names; `STRICT_INTERRUPT` beside ``interrupt`` for that one in full.
        operations: of the user's own, for the family ``custom``.
    """
    found: list[Injector] = [
        watched(AcquireInjector(targets), targets),
        watched(call_injector(targets), targets),
        watched(body_injector(targets), targets),
        watched(CustomInjector(targets, operations), targets),
        interrupt_injector(targets, strict=STRICT_INTERRUPT in families),
        *cancel.injectors(targets),
        # last: what it leaves in a bad state is told, and ends the sweep
        release_injector(targets),
    ]
    return [injector for injector in found if injector.family in families]
