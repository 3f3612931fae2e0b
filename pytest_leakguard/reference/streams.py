"""Streams: written to and closed, accumulated as they come, and measured."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import AbstractContextManager
from types import TracebackType
from typing import TYPE_CHECKING, Any, AnyStr, Generic, Literal, Protocol, TypeVar, cast

from pytest_leakguard.reference._closing import ClosedOnExit
from pytest_leakguard.reference._expect import expect
from pytest_leakguard.reference._stream_metrics import StreamMetrics as StreamMetrics
from pytest_leakguard.reference._stream_metrics import stream_metrics as stream_metrics
from pytest_leakguard.reference._unwind import undo
from pytest_leakguard.reference.errors import NotOpen, ResourceError

if TYPE_CHECKING:
    from typing_extensions import Self


class Closable(Protocol):
    """What can be written to and closed."""

    def write(self, data: Any, /) -> Any: ...
    def close(self) -> Any: ...


S = TypeVar("S", bound=Closable)


class StreamWriter(Generic[S]):
    """A stream that is closed on every path; only a reader that went away is no error.

    Acquires: nothing; it takes over a stream that is open. Releases: the stream's `close()`.
    Body fails with one of `suppress`: the stream is closed, the block ends normally, `suppressed` has the error.
    Body fails with anything else: closed; exactly that error comes out.
    Close fails: likewise, the listed ones are suppressed, since the last flush may find the reader gone; any other
    comes out, or is a note on the body's.
    States: open → closed, for good; a closed stream is not entered.

    Args:
        stream: has `write()` and `close()`.
        suppress: exceptions that are no error here. `()` suppresses nothing. Never a whole family such as OSError
            unless each of its members may be overlooked.
    Raises:
        TypeError: this is no stream, or `suppress` has something that is no exception type.
    """

    def __init__(self, stream: S, *, suppress: tuple[type[BaseException], ...] = (BrokenPipeError,)) -> None:
        expect(stream, ("write", "close"), "StreamWriter", "a stream")
        for kind in cast("tuple[object, ...]", suppress):
            if not (isinstance(kind, type) and issubclass(kind, BaseException)):
                raise TypeError(
                    f"suppress of StreamWriter: {kind!r} is of type {type(kind).__name__}; expected an exception type"
                )
        self._stream = stream
        self._suppress = suppress
        self._is_closed = False
        self.suppressed: BaseException | None = None

    @property
    def state(self) -> Literal["open", "closed"]:
        """Which of its two states it is in."""
        return "closed" if self._is_closed else "open"

    def close(self) -> None:
        """Close the stream; nothing when it is closed.

        Raises:
            BaseException: what the stream's `close()` raised, unless it is to be suppressed.
        """
        if self._is_closed:
            return
        try:
            self._stream.close()
            self._is_closed = True
        except self._suppress as error:
            self._is_closed = True
            self.suppressed = self.suppressed or error.with_traceback(None)
        except Exception:
            # a stream whose last flush failed is closed; an interrupt may have come before that
            self._is_closed = True
            raise

    def __enter__(self) -> S:
        if self._is_closed:
            raise NotOpen(f"StreamWriter: {self._stream!r} is closed")
        return self._stream

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> bool:
        if error is None:
            self.close()
            return False
        if not isinstance(error, self._suppress):
            undo(error, f"closing {self._stream!r}", self.close)
            return False
        self.close()
        # without its traceback, which would keep the body's frame alive
        self.suppressed = error.with_traceback(None)
        return True


class StreamAccumulator(ClosedOnExit, Generic[AnyStr]):
    """The chunks of a stream, handed on as they come, and their content as a whole at the end.

    Acquires: nothing; it takes over the source. Releases: the source's `close()`, if it has one.
    The consumer stops early, fails, or abandons the iteration: the source is closed; what came so far is the content.
    The source fails: it is closed, its error comes out; what came so far is the content.
    Close fails: its error comes out, or is a note on the one under way.
    States: open → final, for good; adding to a final one is an error.
    Cost: chunks are put together once, at the end; `content` of an open one puts them together each time.

    Args:
        source: gives chunks, all str or all bytes; None when they are only added by hand.
    """

    def __init__(self, source: Iterable[AnyStr] | None = None) -> None:
        if source is not None:
            expect(source, ("__iter__",), "StreamAccumulator", "an iterable of chunks")
        self._source: Iterable[AnyStr] | None = source
        self._chunks: list[AnyStr] = []
        self._content: AnyStr | None = None

    @property
    def state(self) -> Literal["open", "final"]:
        """Which of its two states it is in."""
        return "open" if self._content is None else "final"

    @property
    def chunks(self) -> tuple[AnyStr, ...]:
        """What came so far, in order."""
        return tuple(self._chunks)

    @property
    def content(self) -> AnyStr:
        """All that came so far, as one; an empty str when nothing came, since there is no chunk to tell the type."""
        return self._joined() if self._content is None else self._content

    def add(self, chunk: AnyStr) -> None:
        """Add one chunk.

        Raises:
            AlreadyFinal: it was finalized.
            TypeError: it is not of the type of the chunks before it.
        """
        if self._content is not None:
            raise AlreadyFinal(f"a chunk of {len(chunk)} came after the stream was finalized")
        given: object = chunk
        if not isinstance(given, type(self._chunks[0]) if self._chunks else (str, bytes)):
            expected = type(self._chunks[0]).__name__ if self._chunks else "str or bytes"
            raise TypeError(
                f"StreamAccumulator: chunk {chunk!r} is of type {type(chunk).__name__}; expected {expected}"
            )
        self._chunks.append(chunk)

    def finalize(self) -> AnyStr:
        """Take no more; gives the content. A second time gives the same."""
        if self._content is None:
            self._content = self._joined()
        return self._content

    def close(self) -> None:
        """Finalize and close the source; nothing when that was done.

        Raises:
            BaseException: what the source's `close()` raised.
        """
        try:
            self.finalize()
        finally:
            source, close = self._source, getattr(self._source, "close", None)
            if source is not None and close is not None:
                close()
            self._source = None

    def _joined(self) -> AnyStr:
        if not self._chunks:
            return ""  # type: ignore[return-value]
        return self._chunks[0][:0].join(self._chunks)

    def __iter__(self) -> Iterator[AnyStr]:
        if self._source is None:
            raise NotOpen("StreamAccumulator has no source to read, or it was read already")
        try:
            for chunk in self._source:
                self.add(chunk)
                yield chunk
        except BaseException as error:
            undo(error, self._closing, self.close)
            raise
        else:
            self.close()

    @property
    def _closing(self) -> str:
        return "closing the source"

    def __enter__(self) -> Self:
        return self


class AlreadyFinal(ResourceError, RuntimeError):
    """Something was added to a stream that was finalized."""


def accumulate(source: Iterable[AnyStr]) -> AbstractContextManager[StreamAccumulator[AnyStr]]:
    """`with accumulate(source) as stream`, then `for chunk in stream`; after the block `stream.content`.

    A block and not a bare generator: a generator that is abandoned closes its source only when it is collected.
    All that `StreamAccumulator` says holds.
    """
    return StreamAccumulator(source)
