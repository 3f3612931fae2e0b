"""The roster: all probes are asked, and one that fails is switched off, reported, and costs nobody else anything."""

from __future__ import annotations

from collections.abc import Hashable
from typing import Any

import pytest

from pytest_leakguard.core.model import Resource
from pytest_leakguard.probes.roster import ProbeState, Roster


class Steady:
    """A probe that works."""

    def __init__(self, kind: str = "steady") -> None:
        self.kind = kind
        self.mechanism = f"how {kind} sees"
        self.asked: list[str] = []

    def unavailable(self) -> str | None:
        return None

    def mark(self) -> Hashable:
        self.asked.append("mark")
        return 7

    def keys(self) -> frozenset[Hashable]:
        self.asked.append("keys")
        return frozenset({"a", "b"})

    def describe(self, key: Hashable) -> Resource:
        return Resource(kind=self.kind, key=key, what=f"{self.kind} {key}", subject=str(key))


class Broken(Steady):
    """A probe of which one part raises, or gives something else than it should."""

    def __init__(
        self, part: str, *, error: BaseException | None = None, gives: Any = None, kind: str = "broken"
    ) -> None:
        super().__init__(kind)
        self.part, self.error, self.gives = part, error, gives

    def __getattribute__(self, name: str) -> Any:
        mine = object.__getattribute__(self, "__dict__")
        if name != mine.get("part"):
            return object.__getattribute__(self, name)
        if name in ("kind", "mechanism"):
            return self._fail()
        return lambda *_: self._fail()

    def _fail(self) -> Any:
        if self.error is not None:
            raise self.error
        return self.gives


@pytest.fixture
def steady():
    return Steady()


def test_all_probes_are_asked():
    """Kinds, marks, census and descriptions come from every active probe."""
    roster = Roster([Steady("one"), Steady("two")])
    assert roster.kinds == {"one", "two"}
    assert roster.marks() == (7, 7)
    assert roster.look() == {"one": frozenset("ab"), "two": frozenset("ab")}
    assert roster.describe("two", "a").what == "two a"
    assert roster.errors == []


def test_only_the_kinds_asked_for_are_looked_at():
    """A look at some kinds leaves the other probes alone."""
    one, two = Steady("one"), Steady("two")
    roster = Roster([one, two])
    assert roster.look(["two"]) == {"two": frozenset("ab")}
    assert roster.look([]) == {}
    assert (one.asked, two.asked) == ([], ["keys"])


def test_before_each_look_the_shared_table_is_told():
    """What probes share is read anew once a look, before the first probe is asked."""
    told: list[list[str]] = []
    probe = Steady()
    roster = Roster([probe], before_look=lambda: told.append(list(probe.asked)))
    roster.look()
    roster.marks()
    roster.look()
    assert told == [[], ["keys", "mark"]]


def test_a_kind_is_found_by_name(steady):
    """The active probe of a kind, or None."""
    roster = Roster([steady])
    assert roster.get("steady") is steady
    assert roster.get("other") is None


def test_a_probe_that_cannot_work_here_is_off_and_no_error(steady):
    """`unavailable` gives a sentence: it becomes the note, and the probe is not asked."""
    off = Broken("unavailable", gives="no device here")
    roster = Roster([off, steady])
    assert roster.kinds == {"steady"}
    assert roster.states() == [
        ProbeState(kind="broken", active=False, mechanism="", note="no device here"),
        ProbeState(kind="steady", active=True, mechanism="how steady sees"),
    ]
    assert roster.errors == []
    roster.marks(), roster.look()
    assert off.asked == []


ERROR = LookupError("no such table")
REASON = "LookupError: no such table"


def ask_all(roster: Roster) -> None:
    """Everything that a session asks of a roster."""
    roster.states()
    roster.marks()
    roster.look()
    for kind in ("broken", "steady"):
        roster.describe(kind, "a")


@pytest.mark.parametrize("part", ["unavailable", "mechanism", "mark", "keys"])
def test_a_probe_that_raises_is_switched_off_and_reported_once(steady, part):
    """Whichever part raises: one error, the reason as note, and the other probe goes on."""
    roster = Roster([Broken(part, error=ERROR), steady])
    for _ in range(3):
        ask_all(roster)
    assert roster.errors == [f"probe 'broken' switched off: {REASON}"]
    assert roster.kinds == {"steady"}
    off, on = roster.states()
    assert (off.active, off.note) == (False, REASON)
    assert on == ProbeState(kind="steady", active=True, mechanism="how steady sees")
    assert roster.look() == {"steady": frozenset("ab")}
    assert roster.marks() == (7,)


def test_a_mark_that_raises_takes_no_other_mark_with_it(steady):
    """The call in which one probe fails still has the other probes' marks."""
    roster = Roster([Broken("mark", error=ERROR), steady])
    assert 7 in roster.marks()
    assert "broken" not in roster.look()


@pytest.mark.parametrize(
    "gives",
    [
        ERROR,
        None,
        "a handle",
        Resource(kind="fd", key=1, what="another's", subject="x"),
        Resource(kind="broken", key="a", what=None, subject=None),  # type: ignore[arg-type]
        Resource(kind="broken", key="a", what="", subject="", fix=7),  # type: ignore[arg-type]
    ],
)
def test_a_probe_that_cannot_describe_costs_the_words_not_the_finding(steady, gives):
    """It still sees, and goes on seeing: the resource is told plainly, the error once."""
    broken = Broken("describe", error=ERROR) if gives is ERROR else Broken("describe", gives=gives)
    roster = Roster([broken, steady])
    for _ in range(2):
        told = roster.describe("broken", ("a", 1))
        assert told == Resource(
            kind="broken", key=("a", 1), what="broken ('a', 1)", subject="broken", reason="its probe failed"
        )
    (error,) = roster.errors
    assert error.startswith("probe 'broken' could not describe a resource: ")
    assert roster.kinds == {"broken", "steady"}
    assert roster.look() == {"broken": frozenset("ab"), "steady": frozenset("ab")}
    assert roster.describe("steady", "a").what == "steady a"


NONSENSE = [
    ("keys", None),
    ("keys", 7),
    ("keys", "abc"),
    ("keys", ["a", ["unhashable"]]),
    ("unavailable", 7),
    ("unavailable", True),
]


@pytest.mark.parametrize(("part", "gives"), NONSENSE)
def test_a_probe_that_gives_nonsense_is_switched_off_and_reported(steady, part, gives):
    """What is not of the promised type is an error of that probe, not of leakguard later on."""
    roster = Roster([Broken(part, gives=gives), steady])
    for _ in range(2):
        ask_all(roster)
    (error,) = roster.errors
    assert error.startswith("probe 'broken' switched off: ")
    assert roster.kinds == {"steady"}


class Odd:
    """A mark that can't be compared, as arrays can't."""

    __hash__ = None  # type: ignore[assignment]

    def __eq__(self, other: object) -> bool:
        raise ValueError("the truth value is ambiguous")


def test_a_mark_that_cannot_be_compared_is_an_error_of_its_probe(steady):
    """The marks that the guard compares after every test are comparable, whatever a probe gives."""
    roster = Roster([Broken("mark", gives=Odd()), steady])
    before = roster.marks()
    assert (roster.marks() == before) in (True, False)
    assert before[-1] == 7
    assert len(roster.errors) == 1


@pytest.mark.parametrize("kind", [None, 7, "", "two words", "fd,socket", "a:b", "*", "default", "all", "+fd"])
def test_a_kind_that_could_not_be_written_is_refused(steady, kind):
    """A kind is a word for the command line and for rules; another is an error of that probe."""
    roster = Roster([Steady(kind), steady])
    assert roster.kinds == {"steady"}
    assert len(roster.errors) == 1
    assert [state.kind for state in roster.states() if state.active] == ["steady"]


def test_a_probe_without_a_kind_is_refused(steady):
    """A kind that raises, or an object that is no probe at all: an error, and the others go on."""
    roster = Roster([Broken("kind", error=ERROR), object(), steady])  # type: ignore[list-item]
    assert roster.kinds == {"steady"}
    assert len(roster.errors) == 2


def test_the_first_probe_of_a_kind_keeps_it(steady):
    """Another plugin can't take the place of a kind that is there: the second is refused and reported."""
    second = Steady()
    second.mechanism = "an impostor"
    roster = Roster([steady, second])
    assert roster.get("steady") is steady
    assert [state.mechanism for state in roster.states()] == ["how steady sees"]
    assert len(roster.errors) == 1


@pytest.mark.parametrize("error", [KeyboardInterrupt(), SystemExit(3)])
def test_an_interrupt_is_no_error_of_a_probe(steady, error):
    """Ctrl-C while a probe is asked is the user's: it comes out."""
    roster = Roster([Broken("keys", error=error), steady])
    with pytest.raises(type(error)):
        roster.look()
    assert roster.errors == []


def test_switching_off_twice_is_told_once(steady):
    """A kind that is off, or unknown, is left alone."""
    roster = Roster([steady])
    roster.switch_off("steady", "first")
    roster.switch_off("steady", "second")
    roster.switch_off("other", "third")
    assert roster.errors == ["probe 'steady' switched off: first"]
    assert roster.states() == [ProbeState(kind="steady", active=False, mechanism="", note="first")]
