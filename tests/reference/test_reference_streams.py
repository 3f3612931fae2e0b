"""Streams: closed on every path, only what is listed suppressed, nothing lost of what came."""

from __future__ import annotations

import gc
import io
import os
from contextlib import suppress

import leaky
import pytest

from pytest_leakguard.reference import StreamAccumulator, StreamWriter, accumulate, stream_metrics
from pytest_leakguard.reference.errors import NotOpen
from pytest_leakguard.reference.streams import AlreadyFinal


class Boom(Exception):
    """The error of a body."""


def broken_pipe():
    """The writing end of a pipe whose reader is gone."""
    reading, writing = os.pipe()
    os.close(reading)
    return os.fdopen(writing, "w")


# -- StreamWriter


@pytest.mark.parametrize("kind", [Boom, OSError, ConnectionResetError, KeyboardInterrupt, GeneratorExit, ValueError])
def test_all_but_the_listed_come_out(kind, leak_check):
    """Unchanged, and the stream is closed."""
    stream = io.StringIO()
    raised = kind("x")
    with pytest.raises(kind) as caught, StreamWriter(stream) as out:
        out.write("x")
        raise raised
    assert caught.value is raised
    assert stream.closed


def test_a_reader_that_went_away_is_no_error(leak_check):
    """In the body, and at the last flush; what was suppressed can be read."""
    with leak_check():
        for flush in (True, False):
            writer = StreamWriter(broken_pipe())
            with writer as out:
                out.write("x")
                if flush:
                    out.flush()
                    pytest.fail("no BrokenPipeError")
            assert isinstance(writer.suppressed, BrokenPipeError)
            assert writer.state == "closed"
            with pytest.raises(NotOpen), writer:
                pass


def test_what_is_suppressed_can_be_set(leak_check):
    """Nothing, or something else; what is no exception is refused."""
    with leak_check():
        with pytest.raises(BrokenPipeError), StreamWriter(broken_pipe(), suppress=()) as out:
            out.write("x")
        with StreamWriter(io.StringIO(), suppress=(Boom,)):
            raise Boom
        with pytest.raises(Boom) as caught, StreamWriter(broken_pipe(), suppress=()) as out:
            out.write("x")
            raise Boom
    assert "BrokenPipeError" in caught.value.__notes__[0]
    with pytest.raises(TypeError, match=r"suppress of StreamWriter: 5 is of type int"):
        StreamWriter(io.StringIO(), suppress=(5,))
    with pytest.raises(TypeError, match=r"StreamWriter: 5 is of type int; expected a stream"):
        StreamWriter(5)


def test_the_twin_that_returns_true():
    """Told by the contract: an error of the body disappears."""
    with pytest.raises(Boom), StreamWriter(io.StringIO()):
        raise Boom
    with leaky.LeakyStreamWriter(io.StringIO()):
        raise Boom


# -- StreamAccumulator


@pytest.mark.parametrize("kind", [None, Boom, KeyboardInterrupt, GeneratorExit])
def test_the_source_is_closed_when_the_consumer_is_done(source, kind, leak_check):
    """After all of it, after a part, or with an error; the content is what came."""
    with leak_check():
        with suppress(kind or Boom), accumulate(open(source)) as stream:
            for chunk in stream:
                assert chunk == "3.5\n"
                if kind is not None:
                    raise kind
                break
        assert stream.content == "3.5\n"
        assert stream.state == "final"
        with accumulate(open(source, "rb")) as whole:
            assert list(whole) == [b"3.5\n", b"4.5\n"]
        assert whole.content == b"3.5\n4.5\n"
        assert whole.chunks == (b"3.5\n", b"4.5\n")


def test_a_source_that_fails_midway():
    """Its error comes out, what came is kept; a failing close is a note."""

    class Source:
        closed = 0

        def __iter__(self):
            yield "a"
            raise Boom("midway")

        def close(self):
            self.closed += 1
            raise OSError("close")

    given = Source()
    stream = StreamAccumulator(given)
    with pytest.raises(Boom, match="midway") as caught:
        list(stream)
    assert stream.content == "a"
    assert given.closed == 1
    assert caught.value.__notes__ == ["closing the source failed too: OSError: close"]


def test_final_is_final():
    """Adding after it is an error; finalizing twice gives the same; chunks are of one type."""
    stream: StreamAccumulator[str] = StreamAccumulator()
    assert stream.content == ""
    stream.add("a")
    assert stream.content == "a"
    with pytest.raises(TypeError, match="b'x' is of type bytes; expected str"):
        stream.add(b"x")
    stream.add("b")
    assert stream.finalize() == stream.finalize() == "ab"
    with pytest.raises(AlreadyFinal, match="a chunk of 1 came after"):
        stream.add("c")
    with pytest.raises(NotOpen):
        list(stream)
    with pytest.raises(TypeError, match="expected an iterable"):
        StreamAccumulator(5)
    with pytest.raises(TypeError, match="expected str or bytes"):
        StreamAccumulator().add(5)


def test_accumulation_is_linear():
    """Each chunk is joined once: the content of a long stream is built by one join, not by adding up."""
    joined = []

    class Counting(str):
        def join(self, parts):
            joined.append(len(parts))
            return str.join("", parts)

        def __getitem__(self, index):
            return self

        def __add__(self, other):
            raise AssertionError("added up")

    with accumulate([Counting("x")] * 5000) as stream:
        for _ in stream:
            pass
    assert stream.content == "x" * 5000
    assert joined == [5000]


def test_the_twin_that_is_abandoned(source, left_behind):
    """Its source stays open after a consumer that stops early."""

    def reference(opened):
        with accumulate(opened) as stream:
            for _ in stream:
                break

    def twin(opened):
        for _ in leaky.leaky_accumulate(opened, []):
            break

    def use(consume):
        consume(leaky.keep(open(source)))

    assert left_behind(lambda: use(reference)) == []
    (finding,) = left_behind(lambda: use(twin))
    assert finding.kind == "fd"
    gc.collect()


# -- stream_metrics


class Clock:
    now = 0.0

    def __call__(self):
        self.now += 1.0
        return self.now


def test_the_numbers_of_a_stream():
    """Time to the first chunk, total, count and size."""
    told = []
    with stream_metrics([b"ab", b"c"], told.append, clock=Clock()) as stream:
        assert list(stream) == [b"ab", b"c"]
        assert stream.metrics.chunks == 2
    (metrics,) = told
    assert (metrics.chunks, metrics.size, metrics.error) == (2, 3, None)
    assert metrics.first_chunk_seconds == 1.0
    assert metrics.total_seconds == 3.0
    assert stream.metrics is metrics


def test_an_empty_stream_has_no_first_chunk():
    """None, not nought."""
    with stream_metrics([]) as stream:
        assert list(stream) == []
    assert stream.metrics.first_chunk_seconds is None
    assert (stream.metrics.chunks, stream.metrics.size) == (0, 0)


@pytest.mark.parametrize("kind", [Boom, KeyboardInterrupt, GeneratorExit])
def test_the_numbers_are_right_when_the_source_fails_midway(kind, source, leak_check):
    """Told with the error, once; the source is closed; so it is when the consumer fails."""

    def failing():
        yield "ab"
        raise kind("midway")

    told = []
    with leak_check(), pytest.raises(kind), stream_metrics(failing(), told.append) as stream:
        for _ in stream:
            pass
    with leak_check(), pytest.raises(kind), stream_metrics(open(source), told.append) as stream:
        for _ in stream:
            raise kind("midway")
    assert [(metrics.chunks, metrics.error) for metrics in told] == [(1, f"{kind.__name__}: midway")] * 2


def test_errors_of_close_and_of_the_report_are_told():
    """As themselves, or as notes; the one does not keep the other from running."""

    class Source(list):
        def close(self):
            raise OSError("close")

    def report(metrics):
        told.append(metrics)
        raise Boom("report")

    told = []
    with pytest.raises(OSError, match="close") as caught, stream_metrics(Source(), report):
        pass
    assert caught.value.__notes__ == ["reporting the metrics failed too: Boom: report"]
    with pytest.raises(KeyError) as body, stream_metrics(Source(), report):
        raise KeyError
    assert len(body.value.__notes__) == 2
    assert [metrics.error for metrics in told] == ["OSError: close", "KeyError: "]


def test_the_twin_that_loses_its_numbers():
    """Told by the contract: nothing is reported when the source fails."""

    def failing():
        yield "ab"
        raise Boom

    for manager, number in ((stream_metrics, 1), (leaky.leaky_stream_metrics, 0)):
        told = []
        with pytest.raises(Boom), manager(failing(), told.append) as stream:
            for _ in stream:
                pass
        assert len(told) == number
