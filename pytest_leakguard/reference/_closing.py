"""What leaving a `with` block does, the same for all that is closed by hand too."""

from __future__ import annotations

from abc import ABC, abstractmethod
from types import TracebackType

from pytest_leakguard.reference._unwind import undo


class ClosedOnExit(ABC):
    """Closed at the end of its block: the body's error comes out, that of the close is a note on it."""

    @property
    @abstractmethod
    def _closing(self) -> str:
        """What `close` does and to what, for such a note: "closing 'report.csv'"."""

    @abstractmethod
    def close(self) -> None:
        """Release everything; nothing when that was done."""

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if error is None:
            self.close()
        else:
            undo(error, self._closing, self.close)
