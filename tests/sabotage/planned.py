"""What a planned sabotage is."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Sabotage:
    """One wrong change, such as a hurried maintainer makes.

    Attributes:
        file: below the package, or of the part in C: `native/events.c`.
        old, new: the text, which stands there once, and what it becomes.
        test: the id of the test that has to notice, below ``tests/``.
        argued: why none can, where the test passes all the same.
    """

    file: str
    old: str
    new: str
    test: str
    argued: str = ""

    @property
    def is_native(self) -> bool:
        """Whether it is one of the part in C."""
        return self.file.startswith("native/")
