"""SafeResource, locks, timers, object lifetime: what each promises, and its twin."""

from __future__ import annotations

import asyncio
import gc
import logging
import multiprocessing
import threading
import weakref
from contextlib import suppress

import leaky
import pytest

from pytest_leakguard.reference import SafeResource, WeakCache, async_held, breaks_cycle, held, timed_block, timer
from pytest_leakguard.reference.errors import AcquireTimeout, AlreadyOpen, NotOpen


class Boom(Exception):
    """The error of a body."""


def fails(error):
    def fails(*_: object) -> None:
        raise error

    return fails


# -- SafeResource


@pytest.mark.parametrize("kind", [None, Boom, KeyboardInterrupt, GeneratorExit])
def test_released_once_on_every_path(kind):
    """By with and by hand; None is a resource too."""
    released = []
    safe = SafeResource(lambda: None, released.append, name="thing")
    with suppress(kind or Boom), safe as thing:
        assert thing is safe.resource is None
        assert safe.state == "open"
        if kind is not None:
            raise kind
    assert released == [None]
    safe.open()
    with pytest.raises(AlreadyOpen, match="'thing' is open already"):
        safe.open()
    safe.close()
    safe.close()
    assert released == [None, None]
    assert safe.errors == ()
    with pytest.raises(NotOpen):
        safe.resource


def test_errors_are_recorded_and_raised():
    """Of the acquisition with a note; of the release itself, or as a note on the body's; once."""
    safe = SafeResource(fails(Boom("no")), print, name="thing")
    with pytest.raises(Boom) as caught, safe:
        pass
    assert caught.value.__notes__ == ["while acquiring 'thing'"]
    assert [(record.phase, record.error) for record in safe.errors] == [("acquire", "Boom: no")]
    safe = SafeResource(object, fails(OSError("stuck")), name="thing")
    with pytest.raises(OSError, match="stuck"), safe:
        pass
    with pytest.raises(Boom) as caught, safe:
        raise Boom
    assert caught.value.__notes__ == ["releasing 'thing' failed too: OSError: stuck"]
    assert [record.phase for record in safe.errors] == ["release", "release"]
    safe.close()
    with pytest.raises(TypeError, match=r"release of SafeResource 'x': 5 is of type int"):
        SafeResource(print, 5, name="x")


def test_the_twin_that_hides_the_error_of_the_body():
    """Told by the contract: what comes out is not what the body raised."""

    def use(manager):
        with manager(object, fails(OSError())):
            raise Boom

    with pytest.raises(Boom):
        use(SafeResource)
    with pytest.raises(RuntimeError, match="release failed"):
        use(leaky.LeakySafeResource)


# -- locks


@pytest.mark.parametrize(
    "make", [threading.Lock, threading.RLock, threading.Semaphore, threading.Condition, multiprocessing.Lock]
)
@pytest.mark.parametrize("timeout", [None, 5])
def test_a_lock_is_held_for_the_block(make, timeout):
    """Whatever the body raises, and whatever kind of lock."""
    lock = make()
    for kind in (None, Boom, KeyboardInterrupt, GeneratorExit):
        with suppress(kind or Boom), held(lock, timeout):
            if kind is not None:
                raise kind
        assert is_free(lock)


def is_free(lock):
    """Another thread can take it and give it back."""
    got = []

    def take():
        got.append(lock.acquire(False))
        if got[0]:
            lock.release()

    thread = threading.Thread(target=take)
    thread.start()
    thread.join()
    return got[0]


def test_a_lock_that_was_not_acquired_is_not_released():
    """The named error says which and how long; the holder still has it."""
    lock = threading.Lock()
    with lock:
        with pytest.raises(AcquireTimeout, match=r"lock 'accounts' was not acquired in 0\.01 s"):
            with held(lock, 0.01, name="'accounts'"):
                pytest.fail("entered")
        assert lock.locked()
    assert not lock.locked()
    with pytest.raises(TypeError, match=r"held: 5 is of type int; expected a lock"):
        held(5)


@pytest.mark.parametrize("timeout", [None, 5])
def test_an_async_lock(timeout):
    """Held for the block; a task cancelled while it waits releases nothing; a timeout likewise."""

    async def main():
        lock = asyncio.Lock()

        async def wait():
            async with async_held(lock, timeout):
                pytest.fail("entered")

        async with async_held(lock, timeout):
            waiting = asyncio.ensure_future(wait())
            await asyncio.sleep(0.01)
            waiting.cancel()
            await asyncio.wait({waiting})
            assert waiting.cancelled()
            with pytest.raises(AcquireTimeout):
                async with async_held(lock, 0.01):
                    pytest.fail("entered")
            assert lock.locked()
        assert not lock.locked()
        with pytest.raises(Boom):
            async with async_held(lock, timeout):
                raise Boom
        assert not lock.locked()

    asyncio.run(main())


def test_the_twin_that_releases_what_it_never_got():
    """Told by the contract: the holder's lock is free while it holds it."""
    lock = threading.Lock()
    for manager, is_still_held in ((held, True), (leaky.leaky_held, False)):
        lock.acquire()
        with pytest.raises(TimeoutError), manager(lock, 0.01):
            pass
        assert lock.locked() is is_still_held
        if lock.locked():
            lock.release()


def test_the_async_twin_that_releases_what_it_never_got():
    """Likewise, under asyncio."""

    async def main():
        for manager, is_still_held in ((async_held, True), (leaky.leaky_async_held, False)):
            lock = asyncio.Lock()
            await lock.acquire()
            with pytest.raises((TimeoutError, asyncio.TimeoutError)):
                async with manager(lock, 0.01):
                    pass
            assert lock.locked() is is_still_held

    asyncio.run(main())


# -- timing


class Clock:
    def __init__(self, *ticks):
        self.ticks = list(ticks)

    def __call__(self):
        return self.ticks.pop(0)


@pytest.mark.parametrize("kind", [None, Boom, KeyboardInterrupt, GeneratorExit])
def test_the_time_is_reported_once_on_every_path(kind):
    """With the error, if there was one."""
    told = []
    with suppress(kind or Boom), timer(told.append, name="load", clock=Clock(1.0, 3.5)) as running:
        assert running.state == "running"
        if kind is not None:
            raise kind("x")
    (timing,) = told
    assert (timing.name, timing.seconds) == ("load", 2.5)
    assert timing.failed is (kind is not None)
    assert timing.error == (None if kind is None else f"{kind.__name__}: x")
    assert running.seconds == 2.5
    assert running.state == "stopped"


def test_a_timer_by_hand():
    """A second start would lose the first; before the first there is nothing to tell."""
    running = timer(name="load", clock=Clock(1.0, 2.0, 5.0))
    with pytest.raises(NotOpen, match="'load' has not measured"):
        running.seconds
    running.start()
    with pytest.raises(AlreadyOpen, match="'load' is running"):
        running.start()
    assert running.seconds == 1.0
    running.stop()
    running.stop()
    assert running.timing.seconds == 4.0
    with pytest.raises(TypeError, match="report of timer 'block'"):
        timer(5)


def test_a_failing_report_does_not_hide_the_error_of_the_body():
    """A note; and as itself when there is none."""
    with pytest.raises(OSError, match="full"), timer(fails(OSError("full"))):
        pass
    with pytest.raises(Boom) as caught, timer(fails(OSError("full"))):
        raise Boom
    assert caught.value.__notes__ == ["reporting the time of 'block' failed too: OSError: full"]


def test_a_timed_block_is_logged(caplog):
    """One line, a warning when the block failed; any logger or callable."""
    caplog.set_level(logging.INFO)
    with timed_block("load"):
        pass
    with suppress(Boom), timed_block("load", logging.getLogger("mine")):
        raise Boom("x")
    first, second = caplog.records
    assert first.getMessage().startswith("load took 0.0")
    assert second.getMessage().startswith("load failed after 0.0")
    assert second.getMessage().endswith(": Boom: x")
    assert (first.levelno, second.levelno, second.name) == (logging.INFO, logging.WARNING, "mine")
    told = []
    with timed_block("load", told.append):
        pass
    assert told[0].name == "load"


def test_the_twin_that_reports_nothing_on_an_error():
    """Told by the contract."""
    for manager, number in ((timer, 1), (leaky.leaky_timer, 0)):
        told = []
        with suppress(Boom), manager(told.append):
            raise Boom
        assert len(told) == number


def test_the_twin_that_logs_nothing_on_an_error(caplog):
    """Told by the contract."""
    logger = logging.getLogger("twin")
    for manager, number in ((timed_block, 1), (leaky.leaky_timed_block, 0)):
        caplog.clear()
        with caplog.at_level(logging.INFO), suppress(Boom), manager("load", logger):
            raise Boom
        assert len(caplog.records) == number


# -- memory


class Thing:
    def __init__(self, key):
        self.key = key
        self.other = None


def test_a_weak_cache_forgets_what_nobody_uses(leak_check):
    """The same object while it lives; then made anew; the drop is told, with the key."""
    dropped = []
    cache = WeakCache(Thing, dropped.append)
    one = cache.get("a")
    assert cache.get("a") is one
    assert "a" in cache
    watch = weakref.ref(one)
    del one
    assert watch() is None
    assert len(cache) == 0
    assert dropped == ["a"]
    leak_check.track(cache.get("b"))


def test_a_weak_cache_tells_what_goes_wrong():
    """A failed make stores nothing; a value that can't be weakly referenced is told with its type."""
    cache = WeakCache(fails(Boom("no")))
    with pytest.raises(Boom) as caught:
        cache.get("a")
    assert caught.value.__notes__ == ["while making the value for 'a' of a WeakCache"]
    assert len(cache) == 0
    with pytest.raises(TypeError, match="'a' is of type int, which can't be weakly referenced"):
        WeakCache(lambda key: 5).get("a")
    with pytest.raises(TypeError, match="make of WeakCache"):
        WeakCache(5)


def test_threads_that_make_the_same_value_get_the_same_one():
    """The one that was stored first; the other is dropped without being told as dropped."""
    barrier = threading.Barrier(8)

    def make(key):
        barrier.wait(10)
        return Thing(key)

    dropped, got = [], []
    cache = WeakCache(make, dropped.append)
    threads = [threading.Thread(target=lambda: got.append(cache.get("a"))) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(10)
    assert len(got) == 8
    assert len(set(map(id, got))) == 1
    assert dropped == []


def test_the_twin_whose_callback_keeps_the_value():
    """Told by the contract: the value outlives its last user, and the collector too."""
    for cache, lives in ((WeakCache(Thing), False), (leaky.LeakyWeakCache(Thing), True)):
        watch = weakref.ref(cache.get("a"))
        gc.collect()
        assert (watch() is not None) is lives
    cache.table.clear()


@pytest.mark.parametrize("kind", [None, Boom, KeyboardInterrupt])
def test_a_known_cycle_dies_with_its_scope(kind):
    """Without the collector, and nothing in gc.garbage."""
    gc.collect()
    gc.disable()
    try:
        parent, child = Thing("parent"), Thing("child")
        parent.other, child.other = child, parent
        watches = [weakref.ref(parent), weakref.ref(child)]
        try:
            with breaks_cycle((parent, "other")) as cycles:
                cycles.add(child, "other")
                if kind is not None:
                    raise kind
        except (Boom, KeyboardInterrupt):
            pass
        del parent, child, cycles
        assert [watch() for watch in watches] == [None, None]
        assert gc.garbage == []
    finally:
        gc.enable()


def test_cutting_goes_on_after_an_error():
    """The first error comes out or is a note; wrong links are told before anything is cut."""

    class Fixed:
        @property
        def other(self):
            return 1

    thing = Thing("a")
    thing.other = thing
    with pytest.raises(AttributeError), breaks_cycle((thing, "other"), (Fixed(), "other")):
        pass
    assert thing.other is None
    with pytest.raises(Boom) as caught, breaks_cycle((Fixed(), "other")):
        raise Boom
    assert "cutting Fixed.other failed too" in "".join(caught.value.__notes__) or "breaking cycles" in "".join(
        caught.value.__notes__
    )
    with pytest.raises(TypeError, match="5 is of type int"), breaks_cycle(5):
        pass
    with pytest.raises(AttributeError), breaks_cycle((thing, "missing")):
        pass


def test_the_twin_that_cuts_only_after_a_normal_end():
    """Told by the contract: after an error the cycle is still there."""
    for manager, is_cut in ((lambda *link: breaks_cycle(link), True), (leaky.leaky_breaks_cycle, False)):
        thing = Thing("a")
        thing.other = thing
        with suppress(Boom), manager(thing, "other"):
            raise Boom
        assert (thing.other is None) is is_cut
