"""What `leak_check` gives: the same check for a block, an object or a context manager."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from types import TracebackType
from typing import TYPE_CHECKING, Any, TypeVar

import pytest

from pytest_leakguard import _real
from pytest_leakguard.block import Block, findings_of, leave, raise_leaks
from pytest_leakguard.core.allow import AllowRule
from pytest_leakguard.core.holding import Held
from pytest_leakguard.core.ledger import Context
from pytest_leakguard.core.model import Finding, Owner
from pytest_leakguard.core.verdict import Case
from pytest_leakguard.plugin import options
from pytest_leakguard.plugin.meaning import usage_errors_name_their_page

if TYPE_CHECKING:
    from pytest_leakguard.faults.managers import Backend
    from pytest_leakguard.faults.model import SweepResult
    from pytest_leakguard.plugin.guard import Guard
    from pytest_leakguard.plugin.releasing import Manager
    from pytest_leakguard.suspects import Item, Suspect

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Snapshot:
    """What existed at one moment. Compare two with `LeakCheck.diff`."""

    items: frozenset[Item]


class LeakCheck:
    """Checks parts of one test. The fixture ``leak_check`` is one of these."""

    def __init__(self, guard: Guard, item: pytest.Item) -> None:
        self._guard = guard
        self._item = item

    def snapshot(self) -> Snapshot:
        """What exists now, of the kinds that are watched; garbage is collected first."""
        _real.gc_collect()
        watch = self._guard.watch
        return Snapshot(frozenset(watch.items(watch.look(self._kinds(())))))

    def diff(self, before: Snapshot, after: Snapshot) -> list[Finding]:
        """What `after` holds and `before` does not, with owner and origin. Waits for nothing."""
        until = "not due yet, at the second snapshot"
        ground = self._guard.ground
        new = after.items - before.items
        return findings_of(ground, new, self._place(), self._rules(), until, looks=1, seconds=0.0, holder=self._held)[1]

    def track(self, obj: T) -> T:
        """Ask that `obj` be gone when the test and its fixtures are over; gives it back.

        Raises:
            TypeError: it can't be weakly referenced.
        """
        self._guard.watch.track(obj, _real.getframe(1))
        return obj

    def track_lock(self, lock: Any, *, wrap: bool = False) -> Any:
        """Ask that a lock be released when the test is over; gives it back.

        Args:
            wrap: give a lock in its place that notes the line of each acquisition.
        Raises:
            TypeError: it does not tell whether it is held, or can't be weakly referenced.
        """
        return self._guard.watch.locks.track(lock, _real.getframe(1), wrap)

    def __call__(self, *kinds: str, grace: float | None = None) -> AbstractContextManager[None]:
        """A block that must release what it acquires.

        Args:
            kinds: only these; none means those that the test is checked for.
            grace: seconds to wait for what goes by itself.
        Raises:
            LeakError: at the end of the block; an error of the body comes out
                instead, with the leaks as a note (3.11 and later).
            pytest.UsageError: an unknown kind or a bad time.
        """
        return _Block(block_of(self, *kinds, grace=grace))

    def releases(
        self,
        factory: Callable[[], Manager],
        *,
        faults: str | Collection[str] = "acquire,release",
        nested: bool = False,
        backend: Backend = "asyncio",
    ) -> SweepResult:
        """Put a context manager, sync or async, through every way of being left.

        That is a normal exit; an Exception, KeyboardInterrupt, GeneratorExit and asyncio's
        CancelledError in its body; the same one used twice; and, with nothing in its body,
        each acquisition failing and each release failing, one at a time.

        Args:
            factory: makes a fresh one each time.
            faults: the families that are swept.
            nested: also enter it while it is entered.
            backend: what an async one runs in: ``asyncio``, ``trio`` or ``anyio``, in a fresh loop each time.
        Returns: the points that were swept and their trials.
        Raises:
            LeakError: what was left behind, each with the ways that left it; or another oracle found something.
            RuntimeError: an async one, where a loop runs in this thread.
            pytest.UsageError: an unknown family.
            Whatever the manager raises on its own, other than when it is used a second time.
        """
        __tracebackhide__ = True
        from pytest_leakguard.plugin.releasing import Releasing

        return Releasing(self, factory, faults=faults, backend=backend).run(nested=nested)

    def _kinds(self, kinds: tuple[str, ...]) -> frozenset[str]:
        guard = self._guard
        if kinds:
            return options.kinds_of(",".join(kinds), guard.known_kinds, f"leak_check in {self._item.nodeid}")
        marked = guard.settings.every_test or self._item.get_closest_marker("no_leaks") is not None
        return (guard.settings_of(self._item).kinds if marked else guard.kinds) - {"object"}

    def _rules(self) -> list[AllowRule]:
        return [*self._guard.settings_of(self._item).rules, *self._guard.rules]

    def _place(self) -> Context:
        owner = Owner(kind="test", scope="function", name=self._item.nodeid)
        return Context(owner, self._item.nodeid, self._guard.watch.recorder.context().phase)

    def _held(self, case: Case, blamed: Mapping[Item, Suspect]) -> Held:
        return self._guard.holding.held(case, blamed, self._item)


def block_of(check: LeakCheck, *kinds: str, grace: float | None = None) -> Block:
    """What a call of `check` gives, for those who want the findings and not an error. Raises pytest.UsageError."""
    guard = check._guard
    seconds = guard.settings.grace_seconds
    with usage_errors_name_their_page():
        if grace is not None:
            seconds = options.seconds(grace, f"leak_check in {check._item.nodeid}")
        watched = check._kinds(kinds)
    return Block(guard.ground, watched, seconds, rules=check._rules, place=check._place, holder=check._held)


class _Block(AbstractContextManager[None]):
    def __init__(self, block: Block) -> None:
        self._block = block

    def __enter__(self) -> None:
        self._block.enter()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        __tracebackhide__ = True
        raise_leaks(leave(self._block), error)
