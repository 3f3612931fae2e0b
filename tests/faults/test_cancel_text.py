"""The result of `cancel_each` as text."""

from __future__ import annotations

from dataclasses import replace

from pytest_leakguard.faults.cancel_text import text_of
from pytest_leakguard.faults.model import FaultFinding, FaultPoint, SweepResult, Trial

POINT = FaultPoint(family="cancel", path="app/pool.py", qualname="Pool.get", what="Future", occurrence=2, line=42)
LEAK = FaultFinding(
    fault="leak", point=POINT, mode="transient", what="fd 3 was left", error="CancelledError at app/pool.py:42",
    stack=("app/pool.py:42 in Pool.get", "app/main.py:7 in main"), details=("app/pool.py:9 in serve",), fix="close it",
)  # fmt: skip


def test_nothing_found_is_the_totals_alone():
    """How much was tried."""
    reached = Trial(point=POINT, mode="transient", outcome="raised")
    assert text_of(SweepResult(points=(POINT,), trials=(reached, reached))) == "1 points, 2 trials, 0 failures"


def test_a_point_that_did_not_come_again_is_counted():
    """Beside the totals: such a trial proves nothing."""
    outcomes = ("not reached", "raised", "raised", "hung", "hung")
    trials = tuple(Trial(point=POINT, mode="transient", outcome=outcome) for outcome in outcomes)
    assert text_of(SweepResult(points=(POINT,), trials=trials)).endswith("5 trials, 0 failures, 1 not reached again")


def test_a_failure_is_told_in_labelled_lines():
    """A label stands before the first line of a block only; a count where there are several."""
    result = SweepResult(points=(POINT,), findings=(replace(LEAK, count=3),))
    assert text_of(result) == (
        "LEAK  app/pool.py:42 in Pool.get, cancelled at Future\n"
        "  what      fd 3 was left (3 times)\n"
        "  fault     CancelledError at app/pool.py:42\n"
        "  awaits    app/pool.py:42 in Pool.get\n"
        "            app/main.py:7 in main\n"
        "  waits     app/pool.py:9 in serve\n"
        "  fix       close it\n"
        "  point     cancel:app/pool.py:Pool.get:Future#2\n"
        "\n"
        "1 points, 0 trials, 1 failures"
    )


def test_what_is_not_known_has_no_line():
    """A timeout is told as one; without stack, details and fix there are no lines for them."""
    bare = replace(LEAK, point=replace(POINT, family="".join(["time", "out"])), stack=(), details=(), fix="", count=1)
    assert text_of(SweepResult(findings=(bare,))).splitlines()[:5] == [
        "LEAK  app/pool.py:42 in Pool.get, timed out at Future",
        "  what      fd 3 was left",
        "  fault     CancelledError at app/pool.py:42",
        "  point     timeout:app/pool.py:Pool.get:Future#2",
        "",
    ]


def test_what_is_only_told_has_one_line_and_is_no_failure():
    """After the failures, before the totals."""
    told = replace(LEAK, told=True, count=2)
    assert text_of(SweepResult(findings=(told,))) == (
        "told: cancel:app/pool.py:Pool.get:Future#2: fd 3 was left (2 times)\n0 points, 0 trials, 0 failures"
    )
