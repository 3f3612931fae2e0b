"""Objects of some types among those made lately, without a look at the heap.

The collector keeps what is new apart, in its youngest generation: a few hundred
objects. It tells when it is about to move them on; looked at then, and when the
probe is asked, each object is seen once, whatever the heap holds.
"""

from __future__ import annotations

import gc
from collections.abc import Callable
from typing import Any

from pytest_leakguard import _real


class YoungLook:
    """Looks at each young object once, while it is on.

    Args:
        is_wanted: whether instances of a type are looked for; asked once for each type.
        found: told of each such object; may be told of the same one again.

    Attributes:
        visited: how many objects were looked at, for the tests of what this costs.
    """

    def __init__(self, is_wanted: Callable[[type], bool], found: Callable[[Any], object]) -> None:
        self._is_wanted = is_wanted
        self._found = found
        self._answers: dict[int, bool] = {}
        self._looking = False
        self.on = False
        self.visited = 0

    def start(self) -> None:
        """Have the collector tell."""
        if self._before_collection not in gc.callbacks:
            gc.callbacks.append(self._before_collection)

    def stop(self) -> None:
        """Leave the collector as it was."""
        self.on = False
        if self._before_collection in gc.callbacks:
            gc.callbacks.remove(self._before_collection)

    def look(self, *, everything: bool = False) -> None:
        """See what is new; or, once in a session, everything there is."""
        if self._looking or not (self.on or everything):
            return
        self._looking = True
        try:
            answers = self._answers
            answers.clear()  # ids of types are used again, and what is wanted depends on the test
            young = _real.gc_get_objects() if everything else _real.gc_get_objects(generation=0)
            self.visited += len(young)
            for obj in young:
                kind = type(obj)
                answer = answers.get(_real.identity(kind))
                if answer is None:
                    answer = answers[_real.identity(kind)] = self._is_wanted(kind)
                if answer:
                    self._found(obj)
            del young
        finally:
            self._looking = False

    def _before_collection(self, phase: str, info: dict[str, int]) -> None:
        if phase == "start" and self.on:
            try:
                self.look()
            except Exception:  # an error of ours must not come out of the user's allocation; the next look tells
                self._looking = False
