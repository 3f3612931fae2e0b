"""The examples of docs/reference-managers/weak-cache.md: a callback has a strong reference to the value."""

from __future__ import annotations

import gc
import weakref

from pytest_leakguard.reference import WeakCache, breaks_cycle


def leaky_remember(cache, key, value):
    def dropped(_):
        print("dropped", value)  # keeps the value alive, so it is never called

    cache[key] = weakref.ref(value, dropped)


def fixed_cache(make, dropped):
    return WeakCache(make, on_drop=dropped)  # called with the key


def fixed_walk(node, work):
    with breaks_cycle((node, "parent"), (node, "child")):
        return work(node)


class Node:
    parent = child = None


def test_leaky():
    cache, value = {}, Node()
    leaky_remember(cache, "a", value)
    del value
    gc.collect()
    assert cache["a"]() is not None
    cache.clear()


def test_fixed():
    told = []
    cache = fixed_cache(lambda key: Node(), told.append)
    value = cache.get("a")
    assert cache.get("a") is value
    del value
    assert told == ["a"]
    node = Node()
    node.parent = node.child = node
    watch = weakref.ref(node)
    fixed_walk(node, id)
    del node
    assert watch() is None
