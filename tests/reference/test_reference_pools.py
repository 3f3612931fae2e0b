"""Pools: each resource lent to one user at a time, given back or replaced on every path."""

from __future__ import annotations

import socket
import threading

import leaky
import pytest

from pytest_leakguard.reference import MonitoredResourcePool, ResourcePool, secondary_errors
from pytest_leakguard.reference.errors import NotInUse, PoolClosed, PoolExhausted


class Boom(Exception):
    """The error of a body."""


class Sockets:
    """Makes real sockets, with faults on request."""

    def __init__(self):
        self.made = []
        self.errors = []
        self.destroy_errors = []

    def make(self):
        if self.errors:
            raise self.errors.pop(0)
        self.made.append(socket.socket())
        return self.made[-1]

    def destroy(self, made):
        made.close()
        if self.destroy_errors:
            raise self.destroy_errors.pop(0)

    @property
    def open(self):
        return [made for made in self.made if made.fileno() != -1]


@pytest.fixture
def sockets():
    return Sockets()


pool_types = pytest.mark.parametrize("kind", [ResourcePool, MonitoredResourcePool])


def counts(pool):
    now = pool.counts
    return now.idle, now.in_use


@pool_types
@pytest.mark.parametrize("error", [None, Boom, KeyboardInterrupt, GeneratorExit, SystemExit])
def test_a_resource_comes_back_on_every_path(kind, error, sockets, leak_check):
    """And is used again; the one used last is the first to be used again."""
    with leak_check(), kind(sockets.make, sockets.destroy, name="sockets") as pool:
        for _ in range(3):
            try:
                with pool.checkout() as first:
                    with pool.checkout() as second:
                        assert first is not second
                        assert counts(pool) == (0, 2)
                    assert counts(pool) == (1, 1)
                    if error is not None:
                        raise error("body")
            except BaseException as caught:
                assert type(caught) is error and str(caught) == "body"
            assert counts(pool) == (2, 0)
        assert len(sockets.made) == 2
    assert pool.state == "closed"
    assert counts(pool) == (0, 0)


@pool_types
def test_by_hand(kind, sockets):
    """acquire, release, discard; what is not in use can't be given back."""
    pool = kind(sockets.make, sockets.destroy, max_size=2, name="sockets")
    one, two = pool.acquire(), pool.acquire()
    pool.release(one)
    with pytest.raises(NotInUse, match="is not in use from 'sockets'"):
        pool.release(one)
    assert pool.acquire() is one
    pool.discard(two)
    assert two.fileno() == -1
    assert counts(pool) == (0, 1)
    with pytest.raises(NotInUse):
        pool.discard(two)
    pool.release(one)
    pool.close()
    pool.close()
    assert sockets.open == []


@pool_types
def test_an_exhausted_pool_says_so(kind, sockets):
    """A named error at once, or after the time to wait; None is a resource as any other."""
    with kind(lambda: None, max_size=2, name="nothings") as pool:
        with pool.checkout(), pool.checkout():
            for seconds in (0, 0.01):
                with pytest.raises(PoolExhausted, match=rf"'nothings': all 2 .* none came back in {seconds} s"):
                    pool.acquire(timeout=seconds)
        assert counts(pool) == (2, 0)
        with pool.checkout() as nothing:
            assert nothing is None


@pool_types
def test_a_waiter_gets_what_comes_back(kind, sockets):
    """Also when creation of the one before failed: the place is free."""
    with kind(sockets.make, sockets.destroy, max_size=1, timeout=10) as pool:
        got = []
        held = pool.acquire()
        waiter = threading.Thread(target=lambda: got.append(pool.acquire()))
        waiter.start()
        pool.release(held)
        waiter.join(10)
        assert got == [held]
        pool.release(held)


@pool_types
def test_a_failed_creation_gives_the_place_back(kind, sockets, leak_check):
    """The factory's own error comes out, with a note that names the pool."""
    with leak_check(), kind(sockets.make, sockets.destroy, max_size=1, name="sockets") as pool:
        sockets.errors = [Boom("no socket"), KeyboardInterrupt(), Boom("again")]
        with pytest.raises(Boom, match="no socket") as caught, pool.checkout():
            pass
        assert caught.value.__notes__ == ["while making a resource for 'sockets'"]
        with pytest.raises(KeyboardInterrupt):
            pool.acquire()
        with pytest.raises(Boom), pool.checkout():
            pass
        assert counts(pool) == (0, 0)
        with pool.checkout():
            assert counts(pool) == (0, 1)


@pool_types
def test_what_is_broken_is_replaced_in_its_place(kind, sockets, leak_check):
    """By the health check, an error of it, or age; never more than max_size."""
    with leak_check():
        for check, max_age in ((lambda made: False, None), (lambda made: 1 / 0, None), (None, 0.0)):
            pool = kind(sockets.make, sockets.destroy, max_size=1, check=check, max_age=max_age)
            with pool:
                with pool.checkout() as first:
                    pass
                with pool.checkout() as second:
                    assert second is not first
                    assert first.fileno() == -1
                    assert counts(pool) == (0, 1)


@pool_types
def test_a_resource_that_can_not_be_reset_is_not_used_again(kind, sockets, caplog, leak_check):
    """It is destroyed, and that is logged; an interrupt during the reset comes out."""
    resets = [Boom("reset"), KeyboardInterrupt()]

    def reset(made):
        raise resets.pop(0)

    with leak_check(), kind(sockets.make, sockets.destroy, reset=reset, name="sockets") as pool:
        with pool.checkout():
            pass
        assert counts(pool) == (0, 0)
        assert "'sockets': a resource could not be reset" in caplog.text
        with pytest.raises(KeyboardInterrupt), pool.checkout():
            pass
        assert counts(pool) == (0, 0)
        assert sockets.open == []


@pool_types
def test_errors_of_destroy_are_told_and_free_the_place(kind, sockets, caplog):
    """From close, the first with the others as notes; from discard; in the log when a resource is replaced."""
    pool = kind(sockets.make, sockets.destroy, max_size=3, name="sockets")
    made = [pool.acquire() for _ in range(3)]
    sockets.destroy_errors = [Boom("discard")]
    with pytest.raises(Boom, match="discard") as caught:
        pool.discard(made.pop())
    assert caught.value.__notes__ == ["while destroying a resource of 'sockets'"]
    assert counts(pool) == (0, 2)
    for one in made:
        pool.release(one)
    sockets.destroy_errors = [Boom("one"), Boom("two")]
    with pytest.raises(Boom, match="one") as caught:
        pool.close()
    assert [str(error) for error in secondary_errors(caught.value)] == ["two"]
    assert counts(pool) == (0, 0)
    assert sockets.open == []
    with kind(sockets.make, sockets.destroy, max_age=0.0) as pool:
        pool.release(pool.acquire())
        sockets.destroy_errors = [Boom("of the old one")]
        with pool.checkout():
            assert "of the old one" in caplog.text


@pool_types
def test_a_closed_pool_takes_back_but_does_not_lend(kind, sockets, leak_check):
    """What is in use is destroyed when it comes back; who waits is told; the body's error is not hidden."""
    with leak_check():
        pool = kind(sockets.make, sockets.destroy, max_size=1, timeout=None, name="sockets")
        told = []

        def wait():
            try:
                pool.acquire()
            except PoolClosed as error:
                told.append(str(error))

        with pool.checkout() as held:
            waiter = threading.Thread(target=wait)
            waiter.start()
            pool.close()
            waiter.join(10)
            assert told == ["'sockets' is closed"]
            assert held.fileno() != -1
        assert held.fileno() == -1
        with pytest.raises(PoolClosed):
            pool.acquire()
        sockets.destroy_errors = [Boom("destroy")]
        with pytest.raises(KeyError) as caught, kind(sockets.make, sockets.destroy) as pool:
            with pool.checkout():
                pass
            raise KeyError
        assert any("destroy" in note for note in caught.value.__notes__)


def test_a_loan_that_was_given_back_has_no_hold_on_the_next_one(sockets):
    """Released by hand inside its block and lent to another: the end of the block does not take it from there."""
    with ResourcePool(sockets.make, sockets.destroy, max_size=1) as pool:
        with pool.checkout() as first:
            pool.release(first)
            other = pool.acquire()
            assert other is first
        assert counts(pool) == (0, 1)
        pool.release(other)


def test_bad_arguments_are_told():
    """With the name of the pool and what was given."""
    with pytest.raises(TypeError, match=r"factory of 'p': 5 is of type int; expected a callable without arguments"):
        ResourcePool(5, name="p")
    with pytest.raises(TypeError, match="check of 'p'"):
        MonitoredResourcePool(object, check=5, name="p")
    with pytest.raises(ValueError, match="max_size of 'p': 0 is not above zero"):
        ResourcePool(object, max_size=0, name="p")


def test_statistics_add_up(sockets):
    """After every kind of event; the history is bounded and tells thread and error."""
    fit = [True, False]
    pool = MonitoredResourcePool(
        sockets.make, sockets.destroy, max_size=2, check=lambda made: fit.pop(0), history=4, name="p"
    )
    with pool:
        for _ in range(3):
            with pool.checkout():
                pass
        fit[:] = [True]
        with pool.checkout():
            sockets.errors = [Boom("no")]
            with pytest.raises(Boom):
                pool.acquire()
    now = pool.statistics
    assert (now.created, now.destroyed, now.reused, now.returned, now.replaced, now.errors) == (2, 2, 2, 4, 1, 1)
    assert len(pool.history) == 4
    failed = next(event for event in pool.history if event.what == "create failed")
    assert failed.error == "Boom: no"
    assert failed.thread == "MainThread"
    assert now.longest_wait_seconds <= now.wait_seconds < 1


def test_the_twin_that_never_reuses(sockets, left_behind):
    """Told by the contract: two uses in turn are one creation; and what it forgets leaks."""

    def use(kind):
        pool = kind(lambda: leaky.keep(sockets.make()), sockets.destroy)
        before = len(sockets.made)
        for _ in range(2):
            with pool.checkout():
                pass
        pool.close()
        return len(sockets.made) - before

    made = []
    assert left_behind(lambda: made.append(use(ResourcePool))) == []
    (finding,) = left_behind(lambda: made.append(use(leaky.LeakyResourcePool)))
    assert finding.kind == "socket"
    assert made == [1, 2]


def test_the_twin_that_loses_a_resource_after_an_error(sockets, left_behind):
    """Its place is taken for ever, and the resource is never destroyed."""

    def use(kind):
        pool = kind(lambda: leaky.keep(sockets.make()), sockets.destroy, max_size=1)
        with pytest.raises(Boom), pool.checkout():
            raise Boom
        try:
            with pool.checkout():
                return "lent"
        except RuntimeError as error:
            return str(error)
        finally:
            pool.close()

    said = []
    assert left_behind(lambda: said.append(use(MonitoredResourcePool))) == []
    (finding,) = left_behind(lambda: said.append(use(leaky.LeakyMonitoredResourcePool)))
    assert finding.kind == "socket"
    assert said == ["lent", "exhausted"]


def test_an_interrupt_before_a_release_began_does_not_skip_it(sockets, monkeypatch, leak_check):
    """At the first line of any step of giving back: the interrupt comes out, and nothing is lost."""
    for step in ("_keep", "_destroy_held", "_free"):
        pool = ResourcePool(sockets.make, sockets.destroy, reset=lambda made: 1 / 0)
        plain = getattr(pool, step)
        interrupts = [KeyboardInterrupt()]

        def interrupted(*args, plain=plain, interrupts=interrupts):
            if interrupts:
                raise interrupts.pop()
            plain(*args)

        monkeypatch.setattr(pool, step, interrupted)
        with leak_check(), pytest.raises(KeyboardInterrupt), pool.checkout():
            pass
        assert counts(pool) == (0, 0)
        assert sockets.open == []
