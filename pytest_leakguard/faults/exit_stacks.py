"""What exit stacks run, for the cleanup ledger: each callback is known by the line that pushed it."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from types import FrameType
from typing import Any

from pytest_leakguard import _real
from pytest_leakguard.faults.cleanup import Ledger
from pytest_leakguard.faults.cleanup_paths import CleanupPath
from pytest_leakguard.faults.source import qualname_of
from pytest_leakguard.faults.targets import Targets

_FILE = contextlib.__file__
_NAME = "_push_exit_callback"
"""The one way into a stack, sync or async. Where it is gone, nothing is counted."""


class StackWatch:
    """While it is on, what is pushed on an exit stack by the code under test goes there in a wrapper that counts."""

    def __init__(self, ledger: Ledger, targets: Targets) -> None:
        self._ledger = ledger
        self._targets = targets
        self._stacks: Any = getattr(contextlib, "_BaseExitStack", None)
        self._original: Callable[..., None] | None = getattr(self._stacks, _NAME, None)
        self._ours: Any = None

    def start(self) -> None:
        """Begin."""
        original = self._original
        if original is None:
            return
        watch = self

        def push(stack: Any, callback: Callable[..., Any], is_sync: bool = True) -> None:
            original(stack, watch._counted(callback, _real.getframe(1)), is_sync)

        self._ours = push
        setattr(self._stacks, _NAME, push)

    def stop(self) -> None:
        """End. What was pushed before still counts."""
        if self._ours is not None and getattr(self._stacks, _NAME, None) is self._ours:
            setattr(self._stacks, _NAME, self._original)

    def _counted(self, callback: Callable[..., Any], frame: FrameType | None) -> Callable[..., Any]:
        method = ""
        while frame is not None and frame.f_code.co_filename == _FILE:
            method = frame.f_code.co_name
            frame = frame.f_back
        if frame is None or not self._targets.is_target(frame.f_code.co_filename):
            return callback
        code = frame.f_code
        path = CleanupPath(
            kind="exit stack", path=self._targets.path_of(code.co_filename), line=frame.f_lineno,
            qualname=qualname_of(code), what=method,
        )  # fmt: skip
        counts = self._ledger.of(path)
        counts.entered += 1

        def counted(*details: Any) -> Any:
            if details and details[0] is not None:
                counts.error += 1
            else:
                counts.normal += 1
            return callback(*details)

        return counted
