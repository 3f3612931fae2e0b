"""What the process held over a session: never more rows than a chart can show, and none of the peaks lost."""

from __future__ import annotations

from pytest_leakguard.core.timeline import COLUMNS, MOST_MARKS, MOST_ROWS, SHORTEST_SECONDS, Row, Timeline


def row(seconds: float, descriptors: int = 5) -> Row:
    return (seconds, 7 + int(seconds), descriptors, 1, 0, 4096)


def filled(descriptors: list[int]) -> Timeline:
    timeline = Timeline()
    for second, number in enumerate(descriptors):
        timeline.add(row(float(second), number))
    return timeline


def test_a_row_is_due_after_the_pause():
    """The first one at once, the next after the pause and not before."""
    timeline = Timeline()
    assert timeline.pause == SHORTEST_SECONDS
    assert timeline.is_due(0.0)
    for seconds in (2.0, 4.0, 8.0):
        timeline.add(row(seconds))
    timeline.pause = 0.5
    assert [timeline.is_due(seconds) for seconds in (8.0, 8.4375, 8.5, 16.25)] == [False, False, True, True]


def test_a_session_of_any_length_makes_a_chart_that_can_be_read():
    """At most 600 rows, 50 a second, and 2,000 marks."""
    assert (MOST_ROWS, MOST_MARKS, SHORTEST_SECONDS) == (600, 2000, 0.02)


def test_as_many_as_fit_are_kept_as_they_are():
    """Nothing is thinned out before there are too many."""
    timeline = filled([5] * MOST_ROWS)
    assert timeline.rows == [row(float(second)) for second in range(MOST_ROWS)]
    assert timeline.pause == SHORTEST_SECONDS


def test_one_too_many_halves_them_and_doubles_the_pause():
    """The first and the last stay, and of each two between them one."""
    timeline = filled([5] * (MOST_ROWS + 1))
    assert [one[0] for one in timeline.rows] == [0.0, *map(float, range(1, MOST_ROWS, 2)), float(MOST_ROWS)]
    assert timeline.pause == 2 * SHORTEST_SECONDS
    for second in range(MOST_ROWS + 1, 10 * MOST_ROWS):
        timeline.add(row(float(second)))
        assert len(timeline.rows) <= MOST_ROWS
    assert timeline.rows[0][0] == 0.0
    assert timeline.rows[-1][0] == 10.0 * MOST_ROWS - 1


def test_a_peak_is_not_lost():
    """Of two rows the one with more descriptors stays, whichever comes first, and in the order of time."""
    numbers = [5] * (MOST_ROWS + 1)
    numbers[3], numbers[10], numbers[-2] = 90, 80, 70
    timeline = filled(numbers)
    assert [(one[0], one[2]) for one in timeline.rows if one[2] > 5] == [(3.0, 90), (10.0, 80), (MOST_ROWS - 1.0, 70)]
    assert timeline.rows == sorted(timeline.rows)


def test_marks_beyond_the_most_are_counted():
    """They are told as a number."""
    timeline = Timeline()
    for number in range(MOST_MARKS + 3):
        timeline.mark(float(number), "t.py::test_a", 2)
    assert len(timeline.marks) == MOST_MARKS
    assert timeline.marks[-1] == (MOST_MARKS - 1.0, "t.py::test_a", 2)
    assert timeline.marks_left_out == 3


def test_as_data():
    """Times to a tenth of a millisecond, all else as it is, with the names of the columns."""
    timeline = Timeline()
    timeline.add((1.23456, 2, 14, 3, 1, 4096))
    timeline.mark(1.00046, "t.py::test_a", 2)
    assert timeline.data("gw1") == {
        "worker": "gw1",
        "columns": list(COLUMNS),
        "rows": [[1.2346, 2, 14, 3, 1, 4096]],
        "marks": [[1.0005, "t.py::test_a", 2]],
        "marks_left_out": 0,
    }
    assert COLUMNS == ("seconds", "tests", "descriptors", "threads", "children", "memory")
