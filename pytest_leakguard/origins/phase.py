"""Which phase of a test is running, in pytest's own words.

No hook is needed for it: pytest writes the phase into the environment, and it is
asked for only when something is acquired. A test that empties the environment is
found by the frames it runs in.
"""

from __future__ import annotations

import os
from types import FrameType
from typing import Any

from pytest_leakguard import _real
from pytest_leakguard.core.model import Phase

_BY_ENDING: dict[str, Phase] = {"(setup)": "setup", "(call)": "call", "(teardown)": "teardown"}
_BY_HOOK: dict[str, Phase] = {
    "pytest_runtest_setup": "setup",
    "pytest_runtest_call": "call",
    "pytest_runtest_teardown": "teardown",
}
_NAME = "PYTEST_CURRENT_TEST"


def _as_kept(text: str) -> Any:
    return os.environ.encodevalue(text)


# what os.environ decodes at each look, in the form it keeps: a tenth of the cost, and this is asked at each acquisition
_KEPT: dict[Any, Any] = getattr(os.environ, "_data", {})
_KEY, _NOTHING, _SPACE = os.environ.encodekey(_NAME), _as_kept(""), _as_kept(" ")
_BY_KEPT_ENDING: dict[Any, Phase] = {_as_kept(ending): phase for ending, phase in _BY_ENDING.items()}


def current_phase() -> Phase | None:
    """The phase that runs now, or None where that can't be told: another thread, no pytest."""
    told = _BY_KEPT_ENDING.get(_KEPT.get(_KEY, _NOTHING).rpartition(_SPACE)[2])
    if told is None and not _KEPT:
        told = _BY_ENDING.get(_real.environ_get(_NAME, "").rpartition(" ")[2])
    return told if told is not None else _by_frames()


def _by_frames() -> Phase | None:
    frame: FrameType | None = _real.getframe(1)
    while frame is not None:
        phase = _BY_HOOK.get(frame.f_code.co_name)
        if phase is not None:
            return phase
        frame = frame.f_back
    return None
