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

    Args:
        whose: gives the context of that test, asked only when something comes up; None when it is no test's.
        forward: called when something but a ResourceWarning was brought up.

    A ResourceWarning that the user's filters turn into an error comes out of
    a finalizer as unraisable; the passive filter has noted it already.
    Anything else goes on to the hook that was there.
    """

    def __init__(
        self, unclosed: UnclosedProbe, whose: Callable[[], Context] | None, forward: Callable[[], object]
    ) -> None:
        self._unclosed = unclosed
        self._whose = whose
        self._forward = forward

    def __enter__(self) -> None:
        self._original = sys.unraisablehook
        self._before, self._unclosed.whose = self._unclosed.whose, self._whose
        self._hook = sys.unraisablehook = _Forwarding(self._original, self._forward)

    def __exit__(self, *_: object) -> None:
        if sys.unraisablehook is self._hook:
            sys.unraisablehook = self._original
        self._unclosed.whose = self._before


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
