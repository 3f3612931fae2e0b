"""The pools under load: random operations against a model, 32 threads, 200 tasks, faults and cancellations."""

from __future__ import annotations

import asyncio
import random
import threading
from contextlib import suppress

import pytest

from pytest_leakguard.reference import AsyncDatabasePool, DatabasePool, MonitoredResourcePool, ResourcePool
from pytest_leakguard.reference.errors import NotInUse, PoolClosed, PoolExhausted


class Fault(Exception):
    """Injected by the resources below."""


class Resource:
    """Knows who uses it, so that lending it twice is seen; does what pools of any kind ask of a connection."""

    def __init__(self, world):
        self.world = world
        self.users = 0
        self.is_open = True
        self.is_broken = False

    def use(self):
        self.users += 1
        assert self.users == 1, "lent to two at once"
        assert self.is_open, "lent after it was destroyed"

    def unuse(self):
        self.users -= 1

    def cursor(self):
        return self

    def execute(self, sql):
        if self.is_broken:
            raise Fault("broken")

    def commit(self):
        pass

    def rollback(self):
        if self.is_broken:
            raise Fault("broken")

    def close(self):
        pass


class World:
    """Makes and ends resources, with faults of a given rate; counts what exists."""

    def __init__(self, seed, rate, max_size):
        self.random = random.Random(seed)
        self.rate = rate
        self.max_size = max_size
        self.lock = threading.Lock()
        self.made = 0
        self.ended = 0
        self.most = 0

    def fails(self):
        with self.lock:
            return self.random.random() < self.rate

    def make(self):
        if self.fails():
            raise Fault("make")
        with self.lock:
            self.made += 1
            self.most = max(self.most, self.made - self.ended)
        return Resource(self)

    def end(self, resource):
        with self.lock:
            assert resource.is_open, "destroyed twice"
            resource.is_open = False
            self.ended += 1
        if self.fails():
            raise Fault("end")

    def check(self, resource):
        if self.fails():
            raise Fault("check")
        return not resource.is_broken

    def reset(self, resource):
        if self.fails():
            raise Fault("reset")

    async def amake(self):
        await asyncio.sleep(0)
        made = self.make()
        try:
            await asyncio.sleep(0)
        except BaseException:
            with suppress(Fault):
                self.end(made)
            raise
        return made

    async def aend(self, resource):
        await asyncio.sleep(0)
        self.end(resource)

    async def acheck(self, resource):
        await asyncio.sleep(0)
        return self.check(resource)

    async def areset(self, resource):
        await asyncio.sleep(0)
        self.reset(resource)


def make_pool(kind, world, timeout=20):
    if kind is DatabasePool:
        pool = DatabasePool(world.make, max_size=world.max_size, timeout=timeout, check=world.check)
        # its connections end by close(); here the world is to know
        pool._destroy = world.end
        return pool
    return kind(
        world.make, world.end, max_size=world.max_size, timeout=timeout, check=world.check, reset=world.reset, name="p"
    )


@pytest.mark.parametrize("kind", [ResourcePool, MonitoredResourcePool, DatabasePool])
def test_thirty_two_threads(kind):
    """3,200 operations with random faults: never too many, never lent twice, nothing lost, no deadlock."""
    world = World(seed=7, rate=0.05, max_size=6)
    pool = make_pool(kind, world)
    wrong = []

    def work(seed):
        own = random.Random(seed)
        try:
            for _ in range(100):
                with suppress(Fault):
                    if own.random() < 0.2:
                        by_hand(own)
                    else:
                        with pool.checkout() as resource:
                            resource.use()
                            try:
                                resource.is_broken = own.random() < 0.05
                                if own.random() < 0.1:
                                    raise Fault("body")
                            finally:
                                resource.unuse()
        except BaseException as error:
            wrong.append(error)

    def by_hand(own):
        resource = pool.acquire()
        resource.use()
        resource.unuse()
        if own.random() < 0.5:
            pool.discard(resource)
        else:
            pool.release(resource)

    threads = [threading.Thread(target=work, args=(seed,)) for seed in range(32)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert not any(thread.is_alive() for thread in threads)
    assert wrong == []
    assert world.most <= world.max_size
    counts = pool.counts
    assert counts.in_use == 0
    assert counts.idle == world.made - world.ended
    if isinstance(pool, MonitoredResourcePool):
        now = pool.statistics
        assert (now.created, now.destroyed) == (world.made, world.ended)
        assert now.errors > 0
        assert now.reused > now.created
    with suppress(Fault):
        pool.close()
    assert pool.counts.idle == 0
    assert world.made == world.ended


def test_close_while_threads_use_it():
    """Whoever holds one brings it back to be destroyed; whoever waits is told; nothing is left."""
    for seed in range(10):
        world = World(seed=seed, rate=0.02, max_size=3)
        pool = make_pool(ResourcePool, world)
        started = threading.Barrier(9)
        wrong = []

        def work(pool=pool, started=started, wrong=wrong):
            started.wait(20)
            try:
                for _ in range(200):
                    with suppress(Fault), pool.checkout() as resource:
                        resource.use()
                        resource.unuse()
            except PoolClosed:
                pass
            except BaseException as error:
                wrong.append(error)

        threads = [threading.Thread(target=work) for _ in range(8)]
        for thread in threads:
            thread.start()
        started.wait(20)
        with suppress(Fault):
            pool.close()
        for thread in threads:
            thread.join(20)
        assert wrong == []
        with suppress(Fault):
            pool.close()
        assert (pool.counts.idle, pool.counts.in_use) == (0, 0)
        assert world.made == world.ended


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_two_hundred_tasks(seed):
    """With random faults and cancellations at any await: the same."""

    async def main():
        world = World(seed=seed, rate=0.03, max_size=5)
        pool = AsyncDatabasePool(
            world.amake, close=world.aend, check=world.acheck, reset=world.areset, max_size=5, timeout=30
        )
        own = random.Random(seed)

        async def work():
            for _ in range(5):
                with suppress(Fault):
                    async with pool.connection() as resource:
                        resource.use()
                        try:
                            await asyncio.sleep(0)
                            if own.random() < 0.1:
                                raise Fault("body")
                        finally:
                            resource.unuse()

        tasks = [asyncio.ensure_future(work()) for _ in range(200)]
        turns = 0
        while pending := [task for task in tasks if not task.done()]:
            turns += 1
            assert turns < 100_000, "deadlock"
            await asyncio.sleep(0)
            if own.random() < 0.3:
                own.choice(pending).cancel()
        failed = [task.exception() for task in tasks if not task.cancelled() and task.exception() is not None]
        assert failed == []
        assert any(task.cancelled() for task in tasks)
        assert not all(task.cancelled() for task in tasks)
        assert world.most <= world.max_size
        assert pool.waiting == 0
        assert pool.counts.in_use == 0
        assert pool.counts.idle == world.made - world.ended
        with suppress(Fault):
            await pool.close()
        assert world.made == world.ended
        assert asyncio.all_tasks() == {asyncio.current_task()}

    asyncio.run(main())


def test_the_pools_against_a_model():
    """Random sequences of operations and faults, one thread, compared with a model after each step."""
    hypothesis = pytest.importorskip("hypothesis")
    stateful, st = pytest.importorskip("hypothesis.stateful"), hypothesis.strategies

    class Machine(stateful.RuleBasedStateMachine):
        """The model: a stack of idle resources, a list of lent ones, and whether the pool is open."""

        @stateful.initialize(max_size=st.integers(1, 4))
        def begin(self, max_size):
            self.world = World(seed=0, rate=0.0, max_size=max_size)
            self.pool = make_pool(MonitoredResourcePool, self.world, timeout=0)
            self.idle, self.lent, self.is_open = [], [], True

        def expected(self, fails):
            """What an acquire gives: an idle one that is not broken, a new one, or an error."""
            if not self.is_open:
                return PoolClosed
            if not self.idle and len(self.lent) >= self.world.max_size:
                return PoolExhausted
            if self.idle:
                first = self.idle.pop(0)
                if not first.is_broken:
                    return first
            return Fault if fails else Resource

        @stateful.rule(fails=st.booleans())
        def acquire(self, fails):
            expected = self.expected(fails)
            plain = self.world.make
            self.pool._factory = self.broken if fails else plain
            try:
                got = self.pool.acquire()
            except (Fault, PoolClosed, PoolExhausted) as error:
                assert type(error) is expected
            else:
                assert got is expected or (expected is Resource and got not in self.lent)
                self.lent.append(got)
            finally:
                self.pool._factory = plain

        @staticmethod
        def broken():
            raise Fault("make")

        @stateful.precondition(lambda self: self.lent)
        @stateful.rule(data=st.data(), breaks=st.booleans())
        def release(self, data, breaks):
            resource = self.lent.pop(data.draw(st.integers(0, len(self.lent) - 1)))
            resource.is_broken = breaks
            self.pool.release(resource)
            with pytest.raises(NotInUse):
                self.pool.release(resource)
            if self.is_open:
                self.idle.insert(0, resource)
            assert resource.is_open is self.is_open

        @stateful.precondition(lambda self: self.lent)
        @stateful.rule(data=st.data())
        def discard(self, data):
            resource = self.lent.pop(data.draw(st.integers(0, len(self.lent) - 1)))
            self.pool.discard(resource)
            assert not resource.is_open

        @stateful.rule(fails=st.booleans())
        def checkout(self, fails):
            expected = self.expected(False)
            try:
                with self.pool.checkout() as got:
                    assert got is expected or expected is Resource
                    if fails:
                        raise KeyboardInterrupt
            except (PoolClosed, PoolExhausted) as error:
                assert type(error) is expected
                return
            except KeyboardInterrupt:
                pass
            self.idle.insert(0, got)

        @stateful.precondition(lambda self: self.is_open)
        @stateful.rule()
        def close(self):
            self.pool.close()
            assert not any(resource.is_open for resource in self.idle)
            self.idle, self.is_open = [], False

        @stateful.invariant()
        def adds_up(self):
            if not hasattr(self, "pool"):
                return
            counts, now = self.pool.counts, self.pool.statistics
            assert (counts.idle, counts.in_use) == (len(self.idle), len(self.lent))
            assert now.created - now.destroyed == counts.idle + counts.in_use == self.world.made - self.world.ended
            assert counts.idle + counts.in_use <= counts.max_size

    settings = hypothesis.settings(max_examples=40, stateful_step_count=30, deadline=None, database=None)
    stateful.run_state_machine_as_test(Machine, settings=settings)
