"""Collections of ours, and whose it is what they bring up."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any

from pytest_leakguard.core.ledger import Context
from pytest_leakguard.probes.unclosed import UnclosedProbe


class Collecting:
    """While it lasts, what a collection brings up is told of one test.

    Args:
        whose: gives the context of that test, asked only when something comes up; None when it is no test's.
        forward: called when something but a ResourceWarning was brought up.

    A ResourceWarning that the user's filters turn into an error comes out of
    a finalizer as unraisable; the passive filter has noted it already.
    Anything else goes on to the hook that was there. It can be entered again and
    again, but not inside of itself.
    """

    __slots__ = ("_before", "_forward", "_hook", "_unclosed", "_whose")

    def __init__(
        self, unclosed: UnclosedProbe, whose: Callable[[], Context] | None, forward: Callable[[], object]
    ) -> None:
        self._unclosed = unclosed
        self._whose = whose
        self._forward = forward

    def __enter__(self) -> None:
        unclosed = self._unclosed
        self._before, unclosed.whose = unclosed.whose, self._whose
        # one for each time: who has kept it as the hook before his own may put it back much later
        self._hook: _Forwarding | None = _Forwarding(sys.unraisablehook, self._forward)
        sys.unraisablehook = self._hook

    def __exit__(self, *_: object) -> None:
        if self._hook is not None and sys.unraisablehook is self._hook:
            sys.unraisablehook = self._hook._leakguard_stands_before
        self._hook = None  # the user's hook is not ours to keep
        self._unclosed.whose = self._before


class _Forwarding:
    """An unraisable hook that keeps ResourceWarnings back."""

    __slots__ = ("_forward", "_leakguard_stands_before")

    def __init__(self, original: Callable[[Any], object], forward: Callable[[], object]) -> None:
        self._leakguard_stands_before = original  # `BEHIND`: the state probe looks through
        self._forward = forward

    def __call__(self, unraisable: Any) -> None:
        if not isinstance(unraisable.exc_value, ResourceWarning):
            self._forward()
            self._leakguard_stands_before(unraisable)
