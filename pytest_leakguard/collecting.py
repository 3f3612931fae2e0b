"""Collections of ours, and whose it is what they bring up."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any

from pytest_leakguard.core.ledger import Context
from pytest_leakguard.probes.state_digest import BEHIND
from pytest_leakguard.probes.unclosed import UnclosedProbe


class Collecting:
    """While it lasts, what a collection brings up is told of one test.

    A ResourceWarning that the user's filters turn into an error comes out of
    a finalizer as unraisable; the passive filter has noted it already.
    Anything else goes on to the hook that was there.
    """

    def __init__(self, unclosed: UnclosedProbe, context: Context | None, forward: Callable[[], object]) -> None:
        self._unclosed = unclosed
        self._context = context
        self._forward = forward

    def __enter__(self) -> None:
        self._original = sys.unraisablehook
        self._before, self._unclosed.by_collector = self._unclosed.by_collector, self._context
        self._hook = sys.unraisablehook = _Forwarding(self._original, self._forward)

    def __exit__(self, *_: object) -> None:
        if sys.unraisablehook is self._hook:
            sys.unraisablehook = self._original
        self._unclosed.by_collector = self._before


class _Forwarding:
    """An unraisable hook that keeps ResourceWarnings back."""

    def __init__(self, original: Callable[[Any], object], forward: Callable[[], object]) -> None:
        self._original = original
        self._forward = forward
        setattr(self, BEHIND, original)

    def __call__(self, unraisable: Any) -> None:
        if not isinstance(unraisable.exc_value, ResourceWarning):
            self._forward()
            self._original(unraisable)
