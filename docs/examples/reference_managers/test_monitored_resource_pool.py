"""The examples of docs/reference-managers/monitored-resource-pool.md: a resource does not come back after an error."""

from __future__ import annotations

import queue

import pytest

from pytest_leakguard.reference import MonitoredResourcePool


def leaky_use(pool, work):
    resource = pool.get_nowait()
    result = work(resource)  # fails: the resource does not come back
    pool.put(resource)
    return result


def fixed_use(pool, work):
    with pool.checkout() as resource:
        return work(resource)


def fails(resource):
    raise ValueError


def test_leaky():
    pool = queue.Queue()
    pool.put(object())
    with pytest.raises(ValueError):
        leaky_use(pool, fails)
    with pytest.raises(queue.Empty):
        leaky_use(pool, id)


def test_fixed():
    with MonitoredResourcePool(object, max_size=1) as pool:
        with pytest.raises(ValueError):
            fixed_use(pool, fails)
        fixed_use(pool, id)
        assert (pool.statistics.created, pool.statistics.reused) == (1, 1)
        assert [event.what for event in pool.history] == ["created", "returned", "reused", "returned"]
