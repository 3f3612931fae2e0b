"""The operations that other plugins and conftest files name for fault sweeps."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from pytest_leakguard.faults.operations import BadOperation, Operation
from pytest_leakguard.plugin.delivery import call_each

if TYPE_CHECKING:
    from pytest_leakguard.plugin.guard import Guard

_KEY = pytest.StashKey[tuple[Operation, ...]]()
_HOOK = "pytest_leakguard_fault_points"


def operations_of(guard: Guard) -> tuple[Operation, ...]:
    """All of a run; the hook is called when they are first asked for. What is none is told and passed over."""
    config = guard.config
    if _KEY not in config.stash:
        config.stash[_KEY] = tuple(_asked(guard))
    return config.stash[_KEY]


def _asked(guard: Guard) -> list[Operation]:
    found: list[Operation] = []
    for name, given in call_each(guard.config.hook, _HOOK, guard.errors, config=guard.config):
        if not isinstance(given, (list, tuple)):
            guard.errors.append(f"hook {_HOOK} of {name} gave {type(given).__name__}, not a list of operations")
            continue
        for one in given:
            try:
                found.append(_operation(one))
            except BadOperation as error:
                guard.errors.append(f"hook {_HOOK} of {name}: {error}")
    return found


def _operation(given: Any) -> Operation:
    if isinstance(given, str):
        return Operation(call=given)
    if not isinstance(given, Operation):
        raise BadOperation(f"{given!r} is no operation. Allowed: MODULE:QUALNAME, or an Operation.")
    return given
