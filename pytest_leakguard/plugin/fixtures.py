"""What `leak_check` gives: the same check for a block, an object or a context manager."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from types import TracebackType
from typing import TYPE_CHECKING, Any, TypeVar

import pytest

from pytest_leakguard import _real
from pytest_leakguard.core.grace import settle
from pytest_leakguard.core.model import Acquisition, Finding, Origin, Owner
from pytest_leakguard.core.verdict import Case, fold, is_part, judge
from pytest_leakguard.errors import LeakError
from pytest_leakguard.plugin import options

if TYPE_CHECKING:
    from pytest_leakguard.plugin.guard import Guard
    from pytest_leakguard.watch import Item, Suspect

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
        self.told: set[Item] = set()
        """What a block told already: one around it is silent about that."""

    def snapshot(self) -> Snapshot:
        """What exists now, of the kinds that are watched; garbage is collected first."""
        _real.gc_collect()
        watch = self._guard.watch
        return Snapshot(frozenset(watch.items(watch.look(self._kinds(())))))

    def diff(self, before: Snapshot, after: Snapshot) -> list[Finding]:
        """What `after` holds and `before` does not, with owner and origin. Waits for nothing."""
        until = "not due yet, at the second snapshot"
        return self._findings(after.items - before.items, until, looks=1, seconds=0.0)

    def track(self, obj: T) -> T:
        """Ask that `obj` be gone when the test and its fixtures are over; gives it back.

        Raises:
            TypeError: it can't be weakly referenced.
        """
        self._guard.watch.track(obj, _real.getframe(1))
        return obj

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
        return block_of(self, *kinds, grace=grace)

    def releases(self, factory: Callable[[], AbstractContextManager[Any]]) -> None:
        """Put a context manager through a normal exit and through errors in its body.

        The errors are an Exception, KeyboardInterrupt, GeneratorExit and asyncio's CancelledError.

        Args:
            factory: makes a fresh one for each exercise.
        Raises:
            LeakError: something was left behind; a note says after which exercise.
        """
        __tracebackhide__ = True
        self._exercise("a normal exit", factory, None)
        self._exercise("an error in the body", factory, BodyError(_BODY))
        for kind in (KeyboardInterrupt, GeneratorExit, asyncio.CancelledError):
            self._exercise(f"{kind.__name__} in the body", factory, kind(_BODY))

    def _exercise(
        self, name: str, factory: Callable[[], AbstractContextManager[Any]], error: BaseException | None
    ) -> None:
        __tracebackhide__ = True
        try:
            with self():
                try:
                    with factory():
                        if error is not None:
                            raise error
                except BaseException as raised:
                    if raised is not error:
                        raise
        except LeakError as leak:
            _add_note(leak, f"left behind after {name}")
            raise
        finally:
            del error

    def _kinds(self, kinds: tuple[str, ...]) -> frozenset[str]:
        guard = self._guard
        if kinds:
            return options.kinds_of(",".join(kinds), guard.known_kinds, f"leak_check in {self._item.nodeid}")
        marked = guard.settings.every_test or self._item.get_closest_marker("no_leaks") is not None
        return (guard.settings_of(self._item).kinds if marked else guard.kinds) - {"object"}

    def _findings(self, items: frozenset[Item] | set[Item], until: str, *, looks: int, seconds: float) -> list[Finding]:
        """Findings for resources that are new; told once, so the end of the test is silent about them."""
        watch = self._guard.watch
        context = watch.recorder.context()
        otherwise = Acquisition(
            owner=Owner(kind="test", scope="function", name=self._item.nodeid), test=self._item.nodeid,
            phase=context.phase, origin=Origin(),
        )  # fmt: skip
        suspects = watch.examine({item for item in items if item[0] != "unclosed"}, otherwise)
        cases = [self._case(suspect, "leaked", until, looks, seconds) for suspect in suspects]
        matcher = watch.matcher()
        for item in items:
            if item[0] == "unclosed":
                suspect = watch.examine_unclosed(item[1], matcher)
                suspects.append(suspect)
                cases.append(self._case(suspect, "unclosed", until, looks, seconds))
        for suspect in suspects:
            suspect.live = None
        rules = [*self._guard.settings_of(self._item).rules, *self._guard.rules]
        return [
            finding
            for finding in judge(fold(cases, is_part), rules, normal="fails", used=self._guard.delivery.used_rules.add)
            if finding.disposition == "fails"
        ]

    @staticmethod
    def _case(suspect: Suspect, verdict: Any, until: str, looks: int, seconds: float) -> Case:
        return Case(
            resource=suspect.resource, acquisition=suspect.acquisition, verdict=verdict,
            until=until, looks=looks, seconds=seconds, mark=suspect.mark,
        )  # fmt: skip


_BODY = "leak_check.releases raised this in the body"


class BodyError(Exception):
    """Raised in the body by `LeakCheck.releases`."""


def block_of(check: LeakCheck, *kinds: str, grace: float | None = None) -> Block:
    """What a call of `check` gives, for those who want the findings and not an error."""
    where = f"leak_check in {check._item.nodeid}"
    seconds = check._guard.settings.grace_seconds if grace is None else options.seconds(grace, where)
    return Block(check, check._kinds(kinds), seconds)


class Block(AbstractContextManager[None]):
    """A block of a test that must release what it acquires. See `LeakCheck.__call__`."""

    def __init__(self, check: LeakCheck, kinds: frozenset[str], grace_seconds: float) -> None:
        self._check = check
        self._kinds = kinds
        self._grace_seconds = grace_seconds
        self._before: set[Item] = set()

    def __enter__(self) -> None:
        watch = self._check._guard.watch
        _real.gc_collect(1)
        self._before = watch.items(watch.look(self._kinds))

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        __tracebackhide__ = True
        findings = self.judge()
        if not findings:
            return
        leak = LeakError(findings)
        if error is None:
            raise leak
        _add_note(error, f"and this was left behind:{leak}")

    def judge(self) -> list[Finding]:
        """What is new since the block was entered and does not go; told once."""
        guard = self._check._guard
        watch = guard.watch
        context = watch.recorder.context()
        watch.recorder.resolve()
        with watch.collecting(context, lambda: None):
            new = self._new()
            if not new:
                return []
            _real.gc_collect()
            grace = self._grace_seconds if watch.may_still_change() else 0.0

            def look() -> set[Item]:
                _real.gc_collect(1)
                return {item for item in self._new() if item[0] != "unclosed"}

            settled = settle(look, grace, sleep=_real.sleep, clock=_real.monotonic)
            left = self._new()
        findings = self._check._findings(left, "end of the block", looks=settled.looks, seconds=settled.seconds)
        self._check.told |= left
        guard.judge.tell(left)
        return findings

    def _new(self) -> set[Item]:
        watch = self._check._guard.watch
        return watch.items(watch.look(self._kinds)) - self._before - self._check.told


def _add_note(error: BaseException, note: str) -> None:
    if hasattr(error, "add_note"):
        error.add_note(note)
