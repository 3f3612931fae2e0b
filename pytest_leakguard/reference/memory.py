"""How long objects live: a cache that does not keep its values alive, and cycles that end with a scope."""

from __future__ import annotations

import threading
import weakref
from collections.abc import Callable, Hashable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import Generic, TypeVar, cast

from pytest_leakguard.reference._expect import expect_callable
from pytest_leakguard.reference._unwind import Unwind, add_note, close_all

K = TypeVar("K", bound=Hashable)
V = TypeVar("V")


class WeakCache(Generic[K, V]):
    """A cache of objects that somebody else keeps alive: an object that nobody uses any more is forgotten.

    Acquires: what `make(key)` gives, kept by a weak reference only. Releases: nothing; the entry goes with its value.
    `make` fails: nothing is stored, its error comes out with a note that names the key.

    Locking: one lock guards the table. `make` runs without it, so it may be slow and may use the cache; when two
    threads make the same value at once, both get the one that was stored first. A dying value is taken out by the
    callback of its weak reference, which can run in any thread, between any two lines, also while this thread holds
    the lock: therefore the lock is reentrant, and the callback removes only its own reference. The callback knows the
    cache by a weak reference and the value by its key, so it keeps neither alive.

    Args:
        make: gives the value for a key; the value must be weakly referenceable.
        on_drop: called with the key after its value died. It must not hold the values either.
    """

    def __init__(self, make: Callable[[K], V], on_drop: Callable[[K], object] | None = None) -> None:
        expect_callable(make, "make of WeakCache", "a callable that takes a key")
        if on_drop is not None:
            expect_callable(on_drop, "on_drop of WeakCache", "a callable that takes a key")
        self._make = make
        self._on_drop = on_drop
        self._lock = threading.RLock()
        self._table: dict[K, weakref.ref[V]] = {}

    def get(self, key: K) -> V:
        """The value for a key, made if there is none that lives.

        Raises:
            TypeError: the value can't be weakly referenced, as an int, a str or a tuple.
            BaseException: what `make` raised.
        """
        value = self._living(key)
        if value is not None:
            return value
        try:
            made = self._make(key)
        except BaseException as error:
            add_note(error, f"while making the value for {key!r} of a WeakCache")
            raise
        try:
            reference = weakref.ref(made, _Forget(self, key))
        except TypeError as error:
            raise TypeError(
                f"WeakCache: the value for {key!r} is of type {type(made).__name__}, "
                "which can't be weakly referenced; wrap it in an object of a class of yours"
            ) from error
        with self._lock:
            first = self._living(key)
            if first is not None:
                return first
            self._table[key] = reference
        return made

    def _living(self, key: K) -> V | None:
        with self._lock:
            reference = self._table.get(key)
            return None if reference is None else reference()

    def _forget(self, key: K, reference: weakref.ref[V]) -> None:
        with self._lock:
            if self._table.get(key) is not reference:
                return
            del self._table[key]
        if self._on_drop is not None:
            self._on_drop(key)

    def __len__(self) -> int:
        with self._lock:
            return len(self._table)

    def __contains__(self, key: K) -> bool:
        return self._living(key) is not None


class _Forget(Generic[K, V]):
    """The callback of one weak reference."""

    __slots__ = ("_cache", "_key")

    def __init__(self, cache: WeakCache[K, V], key: K) -> None:
        self._cache = weakref.ref(cache)
        self._key = key

    def __call__(self, reference: weakref.ref[V]) -> None:
        cache = self._cache()
        if cache is not None:
            cache._forget(self._key, reference)


class KnownCycles:
    """The references that a scope will cut. `breaks_cycle` gives one."""

    def __init__(self) -> None:
        self._links: list[tuple[object, str]] = []

    def add(self, owner: object, attribute: str) -> None:
        """Cut `owner.attribute` at the end: it becomes None.

        Raises:
            AttributeError: there is no such attribute.
        """
        getattr(owner, attribute)
        self._links.append((owner, attribute))

    def cut(self) -> None:
        """Cut what is known, the last first, and forget it.

        Raises:
            BaseException: the first that an attribute raised, further ones as notes; each was tried.
        """
        close_all(
            *[
                (f"cutting {type(owner).__name__}.{attribute}", partial(setattr, owner, attribute, None))
                for owner, attribute in reversed(self._links)
            ],
            ("forgetting the cycles", self._links.clear),
        )


@contextmanager
def breaks_cycle(*links: tuple[object, str]) -> Iterator[KnownCycles]:
    """A scope that cuts the reference cycles it knows, so that what was in them dies at once, without the collector.

    Acquires: nothing; it holds the owners until the end of the scope. Releases: each link becomes None, last first.
    Body fails: all links are cut, the body's error comes out. Its traceback may keep the objects a little longer.
    Cutting fails (a read-only attribute): the others are cut; the first error comes out, or is a note on the body's.

    Args:
        links: pairs of owner and attribute name; more by `add` in the body.
    Raises:
        TypeError: one is no such pair.
        AttributeError: an owner has no such attribute; nothing is cut.
    """
    cycles = KnownCycles()
    for link in cast("tuple[object, ...]", links):
        if not (isinstance(link, tuple) and len(link) == 2 and isinstance(link[1], str)):
            raise TypeError(
                f"breaks_cycle: {link!r} is of type {type(link).__name__}; expected (owner, attribute name)"
            )
        cycles.add(link[0], link[1])
    with Unwind() as unwind:
        unwind.register("breaking cycles", cycles.cut)
        yield cycles
