"""The scope stack: who owns what is acquired at each moment, and what is alive or has ended."""

from __future__ import annotations

from dataclasses import replace

import pytest

from pytest_leakguard.core.ledger import OUTSIDE, Context, Ledger
from pytest_leakguard.core.model import NOBODY, Owner


@pytest.fixture
def ledger():
    return Ledger()


def who(ledger: Ledger) -> tuple[str, str, str, str | None]:
    """Kind and name of the owner, the test and the phase of this moment."""
    now = ledger.now
    return now.owner.kind, now.owner.name, now.test, now.phase


def test_nobody_owns_what_comes_before_the_first_test(ledger):
    """Before any test the owner is nobody, outside of every phase."""
    assert ledger.now is OUTSIDE
    assert who(ledger) == ("nobody", "", "", None)
    assert ledger.now.owner is NOBODY


def test_a_test_owns_its_three_phases(ledger):
    """Setup, call and teardown of a test are the test's; after its end nobody's."""
    ledger.begin_test("t.py::test_a")
    assert who(ledger) == ("test", "t.py::test_a", "t.py::test_a", "setup")
    assert (ledger.now.owner.scope, ledger.now.owner.serial) == ("function", 0)
    for phase in ("call", "teardown"):
        ledger.phase = phase
        assert who(ledger) == ("test", "t.py::test_a", "t.py::test_a", phase)
    ledger.end_test()
    assert ledger.now is OUTSIDE


def test_a_wider_fixture_owns_its_set_up_and_its_teardown(ledger):
    """The example in the docstring of the module, step by step."""
    ledger.begin_test("t.py::test_a")
    db = ledger.open_scope("fixture", "db", "module", "conftest.py:8")
    assert who(ledger) == ("fixture", "db", "t.py::test_a", "setup")
    assert (db.scope, db.where, db.serial, db.xunit) == ("module", "conftest.py:8", 1, False)
    ledger.ready(db)
    assert who(ledger) == ("test", "t.py::test_a", "t.py::test_a", "setup")
    ledger.phase = "call"
    assert who(ledger) == ("test", "t.py::test_a", "t.py::test_a", "call")
    assert ledger.alive() == (db,)
    ledger.end_test()
    ledger.begin_test("t.py::test_b")
    assert ledger.alive() == (db,)
    ledger.phase = "teardown"
    ledger.closing(db)
    assert who(ledger) == ("fixture", "db", "t.py::test_a", "teardown")  # its first user's, in both
    assert ledger.is_alive(db.serial)
    ledger.closed(db)
    assert who(ledger) == ("test", "t.py::test_b", "t.py::test_b", "teardown")
    assert not ledger.is_alive(db.serial)
    assert ledger.alive() == ()
    assert ledger.take_ended() == frozenset({db.serial})


def test_the_innermost_set_up_owns(ledger):
    """A fixture that asks for another one: while the inner is set up it owns, then the outer again."""
    ledger.begin_test("t")
    outer = ledger.open_scope("fixture", "outer", "session", "")
    inner = ledger.open_scope("fixture", "inner", "module", "")
    assert ledger.now.owner is inner
    ledger.ready(inner)
    assert ledger.now.owner is outer
    ledger.ready(outer)
    assert ledger.now.owner.kind == "test"
    assert ledger.alive() == (outer, inner)


def test_teardowns_nest_as_set_ups_do(ledger):
    """The teardown that started last owns until it is over."""
    ledger.begin_test("t")
    outer, inner = (ledger.open_scope("fixture", name, "session", "") for name in ("outer", "inner"))
    ledger.ready(inner)
    ledger.ready(outer)
    ledger.phase = "teardown"
    ledger.closing(outer)
    ledger.closing(inner)
    assert ledger.now.owner is inner
    ledger.closed(inner)
    assert who(ledger)[1:] == ("outer", "t", "teardown")
    ledger.closed(outer)
    assert ledger.now.owner.kind == "test"


def test_each_set_up_of_a_fixture_is_an_owner_of_its_own(ledger):
    """A parametrized fixture that is set up twice is two owners with two serials."""
    ledger.begin_test("t")
    first = ledger.open_scope("fixture", "db", "module", "")
    ledger.closed(first)
    second = ledger.open_scope("fixture", "db", "module", "")
    assert first.serial != second.serial
    assert first != second
    assert ledger.alive() == (second,)


@pytest.mark.parametrize(
    ("given", "kind"), [("node", "node"), ("fixture", "fixture"), ("a", "fixture"), ("other", "fixture")]
)
def test_a_scope_is_a_node_or_a_fixture(ledger, given, kind):
    """Nodes (packages, classes of other plugins) are told apart from fixtures."""
    assert ledger.open_scope("".join(list(given)), "n", "package", "pkg").kind == kind


def test_what_ended_is_taken_once(ledger):
    """The ended scopes are handed out once; saying twice that one is closed changes nothing."""
    ledger.begin_test("t")
    scopes = [ledger.open_scope("fixture", str(n), "class", "") for n in range(3)]
    assert not ledger.ended
    ledger.closed(scopes[0])
    ledger.closed(scopes[2])
    ledger.closed(scopes[2])
    assert ledger.ended
    assert ledger.take_ended() == frozenset({scopes[0].serial, scopes[2].serial})
    assert not ledger.ended
    ledger.closed(scopes[2])
    assert ledger.take_ended() == frozenset()
    assert ledger.alive() == (scopes[1],)


def test_a_scope_that_is_over_does_not_close_again(ledger):
    """A teardown told for a scope that has ended leaves the owner as it is."""
    ledger.begin_test("t")
    db = ledger.open_scope("fixture", "db", "module", "")
    ledger.closed(db)
    before = ledger.now
    ledger.closing(db)
    assert ledger.now == before


def test_a_fixture_is_told_with_its_first_user(ledger):
    """The test for which it was set up, whichever test runs now; a scope that nobody opened has the running one."""
    ledger.begin_test("a")
    db = ledger.open_scope("fixture", "db", "session", "")
    ledger.ready(db)
    ledger.begin_test("b")
    assert ledger.first_test(db) == "a"
    assert ledger.first_test(Owner(kind="test", scope="function", name="b")) == "b"


def test_a_set_up_that_failed_half_way_is_still_alive_until_it_is_closed(ledger):
    """`ready` says that the set-up is over, well or not; what it acquired falls due with its teardown."""
    ledger.begin_test("t")
    db = ledger.open_scope("fixture", "db", "module", "")
    ledger.ready(db)
    assert ledger.is_alive(db.serial)
    ledger.closed(db)
    assert not ledger.is_alive(db.serial)


def test_a_new_test_forgets_what_an_aborted_one_left_entered(ledger):
    """A set-up that never came to its end (KeyboardInterrupt) does not own what the next test acquires."""
    ledger.begin_test("a")
    db = ledger.open_scope("fixture", "db", "session", "")
    assert ledger.now.owner is db
    ledger.begin_test("b")
    assert who(ledger) == ("test", "b", "b", "setup")
    ledger.open_scope("fixture", "net", "session", "")
    ledger.end_test()
    assert ledger.now is OUTSIDE
    assert ledger.is_alive(db.serial)


def test_a_scope_outside_of_any_test_has_no_test(ledger):
    """The teardown of the last scopes may come when no test runs."""
    db = ledger.open_scope("fixture", "db", "session", "")
    assert who(ledger) == ("fixture", "db", "", "setup")
    ledger.ready(db)
    assert ledger.now is OUTSIDE


def test_the_next_test_owns_though_it_is_asked_in_the_same_phase(ledger):
    """Whatever their names: nothing of the answer for the test before is given again."""
    for test in ("b", "a", "c"):
        ledger.begin_test(test)
        assert who(ledger) == ("test", test, test, "setup")
        assert ledger.now is ledger.now
    ledger.phase = "call"
    assert who(ledger) == ("test", "c", "c", "call")


def test_the_phase_is_asked_of_whoever_knows_it():
    """What is not known leaves the last phase that was."""
    phases = iter(["call", None, "teardown"])
    ledger = Ledger(lambda: next(phases))
    ledger.begin_test("t")
    assert [ledger.now.phase for _ in range(3)] == ["call", "call", "teardown"]
    assert ledger.phase == "teardown"


class Sign:
    """Stands for what a phase is read from: equal to all others, and neither less nor more, but not the same."""

    def __init__(self, equal: bool) -> None:
        self._equal = equal

    def __eq__(self, other: object) -> bool:
        return self._equal

    __le__ = __ge__ = __lt__ = __gt__ = __eq__
    __hash__ = None


@pytest.mark.parametrize("equal", [True, False])
def test_the_phase_is_asked_again_when_its_sign_is_another(equal):
    phases, signs = iter(["setup", "call", "teardown"]), []
    ledger = Ledger(lambda: next(phases), lambda: signs[-1])
    ledger.begin_test("t")
    for phase in ("setup", "call", "teardown"):
        signs.append(Sign(equal))
        assert [ledger.now.phase for _ in range(3)] == [phase] * 3


def test_without_a_sign_the_phase_is_asked_each_time():
    phases = iter(["setup", "call", "teardown"])
    ledger = Ledger(lambda: next(phases), lambda: None)
    ledger.begin_test("t")
    assert [ledger.now.phase for _ in range(3)] == ["setup", "call", "teardown"]


def test_the_sign_says_nothing_of_the_owner():
    """What is written stays the same while a test ends and the next begins, and while scopes come and go."""
    ledger = Ledger(lambda: "call", lambda: sign)
    sign = object()
    ledger.begin_test("t")
    assert who(ledger) == ("test", "t", "t", "call")
    scope = ledger.open_scope("fixture", "pool", "module", "")
    assert ledger.now.owner is scope
    ledger.ready(scope)
    assert who(ledger) == ("test", "t", "t", "call")
    ledger.closing(scope)
    assert (ledger.now.owner, ledger.now.phase) == (scope, "teardown")
    ledger.closed(scope)
    assert who(ledger) == ("test", "t", "t", "call")
    ledger.end_test()
    assert ledger.now is OUTSIDE
    ledger.begin_test("u")
    assert who(ledger) == ("test", "u", "u", "call")


def test_an_outer_set_up_that_ends_first_leaves_the_inner_one(ledger):
    """Out of order, as with an error in between: who is still entered owns, among hundreds of scopes."""
    ledger.begin_test("t")
    for number in range(300):
        ledger.closed(ledger.open_scope("fixture", str(number), "class", ""))
    outer, inner = (ledger.open_scope("fixture", name, "session", "") for name in ("outer", "inner"))
    ledger.ready(outer)
    assert ledger.now.owner is inner
    ledger.ready(replace(inner, serial=int(str(inner.serial))))  # known by its number alone
    assert ledger.now.owner.kind == "test"


def test_a_context_without_an_owner_is_its_tests(ledger):
    """The owner is made when somebody asks, once."""
    context = Context(None, "t.py::test_a", "call")
    assert context.is_of_test
    assert context.owner == Owner(kind="test", scope="function", name="t.py::test_a")
    assert context.owner is context.owner
    assert context.is_of_test
    assert Context(Owner(kind="".join(["te", "st"]), scope="function", name="a"), "a", None).is_of_test  # type: ignore[arg-type]
    for kind in ("fixture", "unknown"):  # before and after it in the alphabet
        assert not Context(Owner(kind=kind, scope="module", name="db"), "a", None).is_of_test


def test_contexts_of_one_moment_are_equal():
    """Whether anybody has asked for the owner or not."""
    one, same = Context(None, "a", "call"), Context(None, "a", "call")
    assert one.owner.name == "a"
    assert one == same
    assert hash(one) == hash(same)
    assert {one: 1}[same] == 1
    others = [
        Context(None, "a", "setup"), Context(None, "a", "teardown"), Context(None, "b", "call"),
        Context(None, "", "call"), Context(NOBODY, "a", "call"), OUTSIDE,
    ]  # fmt: skip
    assert one not in others
    assert one != (one.owner, one.test, one.phase)
    assert repr(one) == f"Context({one.owner!r}, 'a', 'call')"
