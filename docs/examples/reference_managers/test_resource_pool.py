"""The examples of docs/reference-managers/resource-pool.md: what came back is never used again."""

from __future__ import annotations

import pytest

from pytest_leakguard.reference import ResourcePool


class LeakyPool:
    def __init__(self, factory):
        self.factory = factory
        self.idle = []

    def acquire(self):
        return self.factory()  # the idle ones are not even looked at

    def release(self, resource):
        self.idle.append(resource)


def fixed_use(pool, work):
    with pool.checkout() as resource:
        return work(resource)


def test_leaky():
    pool = LeakyPool(object)
    for _ in range(3):
        pool.release(pool.acquire())
    assert len(pool.idle) == 3


def test_fixed():
    with ResourcePool(object, max_size=1) as pool:
        assert len({fixed_use(pool, id) for _ in range(3)}) == 1
        with pytest.raises(ZeroDivisionError):
            fixed_use(pool, lambda resource: 1 / 0)
        assert (pool.counts.idle, pool.counts.in_use) == (1, 0)
