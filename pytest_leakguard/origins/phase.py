"""Which phase of a test is running, in pytest's own words.

No hook is needed for it: pytest writes the phase into the environment, and it is
asked for only when something is acquired. A test that empties the environment is
found by the frames it runs in.
"""

from __future__ import annotations

import os
from functools import partial
from types import FrameType
from typing import Any, get_args

from pytest_leakguard import _real
from pytest_leakguard.core.model import Phase

# Asked at every acquisition, so the table behind os.environ is read, as it keeps its keys: os.environ.get is
# four calls of Python. Where that table is missing, the frames tell.
_TABLE: dict[Any, Any] = getattr(os.environ, "_data", {})
_VARIABLE: Any = b"PYTEST_CURRENT_TEST" if os.supports_bytes_environ else "PYTEST_CURRENT_TEST"
_ENDINGS: tuple[tuple[Phase, Any], ...] = tuple(
    (phase, f"({phase})".encode() if os.supports_bytes_environ else f"({phase})") for phase in get_args(Phase)
)
_BY_HOOK: dict[str, Phase] = {
    "pytest_runtest_setup": "setup",
    "pytest_runtest_call": "call",
    "pytest_runtest_teardown": "teardown",
}
# pytest writes a new value for each phase, and there are many acquisitions in one: (the value, its phase)
_read: tuple[Any, Phase | None] = (None, None)

sign = partial(_TABLE.get, _VARIABLE)
"""What the phase is read from: the same object while that lasts, None where it can't be told."""


def current_phase() -> Phase | None:
    """The phase that runs now, or None where that can't be told: another thread, no pytest."""
    global _read
    told = _TABLE.get(_VARIABLE)
    if told is None:
        return _by_frames()
    value, phase = _read
    if told is not value:
        phase = next((phase for phase, ending in _ENDINGS if told.endswith(ending)), None)
        _read = told, phase
    return phase or _by_frames()


def _by_frames() -> Phase | None:
    frame: FrameType | None = _real.getframe(1)
    while frame is not None:
        phase = _BY_HOOK.get(frame.f_code.co_name)
        if phase is not None:
            return phase
        frame = frame.f_back
    return None
