"""Counts by type, run after run -> what grows every time."""

from __future__ import annotations

import pytest

from pytest_leakguard.core.growth import Growth, growing, in_words


@pytest.mark.parametrize(
    ("runs", "added"),
    [
        ((1, 2, 3, 4), (1, 1, 1)),
        ((0, 5, 6, 20), (5, 1, 14)),
        ((3, 4), (1,)),
        ((1, 1, 1, 1), None),  # a cache that fills once
        ((1, 2, 3, 3), None),  # one that is full after three
        ((1, 3, 2, 4), None),
        ((4, 3, 2, 1), None),
    ],
)
def test_only_what_every_run_adds_to_grows(runs, added):
    """The first run is the warm-up; one run without growth is enough to be left out."""
    expected = [] if added is None else [Growth(name="app.Session", added=added)]
    assert growing({"app.Session": runs}) == expected


def test_what_instances_are_made_of_is_not_told_beside_them():
    """Files, lists and dicts are told only where no other class grows; a plain list that grows is found too."""
    lists = {"builtins.list": (1, 2, 3), "_io.FileIO": (1, 1, 1)}
    files = {"builtins.list": (1, 2, 3), "_io.FileIO": (1, 2, 3)}
    assert [g.name for g in growing({"app.Session": (1, 2, 3), **files})] == ["app.Session"]
    assert [g.name for g in growing(files)] == ["_io.FileIO"]
    assert [g.name for g in growing({"app.Session": (1, 2, 3), **lists})] == ["app.Session"]
    assert [g.name for g in growing({"app.Session": (1, 1, 1), **lists})] == ["builtins.list"]
    assert [g.name for g in growing({"mypkg.Session": (1, 2, 3), **files})] == ["mypkg.Session"]
    assert [g.name for g in growing({"socket.socket": (1, 2, 3), **lists})] == ["socket.socket"]


def test_the_test_runner_is_left_out_and_what_was_told_too():
    """pytest's own objects are no finding; a class that was told as leaked is not told again, nor its containers."""
    assert growing({"_pytest.reports.TestReport": (1, 2, 3), "pytest_leakguard.x.Y": (1, 2, 3)}) == []
    counts = {"app.Session": (1, 2, 3), "app.Other": (1, 2, 3), "builtins.list": (1, 2, 3)}
    assert [g.name for g in growing(counts, ["app.Session"])] == ["app.Other"]
    assert growing({"builtins.list": (1, 2, 3)}, ["app.Session"]) == []
    assert growing({"_io.FileIO": (1, 2, 3)}, ["data/header.csv"]) == []


def test_in_words():
    """Type and counts per run; of many types the first few, those that grow least first."""
    assert in_words([Growth(name="app.S", added=(1, 2))]) == "app.S objects grow with every repetition: +1, +2"
    grown = growing({f"app.T{n}": (0, n, 2 * n) for n in range(7, 0, -1)})
    assert in_words(grown) == (
        "app.T1 objects grow with every repetition: +1, +1; with them app.T2 (+2, +2), app.T3 (+3, +3), "
        "app.T4 (+4, +4), app.T5 (+5, +5), 2 more types"
    )


@pytest.mark.parametrize(
    ("others", "end"),
    [
        (2, "; with them app.T02 (+1), app.T03 (+1)"),
        (4, "; with them app.T02 (+1), app.T03 (+1), app.T04 (+1), app.T05 (+1)"),
        (5, "; with them app.T02 (+1), app.T03 (+1), app.T04 (+1), app.T05 (+1), 1 more types"),
        (10, "; with them app.T02 (+1), app.T03 (+1), app.T04 (+1), app.T05 (+1), 6 more types"),
    ],
)
def test_of_many_types_the_first_few_are_named(others, end):
    """The rest is a number."""
    grown = [Growth(name=f"app.T{number:02}", added=(1,)) for number in range(1, others + 2)]
    assert in_words(grown) == f"app.T01 objects grow with every repetition: +1{end}"
