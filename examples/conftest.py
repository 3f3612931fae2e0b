"""What the example tests share: a way to leave the machine as it was."""

from __future__ import annotations

import atexit
from collections.abc import Callable

import pytest


@pytest.fixture
def after_run() -> Callable[..., object]:
    """Call something when the interpreter exits, long after leakguard has judged.

    A leaky test leaves a child process or a temporary file behind on purpose. It is still
    a leak of that test; it only does not outlive the run.
    """
    return atexit.register
