"""Known, new, gone: findings against the entries of a baseline, and the entries that a run would write."""

from __future__ import annotations

import random
from dataclasses import replace
from datetime import date

import pytest

from pytest_leakguard.core.baseline import Sieve, bare, gathered, steady
from pytest_leakguard.core.baseline_text import Entry
from pytest_leakguard.core.model import Finding, Origin, Owner
from pytest_leakguard.core.ran import Ran

TODAY = date(2026, 6, 15)
LOADER = "fd:app/loader.py:load"


def leak(test="t.py::test_a", fingerprint=LOADER, *, count=1, owner=None, **more) -> Finding:
    owner = owner or Owner(kind=fresh("test"), scope="function", name=test)
    more["disposition"] = fresh(more.get("disposition", "fails"))
    return Finding(
        kind="fd", verdict=fresh(more.pop("verdict", "leaked")), test=test, phase="call", owner=owner, what="",
        subject="", origin=Origin(), due="", fix="", allow="", fingerprint=fingerprint, count=count, **more,
    )  # fmt: skip


def fresh(text: str) -> str:
    """An equal text that is another object, as one that came from another process or a file."""
    return "".join(list(text))


def fixture(scope="session", name="db", where="conftest.py:3") -> Owner:
    return Owner(kind="fixture", scope=scope, name=name, where=where, serial=7)


def sieve(*entries: Entry, **more) -> Sieve:
    return Sieve(entries, today=TODAY, **more)


def entry(fingerprint=LOADER, count=1, **more) -> Entry:
    return Entry(
        fingerprint=fingerprint,
        count=count,
        tests=more.pop("tests", ("t.py::test_a",)),
        needs=fresh(more.pop("needs", "")),
        **more,
    )


def shown(findings: list[Finding]) -> list[tuple[str, int]]:
    return [(finding.disposition, finding.count) for finding in findings]


def all_ran(*tests: str) -> Ran:
    return Ran(collected=frozenset(tests), passed=frozenset(tests), roots=("",))


# -- known and new


def test_known_ones_pass_and_one_more_is_new():
    """As often as the entry says; what is beyond is told with the number that is known."""
    known = sieve(entry(count=3, reason="the vendor"))
    first, second = known.sift(leak(count=2)), known.sift(leak("t.py::test_b", count=2))
    assert shown(first) == [("known", 2)]
    assert first[0].notes == ("known to the baseline: the vendor",)
    assert shown(second) == [("known", 1), ("fails", 1)]
    assert second[1].notes == ("the baseline knows 3 of these, and there are more: any of them may be the new one",)
    assert shown(known.sift(leak(fingerprint="fd:app/other.py:f"))) == [("fails", 1)]
    assert known.new == {LOADER: 1, "fd:app/other.py:f": 1}
    many = sieve(entry(count=2))
    assert shown(many.sift(leak(count=7))) == [("known", 2), ("fails", 5)]
    assert many.new == {LOADER: 5}


def test_a_warning_stays_one_and_what_passes_anyway_is_left_alone():
    """With --leakguard-action=warn new ones are warned of; notes, allowed and late ones stay what they are."""
    known = sieve(entry())
    assert shown(known.sift(leak(disposition="warned"))) == [("known", 1)]
    assert shown(known.sift(leak(disposition="warned"))) == [("warned", 1)]
    for disposition in ("allowed", "late", "told"):
        assert shown(sieve(entry()).sift(leak(disposition=disposition))) == [(disposition, 1)]


def test_a_note_of_a_failed_test_takes_its_part_of_the_count():
    """Whether a test fails by itself does not change what the others may leak, and its leak is not gone."""
    known = sieve(entry())
    assert shown(known.sift(leak(disposition="note"))) == [("note", 1)]
    assert shown(known.sift(leak("t.py::test_b"))) == [("fails", 1)]
    assert known.changes(all_ran("t.py::test_a"), (), ("fd",)) == ([], [])


def test_the_order_of_the_tests_does_not_matter():
    """Which one is told as new depends on it, that one is, and how many pass, does not."""
    leaks = [leak(f"t.py::test_{number}", name) for number in range(6) for name in (LOADER, "fd:b.py:g")]
    for seed in range(20):
        random.Random(seed).shuffle(leaks)
        known = sieve(entry(count=4), entry("fd:b.py:g", count=6))
        found = [part.disposition for one in leaks for part in known.sift(one)]
        assert (found.count("known"), found.count("fails"), known.new) == (10, 2, {LOADER: 2})


def test_an_entry_that_has_expired_knows_nothing():
    """Its last day is the day that stands there; afterwards it fails with the date, in an update too."""
    expires = entry(count=2, expires=TODAY)
    assert shown(sieve(expires).sift(leak())) == [("known", 1)]
    late = Sieve([expires], today=date(2026, 6, 16), accepts_new=True)
    (found,) = late.sift(leak())
    assert found.disposition == "fails"
    assert found.notes == ("known to the baseline, but only until 2026-06-15: fix it, or give it a later date there",)
    assert late.updated(all_ran("t.py::test_a"), (), ("fd",)) == [expires]


def test_hundreds_of_one_finding_are_counted_like_few():
    """All known, and one more is one more."""
    known = sieve(entry(count=300))
    assert shown(known.sift(leak(count=300))) == [("known", 300)]
    assert known.new == {}
    assert shown(known.sift(leak("t.py::test_b", count=300))) == [("fails", 300)]


def test_what_passes_once_takes_its_part_but_is_not_gone():
    """A leak that another run may not show again: known or not, it is told as it is."""
    known = sieve(entry())
    assert shown(known.sift(leak(disposition="once"))) == [("once", 1)]
    assert known.changes(all_ran("t.py::test_a"), (), ("fd",)) == ([], [])
    other = sieve()
    assert shown(other.sift(leak(disposition="once"))) == [("once", 1)]
    assert other.new_entries() == []


# -- wider fixtures and workers


def test_a_test_that_runs_in_two_workers_leaks_twice():
    """Each of its runs is one, unlike the set-ups of a fixture."""
    known = sieve(entry())
    assert shown(known.sift(leak(), "gw0")) == [("known", 1)]
    assert shown(known.sift(leak(), "gw1")) == [("fails", 1)]


def test_a_wider_fixture_that_is_set_up_in_each_worker_is_one_leak():
    """The same fixture leaks in three workers, for other first users: as known, or as new, as in one process."""
    for count, expected in ((2, "known"), (1, "fails")):
        known = sieve(entry(count=count, tests=("./",)))
        for worker in ("gw0", "gw1", "gw2"):
            found = known.sift(leak(f"t.py::test_{worker}", count=2, owner=fixture()), worker)
            assert shown(found)[-1][0] == expected
        assert known.count(known.entries[LOADER]) == 2
        assert known.new == ({} if count == 2 else {LOADER: 3})


def test_the_same_fixture_of_two_modules_is_two_leaks():
    """A module's fixture is set up once for each module, wherever."""
    known = sieve(entry(count=1, tests=("a.py", "b.py")))
    module = fixture("module")
    assert shown(known.sift(leak("a.py::test_a", owner=module), "gw0")) == [("known", 1)]
    assert shown(known.sift(leak("a.py::test_b", owner=module), "gw1")) == [("known", 1)]
    assert shown(known.sift(leak("b.py::test_a", owner=module), "gw1")) == [("fails", 1)]


# -- gone


@pytest.mark.parametrize(
    ("known", "asked", "kinds", "is_gone"),
    [
        (entry(), (), ("fd",), True),
        (entry(), (), ("socket",), False),  # the kind was not watched
        (entry(tests=("t.py::test_b",)), (), ("fd",), False),  # the test did not run
        (entry(tests=()), (), ("fd",), True),  # without tests: a whole run
        (entry(needs="repeat"), (), ("fd",), False),
        (entry(needs="repeat"), ("repeat",), ("fd",), True),
        (entry(needs="repeat"), ("repeat",), ("socket",), False),
        (entry("hang:a.py:f", needs="faults"), (), ("fd",), False),
        (entry("hang:a.py:f", needs="faults"), ("faults",), ("fd",), True),
    ],
)
def test_gone_is_only_what_was_looked_for(known, asked, kinds, is_gone):
    """Its tests ran, its kind was watched, and what finds it was on."""
    ran = Ran(
        collected=frozenset({"t.py::test_a", "t.py::test_b"}),
        passed=frozenset({"t.py::test_a"}),
        skipped=frozenset({"t.py::test_b"}),
        roots=("",),
    )
    gone, fewer = sieve(known).changes(ran, asked, kinds)
    assert (gone, fewer) == ([known] if is_gone else [], [])


# -- updates


def test_an_update_keeps_what_people_wrote():
    """Reason, date and comments stay with their entry; counts and tests follow the run; gone ones go, new ones come."""
    kept = entry(count=3, reason="r", expires=date(2030, 1, 1), comments=("# c",), tests=("t.py::test_a", "t.py::old"))
    known = sieve(kept, entry("fd:gone.py:f"), accepts_new=True)
    assert shown(known.sift(leak(count=2))) == [("known", 2)]
    assert shown(known.sift(leak("t.py::test_b", "fd:new.py:g", count=2))) == [("known", 2)]
    written = known.updated(all_ran("t.py::test_a", "t.py::test_b"), (), ("fd",))
    assert written == [
        replace(kept, count=2, tests=("t.py::test_a",)),
        Entry(fingerprint="fd:new.py:g", count=2, tests=("t.py::test_b",)),
    ]


def test_an_update_goes_through_all_entries():
    """Whatever comes before one: what is gone, what was not run, what has expired."""
    before = [
        entry("fd:gone.py:f"),
        entry("fd:elsewhere.py:f", tests=("u.py::test_c",)),
        entry("fd:late.py:f", expires=date(2026, 1, 1)),
    ]
    known = sieve(*before, entry(count=3), accepts_new=True)
    known.sift(leak(count=2))
    known.sift(leak(fingerprint="fd:late.py:f"))
    ran = Ran(collected=frozenset({"t.py::test_a"}), passed=frozenset({"t.py::test_a"}), roots=("t.py",))
    assert known.updated(ran, (), ("fd",)) == [*before[1:], entry(count=2)]


def test_an_update_after_a_part_of_the_tests_takes_nothing_away():
    """What was not run stays, with its count and its tests."""
    known = sieve(
        entry(count=3, tests=("t.py::test_a", "u.py::test_c")), entry("fd:b.py:g", tests=("u.py",)), accepts_new=True
    )
    known.sift(leak())
    ran = Ran(collected=frozenset({"t.py::test_a"}), passed=frozenset({"t.py::test_a"}), roots=("t.py",))
    one, other = known.updated(ran, (), ("fd",))
    assert (one.count, one.tests) == (3, ("t.py::test_a", "u.py::test_c"))
    assert other == entry("fd:b.py:g", tests=("u.py",))


def test_what_was_written_passes():
    """An update, then the same leaks in any order: all known, nothing gone, nothing seen less often."""
    leaks = [leak(f"t.py::test_{number % 7}[{number}]", f"fd:m{number % 5}.py:f", count=2) for number in range(40)]
    leaks.append(leak(verdict="growth", fingerprint="object:t.py::test_a:dict"))
    leaks.append(leak(point="acquire:a.py:f:open#1", fingerprint="fd:a.py:f@acquire"))
    writer = sieve(accepts_new=True)
    for one in leaks:
        writer.sift(one)
    tests = all_ran(*{one.test for one in leaks})
    entries = writer.updated(tests, (), ("fd",))
    assert {one.needs for one in entries} == {"", "repeat", "faults"}
    random.Random(3).shuffle(leaks)
    reader = sieve(*entries)
    assert {part.disposition for one in leaks for part in reader.sift(one)} == {"known"}
    assert reader.changes(tests, ("faults", "repeat"), ("fd", "object")) == ([], [])


@pytest.mark.parametrize(
    ("verdict", "point", "needs"),
    [
        ("leaked", "", ""),
        ("fault", "", ""),
        ("growth", "", "repeat"),
        ("unclosed", "", ""),
        ("growth", "acquire:a.py:f:open#1", "faults"),
        ("fault", "acquire:a.py:f:open#1", "faults"),
    ],
)
def test_an_entry_says_what_has_to_be_asked_for(verdict, point, needs):
    """Without that a run can't tell that it is gone."""
    writer = sieve(accepts_new=True)
    writer.sift(leak(verdict=verdict, point=point))
    (written,) = writer.updated(all_ran("t.py::test_a"), (), ("fd",))
    assert written.needs == needs


def test_many_tests_of_a_file_become_the_file():
    """Five are named, six are the file; a file that stands there takes its tests in."""
    five = {f"t.py::test_{number}" for number in range(5)}
    assert gathered(five) == tuple(sorted(five))
    assert gathered({*five, "t.py::test_5", "u.py::test_a"}) == ("t.py", "u.py::test_a")
    assert gathered({"t.py", "t.py::test_a", "v/", "v/w.py::test_a"}) == ("t.py", "v/", "v/w.py::test_a")


# -- fingerprints that stay the same


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("thread:python3.11/socketserver.py:f", "thread:python3.13/socketserver.py:f"),
        (
            "fd:t.py::test_a:/tmp/pytest-of-me/pytest-N/test_a_one_N/x",
            "fd:t.py::test_a:/tmp/pytest-of-you/pytest-N/test_a_two_N/x",
        ),
        ("temp:t.py::test_a:<basetemp>/test_a_one_N/x", "temp:t.py::test_a:<basetemp>/test_a_two_N/x"),
        ("temp:t.py::test_a:/tmp/tmpab_cd3fg/x", "temp:t.py::test_a:/tmp/tmpz9ycd3fg/x"),
    ],
)
def test_what_differs_from_machine_to_machine_is_left_out(one, other):
    """The version of Python, pytest's folders, random names."""
    assert steady(one) == steady(other)


def test_what_is_the_users_own_stays():
    """Names that only look alike are different leaks."""
    assert steady("fd:app/tmpfile_reader.py:f") == "fd:app/tmpfile_reader.py:f"
    assert steady("fd:mypython3.11/a.py:f") == "fd:mypython3.11/a.py:f"


def test_python_3_10_knows_methods_by_their_bare_names():
    """A baseline of a later Python holds there too; on a later one a bare name is another function."""
    assert bare("fd:app/pool.py:Pool.connect") == "fd:app/pool.py:connect"
    assert bare("state:t.py:T.test_a:cwd") == "state:t.py:test_a:cwd"
    assert bare("fd:t.py::test_a:data.csv") == "fd:t.py::test_a:data.csv"
    method = entry("fd:app/pool.py:Pool.connect")
    found = leak(fingerprint="fd:app/pool.py:connect")
    assert shown(sieve(method, has_bare_names=True).sift(found)) == [("known", 1)]
    assert shown(sieve(method).sift(found)) == [("fails", 1)]
    old = sieve(method, has_bare_names=True, accepts_new=True)
    old.sift(found)
    assert [one.fingerprint for one in old.updated(all_ran("t.py::test_a"), (), ("fd",))] == [method.fingerprint]
