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

    Meanwhile it is the unraisable hook: a ResourceWarning that the user's filters
    turn into an error comes out of a finalizer as unraisable, and the passive
    filter has noted it already. Anything else goes on to the hook that was there.
    It can be entered again and again, but not inside of itself.
    """

    __slots__ = ("_before", "_forward", "_leakguard_stands_before", "_unclosed", "_whose")

    def __init__(
        self, unclosed: UnclosedProbe, whose: Callable[[], Context] | None, forward: Callable[[], object]
    ) -> None:
        self._unclosed = unclosed
        self._whose = whose
        self._forward = forward

    def __enter__(self) -> None:
        unclosed = self._unclosed
        self._before, unclosed.whose = unclosed.whose, self._whose
        self._leakguard_stands_before = sys.unraisablehook  # `BEHIND`: the state probe looks through
        sys.unraisablehook = self

    def __exit__(self, *_: object) -> None:
        if sys.unraisablehook is self:
            sys.unraisablehook = self._leakguard_stands_before
        self._unclosed.whose = self._before

    def __call__(self, unraisable: Any) -> None:
        if not isinstance(unraisable.exc_value, ResourceWarning):
            self._forward()
            self._leakguard_stands_before(unraisable)
