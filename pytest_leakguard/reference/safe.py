"""A resource behind two plain callables, with a log of what went wrong."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Generic, Literal, TypeVar

from pytest_leakguard.reference._closing import ClosedOnExit
from pytest_leakguard.reference._expect import expect_callable
from pytest_leakguard.reference._unwind import add_note, undo
from pytest_leakguard.reference.errors import AlreadyOpen, NotOpen

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class ErrorRecord:
    """One line of the error log: type and text; the error itself would keep frames alive. `at` is a time stamp."""

    phase: Literal["acquire", "release"]
    error: str
    at: float


class SafeResource(ClosedOnExit, Generic[T]):
    """What one callable acquires and another releases; by `with`, or by `open()` and `close()`; usable again.

    Acquires: what `acquire()` gives. Releases: `release(resource)`, once, on every path.
    Acquisition fails: the error is recorded, and comes out with a note that names the resource.
    Body fails: released; the body's error comes out.
    Release fails: the error is recorded; it comes out when the body did not fail, else it is a note on the body's.
    A resource whose release failed is not released again.
    States: closed → open → closed …
    One thread at a time. `AsyncResource` is the same for coroutines.

    Args:
        acquire, release: the callables.
        name: for messages.
    """

    def __init__(self, acquire: Callable[[], T], release: Callable[[T], object], *, name: str = "resource") -> None:
        expect_callable(acquire, f"acquire of SafeResource {name!r}", "a callable without arguments")
        expect_callable(release, f"release of SafeResource {name!r}", "a callable that takes the resource")
        self.name = name
        self._acquire = acquire
        self._release = release
        # a list, so that None can be a resource too
        self._held: list[T] = []
        self._errors: list[ErrorRecord] = []

    @property
    def state(self) -> Literal["closed", "open"]:
        """Which of its two states it is in."""
        return "open" if self._held else "closed"

    @property
    def resource(self) -> T:
        """What was acquired.

        Raises:
            NotOpen: nothing is.
        """
        if not self._held:
            raise NotOpen(f"{self.name!r} is not open")
        return self._held[0]

    @property
    def errors(self) -> tuple[ErrorRecord, ...]:
        """What went wrong so far, oldest first."""
        return tuple(self._errors)

    def open(self) -> T:
        """Acquire, and give the resource.

        Raises:
            AlreadyOpen: it is open.
            BaseException: what `acquire` raised.
        """
        if self._held:
            raise AlreadyOpen(f"{self.name!r} is open already; close it first")
        try:
            self._held[:] = [self._acquire()]
            return self._held[0]
        except BaseException as error:
            self._record("acquire", error)
            add_note(error, f"while acquiring {self.name!r}")
            undo(error, self._closing, self.close)
            raise

    def close(self) -> None:
        """Release; nothing when it is closed.

        Raises:
            BaseException: what `release` raised; it is recorded.
        """
        if not self._held:
            return
        try:
            self._release(self._held[0])
        except BaseException as error:
            self._record("release", error)
            raise
        finally:
            self._held.clear()

    def _record(self, phase: Literal["acquire", "release"], error: BaseException) -> None:
        self._errors.append(ErrorRecord(phase, f"{type(error).__name__}: {error}", time.time()))

    @property
    def _closing(self) -> str:
        return f"releasing {self.name!r}"

    def __enter__(self) -> T:
        return self.open()
