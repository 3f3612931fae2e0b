"""Which phase of a test is running, in pytest's own words.

No hook is needed for it: pytest writes the phase into the environment, and it is
asked for only when something is acquired. A test that empties the environment is
found by the frames it runs in.
"""

from __future__ import annotations

from types import FrameType

from pytest_leakguard import _real
from pytest_leakguard.core.model import Phase

_BY_ENDING: dict[str, Phase] = {"(setup)": "setup", "(call)": "call", "(teardown)": "teardown"}
_BY_HOOK: dict[str, Phase] = {
    "pytest_runtest_setup": "setup",
    "pytest_runtest_call": "call",
    "pytest_runtest_teardown": "teardown",
}


def current_phase() -> Phase | None:
    """The phase that runs now, or None where that can't be told: another thread, no pytest."""
    told = _BY_ENDING.get(_real.environ_get("PYTEST_CURRENT_TEST", "").rpartition(" ")[2])
    return told if told is not None else _by_frames()


def _by_frames() -> Phase | None:
    frame: FrameType | None = _real.getframe(1)
    while frame is not None:
        phase = _BY_HOOK.get(frame.f_code.co_name)
        if phase is not None:
            return phase
        frame = frame.f_back
    return None
