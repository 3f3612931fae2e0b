"""During which test a callback of `atexit` was registered: told when the interpreter hangs in it.

Nothing is put in the place of `atexit.register`, which tests and libraries may compare, patch or use as a
decorator. Their number is compared twice in each test instead; only when it has changed they are looked at. So the
test is known and the half of it, not the line.
"""

from __future__ import annotations

from collections import Counter
from types import CodeType

from pytest_leakguard.probes import exit_callbacks

_TOLD_AT_MOST = 3


class Registrations:
    """Looks at the callbacks when there are more or fewer than there were.

    Attributes:
        count: how many there were at the last look.
    """

    def __init__(self) -> None:
        self.count = -1
        self._known: Counter[int] = Counter()
        self._during: dict[CodeType, list[str]] = {}

    def begin(self) -> None:
        """What is registered by now is of no test."""
        if self.count < 0:
            self.look("")

    def look(self, during: str) -> None:
        """Note what is new.

        Args:
            during: the test and the half of it, in words; empty for what was there before.
        """
        self.count = exit_callbacks.count()
        now = exit_callbacks.callbacks()
        ids = Counter(map(id, now))
        for callback in now if during else ():
            code = exit_callbacks.code_of(callback)
            if code is not None and ids[id(callback)] > self._known[id(callback)]:
                told = self._during.setdefault(code, [])
                if during not in told:
                    told.append(during)
        self._known = ids

    def places(self) -> dict[CodeType, str]:
        """Code of a callback -> the tests that registered it, in words."""
        return {
            code: " or ".join(told[:_TOLD_AT_MOST]) + (" or others" if len(told) > _TOLD_AT_MOST else "")
            for code, told in self._during.items()
        }
