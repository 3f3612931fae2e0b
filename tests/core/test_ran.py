"""What a run covered: a leak may be called gone only where its tests ran, all of them, and well."""

from __future__ import annotations

import pytest

from pytest_leakguard.core.model import Finding, Origin, Owner
from pytest_leakguard.core.ran import Ran, place_of

A, A1, A2, B, C = "t/x.py::test_a", "t/x.py::test_p[1]", "t/x.py::test_p[2]", "t/x.py::T::test_b", "t/y.py::test_c"
ALL = frozenset({A, A1, A2, B, C})


def ran(*, collected=ALL, deselected=(), passed=None, skipped=(), roots=("",), has_gaps=False, missing=()) -> Ran:
    passed = collected if passed is None else passed
    return Ran(
        collected=frozenset(collected), deselected=frozenset(deselected), passed=frozenset(passed),
        skipped=frozenset(skipped), roots=roots, has_gaps=has_gaps, exists=lambda path: path not in missing,
    )  # fmt: skip


WHOLE = ran()
CASES = {
    "whole": (WHOLE, {"./": True, "t/": True, "t/x.py": True, "t/x.py::test_a": True, "t/x.py::T": True}),
    "a test that was renamed": (WHOLE, {"t/x.py::test_gone": True, "t/x.py::T::test_gone": True}),
    "a file that is there and gave no test": (WHOLE, {"t/z.py::test_a": False, "t/z.py": False}),
    "a file that is gone": (ran(missing=("t/z.py", "u/")), {"t/z.py::test_a": True, "t/z.py": True, "u/": True}),
    "-k": (
        ran(collected=[A], deselected=ALL - {A}),
        {A: True, "t/x.py::test_p": False, "t/x.py": False, "t/": False, "./": False, "t/x.py::test_gone": False},
    ),
    "one of the parameters": (ran(collected=ALL - {A2}, deselected=[A2]), {"t/x.py::test_p": False, A: True}),
    "-x": (ran(passed=[A]), {A: True, "t/x.py::test_p": False, "t/x.py": False, "t/": False}),
    "a failed test": (ran(passed=ALL - {A}), {A: False, "t/x.py": False, "t/y.py": True, "t/x.py::test_p": True}),
    "a skipped test": (
        ran(passed=ALL - {A}, skipped=[A]),
        {A: False, "t/x.py": True, "t/": True, "./": True, "t/x.py::T": True},
    ),
    "a test that passed once and was skipped once": (ran(skipped=[A]), {A: True, "t/x.py": True, "t/": True}),
    "a failed test of a later file": (ran(passed=ALL - {C}), {"t/x.py": True, "t/y.py": False}),
    "a folder of an odd name that is gone": (ran(passed=ALL - {C}, missing=("(a)/",)), {"(a)/": True, "./": False}),
    "one file and all tests of another by their ids": (
        ran(roots=("t/x.py",)),
        {"t/x.py": True, C: True, "t/y.py": False, "t/y.py::test_gone": False},
    ),
    "all skipped": (ran(passed=[], skipped=ALL), {A: False, "t/x.py": False, "./": False}),
    "one file": (
        ran(collected=ALL - {C}, roots=("t/x.py",)),
        {"t/x.py": True, "t/x.py::test_gone": True, "t/y.py": False, C: False, "t/": False, "./": False},
    ),
    "one folder": (ran(roots=("t",)), {"t/": True, "t/x.py": True, "./": False}),
    "a folder of a similar name": (ran(roots=("t",)), {"tt/": False}),
    "one test by its id": (
        ran(collected=[A], roots=()),
        {A: True, "t/x.py": False, "t/x.py::test_p": False, "t/x.py::test_gone": False},
    ),
    "errors of the collection, --ignore, --lf": (
        ran(has_gaps=True),
        {A: True, "t/x.py": False, "t/": False, "./": False, "t/x.py::test_gone": False},
    ),
    "a group of xdist": (ran(collected=[A + "@g"]), {A: True}),
    "nothing ran": (ran(collected=[]), {A: False, "t/x.py": False, "./": False}),
}


@pytest.mark.parametrize("name", CASES)
def test_only_what_ran_is_covered(name):
    """Each place, after each kind of run."""
    what, expected = CASES[name]
    assert {place: what.covers([place]) for place in expected} == expected


def test_without_further_notice_nothing_was_left_out_and_all_is_there():
    """A file of which nothing is known exists, and did not run."""
    plain = Ran(collected=ALL, passed=ALL, roots=("",))
    assert plain.covers(["t/x.py", "./"])
    assert not plain.covers(["t/z.py"])


def test_all_places_count():
    """A leak of two tests is gone when both ran."""
    assert not ran(passed=[A]).covers([A, C])
    assert ran(passed=[A, C]).covers([A, C])


TEST = "t/u/x.py::T::test_a[1-b]"


@pytest.mark.parametrize(
    ("kind", "scope", "name", "where", "place"),
    [
        ("test", "function", TEST, "", "t/u/x.py::T::test_a"),
        ("fixture", "class", "db", "t/u/x.py:3", "t/u/x.py::T"),
        ("fixture", "module", "db", "t/conftest.py:3", "t/u/x.py"),
        ("fixture", "package", "db", "t/conftest.py:3", "t/u/"),
        ("fixture", "session", "db", "t/conftest.py:3", "t/"),
        ("fixture", "session", "db", "conftest.py:3", "./"),
        ("fixture", "session", "db", "plugins/db.py:3", "./"),
        ("fixture", "session", "db", "/elsewhere/conftest.py:3", "./"),
        ("fixture", "session", "db", "t/a.py:3", "./"),
        ("fixture", "session", "db", "t/z.py:3", "./"),
        ("node", "package", "t/u", "t/u", "t/u/"),
        ("node", "class", "t/u/x.py::T", "t/u", "t/u/x.py::T"),
        ("node", "module", "t/u/x.py", "t/u", "t/u/x.py"),
        ("node", "session", "t", "t", "t"),
        ("stretch", "function", "between a and b", "", "./"),
    ],
)
def test_where_a_leak_has_to_be_looked_for(kind, scope, name, where, place):
    """A test without its parameters; for a wider owner all that may use it."""
    kind, scope = ("".join(list(text)) for text in (kind, scope))  # as from another process: equal, not the same
    owner = Owner(kind=kind, scope=scope, name=name, where=where)
    finding = Finding(
        kind="fd", verdict="leaked", test=TEST, phase="call", owner=owner, what="", subject="", origin=Origin(),
        due="", fix="", allow="", fingerprint="fd:a.py:f",
    )  # fmt: skip
    assert place_of(finding) == place
