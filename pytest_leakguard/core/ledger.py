"""The scope stack: who owns an acquisition, and when it falls due.

A walked example, with one module-scoped fixture and two tests::

    ledger = Ledger()
    ledger.begin_test("t.py::test_a")       # setup phase of test_a
    db = ledger.open_scope("fixture", "db", "module", "conftest.py:8")
    ledger.now.owner                        # the fixture: what it acquires is its own
    ledger.ready(db)                        # its set-up is over; it is alive now
    ledger.phase = "call"
    ledger.now.owner                        # the test
    ledger.alive()                          # (db,): may hold what the test acquired
    ledger.end_test()
    ledger.begin_test("t.py::test_b")
    ...
    ledger.closing(db)                      # its teardown starts: what that acquires is its own too,
    ledger.now.test                         # ... and is told for its first user, test_a
    ledger.closed(db)                       # what belongs to it, or waited for it, falls due

The ledger knows names and numbers only; the caller keeps the live objects.
"""

from __future__ import annotations

from collections.abc import Callable

from pytest_leakguard.core.model import NOBODY, Owner, Phase


class Context:
    """Who would own what is acquired at one moment; never changed.

    One is made in each phase of a test that acquires anything, and few are ever asked for their owner: that of a test
    is made when it is.
    """

    __slots__ = ("_owner", "phase", "test")

    def __init__(self, owner: Owner | None, test: str, phase: Phase | None) -> None:
        self._owner = owner
        self.test = test
        self.phase = phase

    @property
    def owner(self) -> Owner:
        """The test itself, where no other was given."""
        if self._owner is None:
            self._owner = Owner(kind="test", scope="function", name=self.test)
        return self._owner

    @property
    def is_of_test(self) -> bool:
        """Whether the owner is a test."""
        return self._owner is None or self._owner.kind == "test"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Context) and self._parts() == other._parts()

    def __hash__(self) -> int:
        return hash(self._parts())

    def __repr__(self) -> str:
        return f"Context({self.owner!r}, {self.test!r}, {self.phase!r})"

    def _parts(self) -> tuple[Owner, str, Phase | None]:
        return self.owner, self.test, self.phase


OUTSIDE = Context(NOBODY, "", None)


class Ledger:
    """Keeps the stack of scopes in step with what pytest does.

    Args:
        current_phase: asked when something is acquired in a test; None when it can't tell.
        sign: cheaper, and so asked first: the same object as long as the phase is the same, or None.

    Attributes:
        test: id of the running test, empty between tests.
        phase: the last that is known. Both are plain attributes: every test sets them,
            few acquire anything, so a `Context` is made only when one is asked for.
        ended: serials of the wider scopes that ended since `take_ended` was called.
    """

    def __init__(
        self, current_phase: Callable[[], Phase | None] = lambda: None, sign: Callable[[], object] = lambda: None
    ) -> None:
        self._current_phase = current_phase
        self._sign = sign
        self.test = ""
        self.phase: Phase = "setup"
        self._entered: list[tuple[Owner, Phase]] = []  # in set-up or teardown at this moment, innermost last
        self._alive: dict[int, Owner] = {}
        self._first_test: dict[int, str] = {}
        self.ended: set[int] = set()
        self._last = self._made = OUTSIDE
        self._seen: object = None  # the sign at the time of `_last`
        self._serial = 0

    @property
    def now(self) -> Context:
        """Who owns what is acquired at this moment."""
        sign = self._sign()
        if sign is not None and sign is self._seen:
            return self._last
        if self._entered:
            owner, phase = self._entered[-1]
            return Context(owner, self.first_test(owner), phase)
        if not self.test:
            return OUTSIDE
        self.phase = self._current_phase() or self.phase
        self._seen = sign
        self._last = self.context_of(self.test, self.phase)
        return self._last

    def context_of(self, test: str, phase: Phase | None) -> Context:
        """What a test acquires in that phase is its own."""
        if self._made.test is not test or self._made.phase is not phase:
            self._made = Context(None, test, phase)
        return self._made

    def begin_test(self, test: str) -> None:
        """A test starts with its setup phase; what it acquires is its own."""
        self.test, self.phase, self._seen = test, "setup", None
        if self._entered:
            self._entered.clear()

    def end_test(self) -> None:
        """The test is over and judged; what comes now is nobody's."""
        self.test, self._seen = "", None
        if self._entered:
            self._entered.clear()

    def open_scope(self, kind: str, name: str, scope: str, where: str, *, xunit: bool = False) -> Owner:
        """The set-up of a wider-than-function fixture or node starts."""
        self._serial += 1
        owner = Owner(
            kind="node" if kind == "node" else "fixture",
            scope=scope,
            name=name,
            where=where,
            serial=self._serial,
            xunit=xunit,
        )
        self._alive[owner.serial] = owner
        self._first_test[owner.serial] = self.test
        self._enter(owner, "setup")
        return owner

    def ready(self, owner: Owner) -> None:
        """The set-up of a scope is over, well or not."""
        self._leave(owner)

    def closing(self, owner: Owner) -> None:
        """The teardown of a scope starts."""
        if owner.serial in self._alive:
            self._enter(owner, "teardown")

    def closed(self, owner: Owner) -> None:
        """The teardown of a scope is over: it can release nothing more. Saying it twice is harmless."""
        if self._alive.pop(owner.serial, None) is not None:
            self.ended.add(owner.serial)
        self._leave(owner)

    def first_test(self, owner: Owner) -> str:
        """The test for which a wider scope was set up."""
        return self._first_test.get(owner.serial, self.test)

    def alive(self) -> tuple[Owner, ...]:
        """The wider scopes that are set up and not torn down, oldest first."""
        return tuple(self._alive.values())

    def is_alive(self, serial: int) -> bool:
        """Whether that scope can still release something."""
        return serial in self._alive

    def take_ended(self) -> frozenset[int]:
        """The serials of the scopes that ended since the last call."""
        ended = frozenset(self.ended)
        self.ended.clear()
        return ended

    def _enter(self, owner: Owner, phase: Phase) -> None:
        self._entered.append((owner, phase))
        self._seen = None

    def _leave(self, owner: Owner) -> None:
        self._entered = [entry for entry in self._entered if entry[0].serial != owner.serial]
