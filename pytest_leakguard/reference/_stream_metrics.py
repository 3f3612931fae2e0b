"""How fast a stream came: told on every path."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from types import TracebackType
from typing import TYPE_CHECKING, AnyStr, Generic

from pytest_leakguard.reference._expect import expect
from pytest_leakguard.reference._unwind import attach, outranks, undo

if TYPE_CHECKING:
    from typing_extensions import Self


@dataclass(frozen=True, slots=True)
class StreamMetrics:
    """What a stream took.

    Attributes:
        first_chunk_seconds: until the first chunk; None when there was none.
        total_seconds: until the end of the block.
        chunks: how many.
        size: their lengths together; bytes, or characters of str.
        error: type and text of what ended the stream or the block, None when it ended well.
    """

    first_chunk_seconds: float | None
    total_seconds: float
    chunks: int
    size: int
    error: str | None = None


class stream_metrics(Generic[AnyStr]):
    """Measure a stream: `with stream_metrics(source, report) as stream`, then `for chunk in stream`.

    Acquires: nothing; it takes over the source. Releases: the source's `close()`, if it has one; then `report` is
    called, once, on every path: the source empty, the source failing midway, the consumer stopping or failing.
    Close or report fails: the other is done all the same; the error comes out, or is a note on the one under way.
    States: running → done, for good.

    Args:
        source: gives chunks.
        report: called with the `StreamMetrics` at the end.
        clock: gives seconds; for tests.
    """

    def __init__(
        self,
        source: Iterable[AnyStr],
        report: Callable[[StreamMetrics], object] | None = None,
        *,
        clock: Callable[[], float] = time.perf_counter,
    ) -> None:
        expect(source, ("__iter__",), "stream_metrics", "an iterable of chunks")
        self._source: Iterable[AnyStr] = source
        self._report = report
        self._clock = clock
        self._started = clock()
        self._first: float | None = None
        self._chunks = 0
        self._size = 0
        self._final: StreamMetrics | None = None

    @property
    def metrics(self) -> StreamMetrics:
        """The numbers, final after the block, so far within it."""
        return self._final or self._measured(None)

    def _measured(self, error: BaseException | None) -> StreamMetrics:
        text = None if error is None else f"{type(error).__name__}: {error}"
        return StreamMetrics(self._first, self._clock() - self._started, self._chunks, self._size, text)

    def __iter__(self) -> Iterator[AnyStr]:
        for chunk in self._source:
            if self._first is None:
                self._first = self._clock() - self._started
            self._chunks += 1
            self._size += len(chunk)
            yield chunk

    def __enter__(self) -> Self:
        self._started = self._clock()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        close: Callable[[], object] | None = getattr(self._source, "close", None)
        try:
            if close is not None:
                close()
        except BaseException as second:
            if error is None or outranks(second, error):
                self._end_because(second)
                raise
            attach(error, second, "closing the source")
        if error is None:
            self._end(None)
        else:
            self._end_because(error)

    def _end_because(self, error: BaseException) -> None:
        undo(error, "reporting the metrics", lambda: self._end(error))

    def _end(self, error: BaseException | None) -> None:
        if self._final is None:
            self._final = self._measured(error)
            if self._report is not None:
                self._report(self._final)
