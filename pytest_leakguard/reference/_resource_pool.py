"""The pool for threads: who has which resource, and what happens when something fails."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Generic, Literal, TypeVar

from pytest_leakguard.reference._closing import ClosedOnExit
from pytest_leakguard.reference._expect import expect_callable, expect_positive
from pytest_leakguard.reference._unwind import Unwind, add_note, close_all, undo
from pytest_leakguard.reference.errors import NotInUse, PoolClosed, PoolExhausted

if TYPE_CHECKING:
    from typing_extensions import Self

T = TypeVar("T")

Happening = Literal[
    "waited", "created", "reused", "returned", "unfit", "destroyed",
    "create failed", "check failed", "reset failed", "destroy failed",
]  # fmt: skip

_log = logging.getLogger("pytest_leakguard.reference.pools")


class _Loan(Generic[T]):
    """One place in a pool, taken by one user: with nothing in it yet, or with a resource and when it was made."""

    __slots__ = ("enders", "made")

    def __init__(self) -> None:
        # a list, so that None can be a resource too
        self.made: list[tuple[T, float]] = []
        # each giving back puts itself down here before each of its steps; only the first one ends the loan
        self.enders: list[object] = []


@dataclass(frozen=True, slots=True)
class PoolCounts:
    """How many slots of a pool are in which state, at one moment. They add up to what exists or is being made."""

    idle: int
    in_use: int
    max_size: int


class ResourcePool(ClosedOnExit, Generic[T]):
    """A pool: makes resources when needed, up to a number, and lends each to one user at a time.

    Acquires: a resource at a checkout, an idle one if there is one (the one used last comes first), else a new one.
    Releases: at the end of a checkout the resource becomes idle; `close()` destroys the idle ones, and what is in use
    is destroyed when it comes back.
    Creation fails: the place is free again, the error comes out with a note that names the pool.
    Body fails: the resource goes back as after a normal end; `discard` is for one that is known to be broken.
    An idle resource that the health check refuses, or that is too old, is destroyed and replaced in the same place.
    Reset fails: the resource is destroyed instead of reused. The error is logged, since nobody waits for it.
    Destroying fails: the place is free all the same. The error comes out of `close()` and `discard()`, the first with
    the others as notes, or is a note on the body's; where a resource was only replaced it is logged.
    States: open → closed, for good.

    Locking: one lock, that of the condition `_changed`, guards both containers and the closed flag. It is never held
    while a callable of the user runs, so these may be slow, may use the pool and may fail. What takes a place is in
    exactly one container, `_idle` or `_loans`; the counts are the lengths of these two, so there is nothing they could
    disagree with. Each user has a loan of its own, made before anything can fail; giving back the same loan twice does
    nothing, even if its resource is lent to another by then. Whoever frees a place wakes one waiter, and a waiter that
    is woken and then fails wakes the next.

    Args:
        factory: makes a resource.
        destroy: ends one; default: nothing is done.
        max_size: how many may exist at once, those included that are being made or destroyed.
        timeout: seconds that a checkout waits when all are in use; 0 does not wait, None waits for ever.
        check: health check before an idle resource is used again; False or an error means destroy and replace.
        reset: called with a resource that comes back.
        max_age: seconds after which an idle resource is replaced; None for never.
        name: for messages.
    """

    def __init__(
        self,
        factory: Callable[[], T],
        destroy: Callable[[T], object] | None = None,
        *,
        max_size: int = 8,
        timeout: float | None = 0.0,
        check: Callable[[T], bool] | None = None,
        reset: Callable[[T], object] | None = None,
        max_age: float | None = None,
        name: str = "pool",
    ) -> None:
        expect_callable(factory, f"factory of {name!r}", "a callable without arguments")
        for role, given in (("destroy", destroy), ("check", check), ("reset", reset)):
            if given is not None:
                expect_callable(given, f"{role} of {name!r}", "a callable that takes a resource")
        expect_positive(max_size, f"max_size of {name!r}", "resources")
        self.name = name
        self.max_size = max_size
        self._factory = factory
        self._destroy = destroy
        self._check = check
        self._reset = reset
        self._max_age = max_age
        self._timeout = timeout
        self._changed = threading.Condition(threading.Lock())
        self._idle: list[tuple[T, float]] = []
        self._loans: list[_Loan[T]] = []
        self._is_closed = False

    @property
    def state(self) -> Literal["open", "closed"]:
        """Which of its two states it is in."""
        return "closed" if self._is_closed else "open"

    @property
    def counts(self) -> PoolCounts:
        """Idle and in use, taken at one moment."""
        with self._changed:
            return PoolCounts(len(self._idle), len(self._loans), self.max_size)

    def checkout(self, timeout: float | None = -1.0) -> AbstractContextManager[T]:
        """A block that uses one resource; `with pool.checkout() as resource`.

        Args:
            timeout: seconds to wait; negative means that of the pool.
        Raises:
            As `acquire`.
        """
        return self._checkout(timeout)

    @contextmanager
    def _checkout(self, timeout: float | None) -> Iterator[T]:
        loan: _Loan[T] = _Loan()
        with Unwind() as unwind:
            unwind.register(f"giving a resource back to {self.name!r}", partial(self._release, loan))
            yield self._fill(loan, timeout)

    def acquire(self, timeout: float | None = -1.0) -> T:
        """Take a resource by hand; give it back with `release` or `discard`.

        Args:
            timeout: seconds to wait; negative means that of the pool.
        Raises:
            PoolClosed: the pool was closed.
            PoolExhausted: all are in use, and none came back in time.
            BaseException: what the factory raised, with a note that names the pool.
        """
        loan: _Loan[T] = _Loan()
        try:
            return self._fill(loan, timeout)
        except BaseException as error:
            undo(error, f"giving a resource back to {self.name!r}", partial(self._release, loan))
            raise

    def release(self, resource: T) -> None:
        """Give back what `acquire` gave, to be used again.

        Raises:
            NotInUse: it is not in use: given back already, or of another pool.
        """
        self._release_lent(resource, keep=True)

    def discard(self, resource: T) -> None:
        """Give back what `acquire` or `checkout` gave, to be destroyed; the place is free for a new one.

        Raises:
            NotInUse: it is not in use.
            BaseException: what destroying it raised; the place is free all the same.
        """
        self._release_lent(resource, keep=False)

    def close(self) -> None:
        """Destroy what is idle and lend no more; what is in use is destroyed when it comes back. May be called again.

        Raises:
            BaseException: the first error of a destroy, further ones as notes; each was tried.
        """
        with self._changed:
            self._is_closed = True
            # whoever waits can't get one any more
            self._changed.notify_all()
        # one more than there are: one may be interrupted before it has taken its resource
        close_all(*[(f"destroying an idle resource of {self.name!r}", self._destroy_one)] * (len(self._idle) + 1))

    def _fill(self, loan: _Loan[T], timeout: float | None) -> T:
        """Put a resource into a loan; its owner gives the loan back, whatever happens from here on."""
        started = time.monotonic()
        self._reserve(loan, self._timeout if timeout is not None and timeout < 0 else timeout)
        made_at = time.monotonic()
        self._happened("waited", made_at - started)
        if loan.made:
            if self._is_fit(loan):
                self._happened("reused")
                return loan.made[0][0]
            self._destroy_unfit(loan)
        try:
            loan.made[:] = [(self._factory(), made_at)]
        except BaseException as error:
            self._happened("create failed", error=error)
            add_note(error, f"while making a resource for {self.name!r}")
            raise
        self._happened("created")
        return loan.made[0][0]

    def _reserve(self, loan: _Loan[T], limit: float | None) -> None:
        """Wait for a place; the loan is then among `_loans`, with what was idle there or with nothing."""
        with self._changed:
            end = None if limit is None else time.monotonic() + limit
            try:
                while True:
                    if self._is_closed:
                        raise PoolClosed(f"{self.name!r} is closed")
                    if self._idle:
                        self._loans.append(loan)
                        # one statement and no call: a resource is always in one of the two
                        loan.made[:], self._idle[:1] = self._idle[:1], []
                        return
                    if len(self._loans) < self.max_size:
                        self._loans.append(loan)
                        return
                    remaining = None if end is None else end - time.monotonic()
                    if remaining is not None and remaining <= 0:
                        raise PoolExhausted(
                            f"{self.name!r}: all {self.max_size} resources are in use, none came back in {limit} s"
                        )
                    self._changed.wait(remaining)
            except BaseException:
                # we may have been woken for a place that we do not take
                self._changed.notify()
                raise

    def _is_fit(self, loan: _Loan[T]) -> bool:
        resource, made_at = loan.made[0]
        if self._max_age is not None and time.monotonic() - made_at > self._max_age:
            return False
        if self._check is None:
            return True
        try:
            return bool(self._check(resource))
        except Exception as error:
            self._happened("check failed", error=error)
            return False

    def _destroy_unfit(self, loan: _Loan[T]) -> None:
        """Make place for a new one. The user gets that one, so an error of the old one's end is only logged."""
        self._happened("unfit")
        try:
            self._destroy_made(loan)
        except Exception:
            _log.warning("%r: destroying a resource that is not fit any more failed", self.name, exc_info=True)

    def _release(self, loan: _Loan[T], *, keep: bool = True) -> None:
        ender = object()
        close_all(
            (f"keeping a resource of {self.name!r}", partial(self._keep, loan, ender, keep)),
            # both do nothing after it was kept; a place is free when its resource is gone, so there are never too many
            (f"destroying a resource of {self.name!r}", partial(self._destroy_held, loan, ender)),
            (f"freeing a place in {self.name!r}", partial(self._free, loan, ender)),
        )

    def _keep(self, loan: _Loan[T], ender: object, keep: bool) -> None:
        loan.enders.append(ender)
        if not keep or loan.enders[0] is not ender or not loan.made or not self._was_reset(loan):
            return
        with self._changed:
            if self._is_closed:
                return
            # one statement and no call, as above; the one used last is the first to be used again
            self._idle[:0], loan.made[:] = loan.made, []
            self._loans.remove(loan)
            self._changed.notify()
        self._happened("returned")

    def _was_reset(self, loan: _Loan[T]) -> bool:
        if self._reset is None:
            return True
        try:
            self._reset(loan.made[0][0])
        except Exception as error:
            self._happened("reset failed", error=error)
            _log.warning("%r: a resource could not be reset and is not used again", self.name, exc_info=True)
            return False
        return True

    def _destroy_held(self, loan: _Loan[T], ender: object) -> None:
        loan.enders.append(ender)
        if loan.enders[0] is ender:
            self._destroy_made(loan)

    def _destroy_made(self, loan: _Loan[T]) -> None:
        if not loan.made:
            return
        try:
            if self._destroy is not None:
                self._destroy(loan.made[0][0])
        except BaseException as error:
            self._happened("destroy failed", error=error)
            add_note(error, f"while destroying a resource of {self.name!r}")
            raise
        finally:
            # a resource whose end failed is not ended twice
            loan.made.clear()
            self._happened("destroyed")

    def _destroy_one(self) -> None:
        """Destroy one that is idle, if there still is one."""
        loan: _Loan[T] = _Loan()
        try:
            with self._changed:
                self._loans.append(loan)
                loan.made[:], self._idle[:1] = self._idle[:1], []
        finally:
            self._release(loan, keep=False)

    def _free(self, loan: _Loan[T], ender: object) -> None:
        loan.enders.append(ender)
        with self._changed:
            if loan.enders[0] is ender and loan in self._loans:
                self._loans.remove(loan)
            self._changed.notify()

    def _release_lent(self, resource: T, *, keep: bool) -> None:
        with self._changed:
            lent = [loan for loan in self._loans if not loan.enders and any(made is resource for made, _ in loan.made)]
        if not lent:
            raise NotInUse(f"{resource!r} is not in use from {self.name!r}: given back already, or not of this pool")
        self._release(lent[0], keep=keep)

    def _happened(self, what: Happening, seconds: float = 0.0, error: BaseException | None = None) -> None:
        """For statistics. Called without the lock; must not raise."""

    @property
    def _closing(self) -> str:
        return f"closing {self.name!r}"

    def __enter__(self) -> Self:
        return self

    def __repr__(self) -> str:
        counts = self.counts
        return f"<{type(self).__name__} {self.name!r} {self.state}: {counts.idle} idle, {counts.in_use} in use>"
