"""The expression that chooses kinds."""

from __future__ import annotations

import pytest

from pytest_leakguard.core.kinds import BadKinds, choose

KNOWN = ("fd", "socket", "thread", "state")


@pytest.mark.parametrize(
    ("text", "chosen"),
    [
        ("default", {"fd", "socket", "thread"}),
        ("all", {"fd", "socket", "thread", "state"}),
        ("fd", {"fd"}),
        ("fd,thread", {"fd", "thread"}),
        ("fd  thread", {"fd", "thread"}),
        (" fd , thread ", {"fd", "thread"}),
        ("+state", {"fd", "socket", "thread", "state"}),
        ("-fd", {"socket", "thread"}),
        ("-fd +fd", {"fd", "socket", "thread"}),
        ("+fd -fd", {"socket", "thread"}),
        ("+all", {"fd", "socket", "thread", "state"}),
        ("fd +state", {"fd", "state"}),
        ("+state fd", {"fd", "state"}),
        ("all -fd", {"socket", "thread", "state"}),
        ("fd -thread", {"fd"}),
        ("fd default", {"fd", "socket", "thread"}),
        ("state +default", {"fd", "socket", "thread", "state"}),
    ],
)
def test_an_expression_names_kinds(text, chosen):
    """Plain words start from nothing, signs from the default set; later words win."""
    assert choose(text, KNOWN, "tox.ini") == chosen


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "tox.ini: no kind given.\nKnown: fd, socket, state, thread."),
        (" , ", "tox.ini: no kind given.\nKnown: fd, socket, state, thread."),
        ("-all", "tox.ini: '-all' leaves nothing to watch.\nKnown: fd, socket, state, thread."),
        ("fd -default", "tox.ini: '-default' leaves nothing to watch.\nKnown: fd, socket, state, thread."),
        ("fd -fd", "tox.ini: 'fd -fd' leaves nothing to watch.\nKnown: fd, socket, state, thread."),
        ("fd -all", "tox.ini: '-all' leaves nothing to watch.\nKnown: fd, socket, state, thread."),
        (
            "fd sokcet",
            "tox.ini: unknown kind 'sokcet'; did you mean 'socket'?\nKnown: fd, socket, state, thread.",
        ),
        ("+deflt", "tox.ini: unknown kind 'deflt'; did you mean 'default'?\nKnown: fd, socket, state, thread."),
        ("-al", "tox.ini: unknown kind 'al'; did you mean 'all'?\nKnown: fd, socket, state, thread."),
        ("-qqq", "tox.ini: unknown kind 'qqq'.\nKnown: fd, socket, state, thread."),
    ],
)
def test_what_names_no_kind_is_refused(text, message):
    """The message says where it stands, what is wrong, what was perhaps meant, and what is known."""
    with pytest.raises(BadKinds) as error:
        choose(text, KNOWN, "tox.ini")
    assert str(error.value) == message


def test_a_kind_may_begin_with_any_letter():
    """Only a plus or a minus is a sign."""
    assert choose("xattr", (*KNOWN, "xattr"), "x") == {"xattr"}
    assert choose("-xattr", ("fd", "xattr"), "x") == {"fd"}


def test_kinds_are_told_apart_from_one_another():
    """The answer can be kept: it is a frozen set."""
    assert isinstance(choose("fd", KNOWN, "x"), frozenset)
