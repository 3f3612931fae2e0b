"""Lines of leakguard_track."""

from __future__ import annotations

import pytest

from pytest_leakguard.core.demands import BadDemand, parse_demand


@pytest.mark.parametrize(
    ("line", "pattern", "methods"),
    [
        ("app.db.Session", "app.db.Session", ()),
        ("  app.db.Connection :  close | abort ", "app.db.Connection", ("close", "abort")),
        ("app.db.*", "app.db.*", ()),
        ("app.[ab]?.Session*: close", "app.[ab]?.Session*", ("close",)),
        ("_io.TextIOWrapper: close", "_io.TextIOWrapper", ("close",)),
    ],
)
def test_a_good_line(line, pattern, methods):
    """Class, and methods behind a colon; blanks around them don't matter; its text reads back as the same."""
    demand = parse_demand(line, "here")
    assert (demand.pattern, demand.methods, demand.source) == (pattern, methods, "here")
    assert parse_demand(demand.text, "here") == demand


@pytest.mark.parametrize("line", ["", "Session", ".Session", "app.", "1app.X", "app.X: ", "app.X: a b", "app.X: a|", 3])
def test_a_bad_line(line):
    """Told with its source and with what is allowed."""
    with pytest.raises(BadDemand, match=r"^here: bad (class|method) .*Allowed: .*MODULE\.CLASS: METHOD\|METHOD"):
        parse_demand(line, "here")


@pytest.mark.parametrize(
    ("pattern", "module", "may"),
    [
        ("app.db.Session", "app.db", True),
        ("app.db.Outer.Inner", "app.db", True),
        ("app.db.Session", "app", True),
        ("app.db.Session", "app.d", False),
        ("app.db.Session", "app.db.Session.more", False),
        ("app.db.*", "app.db", True),
        ("app.db.*", "app.db.sub", True),
        ("app.db.*", "app.dbase", False),
        ("app.*.Session", "app.db", True),
        ("app.*.Session", "apple", False),
    ],
)
def test_which_modules_are_looked_into(pattern, module, may):
    """A plain name: its module and the packages above; a glob: all that begins like it."""
    assert parse_demand(pattern, "").may_be_in(module) is may


def test_matching():
    """As in allow rules: a star stands for dots too, and case matters."""
    demand = parse_demand("app.*.Session", "")
    assert demand.matches("app.db.sub.Session")
    assert not demand.matches("app.db.session")
