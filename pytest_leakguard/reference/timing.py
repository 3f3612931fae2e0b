"""How long a block took, told on the error path too."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from types import TracebackType
from typing import TYPE_CHECKING, Literal

from pytest_leakguard.reference._expect import expect_callable
from pytest_leakguard.reference._unwind import undo
from pytest_leakguard.reference.errors import AlreadyOpen, NotOpen

if TYPE_CHECKING:
    from typing_extensions import Self


@dataclass(frozen=True, slots=True)
class Timing:
    """What is reported of a block.

    Attributes:
        seconds: elapsed, of the monotonic clock.
        error: type and text of what ended the block, None when it ended well.
    """

    name: str
    seconds: float
    error: str | None = None

    @property
    def failed(self) -> bool:
        """Whether the block ended by an error."""
        return self.error is not None


Report = Callable[[Timing], object]


class timer:
    """Measures a block; by `with timer() as elapsed`, or by `start()` and `stop()`; usable again.

    Acquires: nothing but the time. Releases: nothing; at the end `report` is called once, on every path.
    Body fails: reported with the error; then the body's error comes out.
    Report fails: its error comes out, or is a note on the body's.
    States: stopped → running → stopped …

    Args:
        report: called with a `Timing` at the end; None for none.
        name: for the report.
        clock: gives seconds; for tests.
    """

    def __init__(
        self, report: Report | None = None, *, name: str = "block", clock: Callable[[], float] = time.perf_counter
    ) -> None:
        if report is not None:
            expect_callable(report, f"report of timer {name!r}", "a callable that takes a Timing")
        self.name = name
        self._report = report
        self._clock = clock
        self._started: float | None = None
        self._timing: Timing | None = None

    @property
    def state(self) -> Literal["stopped", "running"]:
        """Which of its two states it is in."""
        return "stopped" if self._started is None else "running"

    @property
    def seconds(self) -> float:
        """Elapsed so far, or in the last block.

        Raises:
            NotOpen: it never ran.
        """
        if self._started is not None:
            return self._clock() - self._started
        return self.timing.seconds

    @property
    def timing(self) -> Timing:
        """The last block.

        Raises:
            NotOpen: none has ended yet.
        """
        if self._timing is None:
            raise NotOpen(f"timer {self.name!r} has not measured anything yet")
        return self._timing

    def start(self) -> Self:
        """Begin to measure.

        Raises:
            AlreadyOpen: it is running; a second start would lose the first.
        """
        if self._started is not None:
            raise AlreadyOpen(f"timer {self.name!r} is running already; use a second one for a block inside")
        self._started = self._clock()
        return self

    def stop(self) -> None:
        """End and report; nothing when it is not running."""
        self._end(None)

    def _end(self, error: BaseException | None) -> None:
        if self._started is None:
            return
        text = None if error is None else f"{type(error).__name__}: {error}"
        self._timing = Timing(self.name, self._clock() - self._started, text)
        self._started = None
        if self._report is not None:
            self._report(self._timing)

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if error is None:
            self._end(None)
        else:
            undo(error, f"reporting the time of {self.name!r}", lambda: self._end(error))


def timed_block(
    name: str, to: Report | logging.Logger | None = None, *, level: int = logging.INFO
) -> AbstractContextManager[timer]:
    """Measure a block and log it: `load took 1.234 s`, or `load failed after 1.234 s: KeyError: 'x'`.

    As `timer`; a failed block is logged one step higher, as a warning at least.

    Args:
        to: a logger, or a callable that takes a `Timing`; None is the logger of this module.
        level: of a block that ended well.
    """
    if to is None or isinstance(to, logging.Logger):
        logger = to or logging.getLogger(__name__)

        def report(timing: Timing) -> None:
            if timing.failed:
                logger.log(
                    max(level, logging.WARNING), "%s failed after %.3f s: %s", name, timing.seconds, timing.error
                )
            else:
                logger.log(level, "%s took %.3f s", name, timing.seconds)

        return timer(report, name=name)
    return timer(to, name=name)
