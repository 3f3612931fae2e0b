"""The scope stack: who owns an acquisition, and when it falls due.

A walked example, with one module-scoped fixture and two tests::

    ledger = Ledger()
    ledger.begin_test("t.py::test_a")       # setup phase of test_a
    db = ledger.open_fixture("db", "module", "conftest.py:8")
    ledger.now.owner                        # the fixture: what it acquires is its own
    ledger.ready(db)                        # its set-up is over; it is alive now
    ledger.enter_phase("call")
    ledger.now.owner                        # the test
    ledger.alive()                          # (db,): may hold what the test acquired
    ledger.end_test()
    ledger.begin_test("t.py::test_b")
    ...
    ledger.closing(db)                      # its teardown starts: what that acquires is its own too
    ledger.closed(db)                       # what belongs to it, or waited for it, falls due

The ledger knows names and numbers only; the caller keeps the live objects.
"""

from __future__ import annotations

from dataclasses import dataclass

from pytest_leakguard.core.model import NOBODY, Owner, Phase


@dataclass(slots=True)
class Context:
    """Who would own what is acquired at this moment. Never changed; not frozen because each test makes three."""

    owner: Owner
    test: str
    phase: Phase | None


OUTSIDE = Context(NOBODY, "", None)


class Ledger:
    """Keeps the stack of scopes in step with what pytest does."""

    def __init__(self) -> None:
        self.now: Context = OUTSIDE
        self._test: Context = OUTSIDE
        self._entered: list[Owner] = []  # fixtures in set-up or teardown at this moment, innermost last
        self._alive: dict[int, Owner] = {}
        self._ended: set[int] = set()
        self._first_test: dict[int, str] = {}
        self._serial = 0

    def begin_test(self, test: str) -> None:
        """A test starts with its setup phase; what it acquires is its own."""
        self._entered.clear()
        self._test = self.now = Context(Owner(kind="test", scope="function", name=test), test, "setup")

    def enter_phase(self, phase: Phase) -> None:
        """The test goes on to its next phase."""
        self._test = self.now = Context(self._test.owner, self._test.test, phase)

    def end_test(self) -> None:
        """The test is over and judged; what comes now is nobody's."""
        self._entered.clear()
        self._test = self.now = OUTSIDE

    def open_scope(self, kind: str, name: str, scope: str, where: str) -> Owner:
        """The set-up of a wider-than-function fixture or node starts."""
        self._serial += 1
        owner = Owner(
            kind="node" if kind == "node" else "fixture",
            scope=scope,
            name=name,
            where=where,
            serial=self._serial,
        )
        self._alive[owner.serial] = owner
        self._first_test[owner.serial] = self._test.test
        self._entered.append(owner)
        self._refresh("setup")
        return owner

    def ready(self, owner: Owner) -> None:
        """The set-up of a scope is over, well or not."""
        self._leave(owner)

    def closing(self, owner: Owner) -> None:
        """The teardown of a scope starts."""
        if owner.serial in self._alive:
            self._entered.append(owner)
            self._refresh("teardown")

    def closed(self, owner: Owner) -> None:
        """The teardown of a scope is over: it can release nothing more. Saying it twice is harmless."""
        if self._alive.pop(owner.serial, None) is not None:
            self._ended.add(owner.serial)
        self._leave(owner)

    def first_test(self, owner: Owner) -> str:
        """The test for which a wider scope was set up."""
        return self._first_test.get(owner.serial, self._test.test)

    def alive(self) -> tuple[Owner, ...]:
        """The wider scopes that are set up and not torn down, oldest first."""
        return tuple(self._alive.values())

    def is_alive(self, serial: int) -> bool:
        """Whether that scope can still release something."""
        return serial in self._alive

    def take_ended(self) -> frozenset[int]:
        """The serials of the scopes that ended since the last call."""
        ended = frozenset(self._ended)
        self._ended.clear()
        return ended

    @property
    def has_ended(self) -> bool:
        """Whether a wider scope ended since `take_ended` was called."""
        return bool(self._ended)

    def _leave(self, owner: Owner) -> None:
        self._entered = [entered for entered in self._entered if entered.serial != owner.serial]
        self._refresh(None)

    def _refresh(self, phase: Phase | None) -> None:
        if self._entered:
            owner = self._entered[-1]
            self.now = Context(owner, self.first_test(owner), phase or self.now.phase)
        else:
            self.now = self._test
