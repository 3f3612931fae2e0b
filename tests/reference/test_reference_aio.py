"""Async resources: released under cancellation, late arrivals given back, siblings awaited."""

from __future__ import annotations

import asyncio
import socket

import leaky
import pytest

from pytest_leakguard.reference import AsyncResource, open_connections, secondary_errors
from pytest_leakguard.reference.errors import AcquireTimeout, AlreadyOpen, NotOpen, ReleaseTimeout


class Boom(Exception):
    """The error of a body."""


class Line:
    """A real socket pair behind slow coroutines, with faults on request."""

    def __init__(self, *, opening=0.0, closing=0.0, open_error=None, close_error=None):
        self.opening, self.closing = opening, closing
        self.open_error, self.close_error = open_error, close_error
        self.log = []

    async def open(self):
        self.log.append("opening")
        ours, theirs = socket.socketpair()
        theirs.close()
        try:
            await asyncio.sleep(self.opening)
            if self.open_error is not None:
                raise self.open_error
        except BaseException:
            ours.close()
            raise
        self.log.append("open")
        return ours

    async def close(self, ours):
        self.log.append("closing")
        await asyncio.sleep(self.closing)
        ours.close()
        self.log.append("closed")
        if self.close_error is not None:
            raise self.close_error

    def resource(self, **options):
        return AsyncResource(self.open, self.close, name="line", **options)


async def cancel_when(task, condition):
    """Cancel a task once something is true of it, and wait for its end."""
    while not condition():
        await asyncio.sleep(0.001)
    task.cancel()
    await asyncio.wait({task})
    assert asyncio.all_tasks() == {asyncio.current_task()}
    return task


@pytest.mark.parametrize("timeout", [None, 5])
@pytest.mark.parametrize("kind", [None, Boom, asyncio.CancelledError, GeneratorExit])
def test_released_on_every_path(kind, timeout, leak_check):
    """Normal end or any error; usable again."""

    async def use():
        line = Line()
        resource = line.resource(timeout=timeout)
        for _ in range(2):
            try:
                async with resource as ours:
                    assert resource.state == "open"
                    assert resource.resource is ours
                    if kind is not None:
                        raise kind("body")
            except BaseException as error:
                assert type(error) is kind and str(error) == "body"
            assert ours.fileno() == -1
            assert resource.state == "closed"
        assert line.log == ["opening", "open", "closing", "closed"] * 2

    with leak_check():
        asyncio.run(use())


def test_by_hand():
    """open and close; close twice; a second open is refused; no resource when closed."""

    async def use():
        resource = Line().resource()
        with pytest.raises(NotOpen, match="'line' is not open"):
            resource.resource
        ours = await resource.open()
        with pytest.raises(AlreadyOpen, match="'line' is open"):
            await resource.open()
        assert ours.fileno() != -1
        await resource.close()
        await resource.close()

    asyncio.run(use())


@pytest.mark.parametrize("times", [1, 3])
def test_a_release_runs_to_its_end_under_cancellation(times, leak_check):
    """Cancelled in the body, and again and again during the release: it ends, then the cancellation comes out."""

    async def main():
        line = Line(closing=0.05)

        async def use():
            async with line.resource():
                await asyncio.sleep(10)

        task = asyncio.ensure_future(use())
        while "open" not in line.log:
            await asyncio.sleep(0)
        await asyncio.sleep(0)
        task.cancel()
        for _ in range(times - 1):
            while "closing" not in line.log:
                await asyncio.sleep(0)
            await asyncio.sleep(0.005)
            task.cancel()
        await asyncio.wait({task})
        assert task.cancelled()
        assert line.log[-1] == "closed"

    with leak_check():
        asyncio.run(main())


def test_a_cancellation_during_a_normal_release_comes_out(leak_check):
    """After the release has ended; its own error is a note."""

    async def main():
        line = Line(closing=0.02, close_error=Boom("closing"))

        async def use():
            async with line.resource():
                pass

        task = await cancel_when(task := asyncio.ensure_future(use()), lambda: "closing" in line.log)
        assert line.log[-1] == "closed"
        assert task.cancelled()

    with leak_check():
        asyncio.run(main())


@pytest.mark.parametrize("timeout", [None, 5])
def test_cancelled_while_acquiring(timeout, leak_check):
    """Nothing is left, and it can be opened again."""

    async def main():
        line = Line(opening=0.05)
        resource = line.resource(timeout=timeout)
        task = asyncio.ensure_future(resource.open())
        task = await cancel_when(task, lambda: "opening" in line.log)
        assert task.cancelled()
        assert resource.state == "closed"
        async with resource:
            pass

    with leak_check():
        asyncio.run(main())


def test_what_comes_too_late_is_given_back(leak_check):
    """An acquisition that does not heed the timeout: its result is released, and the timeout is told."""

    async def main():
        line = Line()

        async def stubborn():
            try:
                await asyncio.sleep(10)
            except asyncio.CancelledError:
                pass
            return await line.open()

        resource = AsyncResource(stubborn, line.close, timeout=0.02, name="slow line")
        with pytest.raises(AcquireTimeout, match=r"'slow line' was not acquired in 0\.02 s"):
            await resource.open()
        assert line.log == ["opening", "open", "closing", "closed"]
        assert resource.state == "closed"

    with leak_check():
        asyncio.run(main())


def test_a_release_is_bounded(leak_check):
    """It is cancelled after its time; the body's error is not hidden."""

    async def main():
        line = Line(closing=10)
        resource = line.resource(release_timeout=0.02)
        ours = await resource.open()
        with pytest.raises(ReleaseTimeout, match=r"releasing 'line' did not end in 0\.02 s"):
            await resource.close()
        ours.close()
        with pytest.raises(Boom) as caught:
            async with resource as ours:
                raise Boom
        (second,) = secondary_errors(caught.value)
        assert isinstance(second, ReleaseTimeout)
        ours.close()

    with leak_check():
        asyncio.run(main())


def test_errors_name_the_resource():
    """Of the acquisition by a note; of the release as itself, or as a note on the body's."""

    async def main():
        with pytest.raises(Boom) as caught:
            await Line(open_error=Boom("no")).resource().open()
        assert caught.value.__notes__ == ["while acquiring 'line'"]
        with pytest.raises(Boom, match="closing"):
            async with Line(close_error=Boom("closing")).resource():
                pass
        with pytest.raises(KeyError) as body:
            async with Line(close_error=Boom("closing")).resource():
                raise KeyError("body")
        assert body.value.__notes__ == ["releasing 'line' failed too: Boom: closing"]

    asyncio.run(main())


def test_the_twin_whose_release_is_cancelled(left_behind):
    """A second cancellation stops its release half-way, so its socket stays open."""

    def cancelled_twice(manager):
        async def main():
            line = Line(closing=0.02)
            opened = []

            async def use():
                async with manager(line.open, line.close) as ours:
                    opened.append(leaky.keep(ours))
                    await asyncio.sleep(10)

            task = asyncio.ensure_future(use())
            while not opened:
                await asyncio.sleep(0)
            task.cancel()
            await cancel_when(task, lambda: "closing" in line.log)

        asyncio.run(main())

    assert left_behind(lambda: cancelled_twice(AsyncResource)) == []
    (finding,) = left_behind(lambda: cancelled_twice(leaky.LeakyAsyncResource))
    assert finding.kind == "socket"


# -- open_connections

how = pytest.mark.parametrize("concurrently", [True, False])


@how
def test_many_are_open_together_and_closed_in_reverse(concurrently, leak_check):
    """In the order given, whatever order they arrived in."""

    async def main():
        order = []
        lines = [Line(opening=0.02 - index / 100) for index in range(3)]

        def closing(index):
            async def close(ours):
                order.append(index)
                ours.close()

            return close

        resources = [AsyncResource(line.open, closing(index)) for index, line in enumerate(lines)]
        async with open_connections(resources, concurrently=concurrently) as opened:
            assert opened == [resource.resource for resource in resources]
        assert order == [2, 1, 0]
        async with open_connections([], concurrently=concurrently) as none:
            assert none == []

    with leak_check():
        asyncio.run(main())


@how
@pytest.mark.parametrize("bad", [0, 1, 2])
def test_if_one_fails_none_is_open(concurrently, bad, leak_check):
    """Those that are open are closed, siblings are cancelled and awaited, the error comes out."""

    async def main():
        lines = [Line(opening=0.001 if index < bad else 0.05) for index in range(3)]
        lines[bad] = Line(opening=0.02, open_error=Boom(f"number {bad}"))
        with pytest.raises(Boom, match=f"number {bad}"):
            async with open_connections([line.resource() for line in lines], concurrently=concurrently):
                pytest.fail("entered")
        assert asyncio.all_tasks() == {asyncio.current_task()}

    with leak_check():
        asyncio.run(main())


@how
def test_cancelled_while_opening(concurrently, leak_check):
    """Nothing is open and no task runs on."""

    async def main():
        lines = [Line(opening=0.0), Line(opening=10), Line(opening=0.0)]

        async def use():
            async with open_connections([line.resource() for line in lines], concurrently=concurrently):
                pytest.fail("entered")

        task = asyncio.ensure_future(use())
        await cancel_when(task, lambda: "opening" in lines[1].log and "open" in lines[0].log)
        assert task.cancelled()
        assert lines[0].log[-1] == "closed"

    with leak_check():
        asyncio.run(main())


@how
def test_several_failing_closes_are_all_told(concurrently, leak_check):
    """The body's error comes out, each close's is attached."""

    async def main():
        lines = [Line(close_error=Boom(str(index))) for index in range(3)]
        with pytest.raises(KeyError) as caught:
            async with open_connections([line.resource() for line in lines], concurrently=concurrently):
                raise KeyError("body")
        assert len(caught.value.__notes__) == 3

    with leak_check():
        asyncio.run(main())


def test_what_is_no_async_context_manager_is_refused():
    """With its number and what was given."""
    with pytest.raises(TypeError, match=r"open_connections, number 1: 5 is of type int; expected an async context"):
        open_connections([Line().resource(), 5])
    with pytest.raises(TypeError, match=r"acquire of AsyncResource 'resource': 5 is of type int"):
        AsyncResource(5, print)


def test_the_twin_that_leaves_siblings_running(left_behind):
    """Its gather fails, and what the slow sibling opens afterwards belongs to nobody."""

    def one_fails(opener):
        async def main():
            slow, bad = Line(opening=0.01), Line(open_error=Boom())
            opened = []

            async def open_slow():
                opened.append(leaky.keep(await slow.open()))
                return opened[0]

            with pytest.raises(Boom):
                async with opener([AsyncResource(open_slow, slow.close), bad.resource()]):
                    pass
            await asyncio.sleep(0.03)

        asyncio.run(main())

    assert left_behind(lambda: one_fails(open_connections)) == []
    (finding,) = left_behind(lambda: one_fails(leaky.leaky_open_connections))
    assert finding.kind == "socket"
