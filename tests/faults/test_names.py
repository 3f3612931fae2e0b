"""What the name of a called function tells of it."""

from __future__ import annotations

import pytest

from pytest_leakguard.faults.names import BOOKKEEPING, BUILTINS_THAT_FAIL, PURE_BUILTINS, RELEASES, is_release, words


@pytest.mark.parametrize(
    "name",
    [
        "close",
        "_close",
        "_remove",
        "close_listener",
        "_close_listener",
        "aclose_pool",
        "stop_server",
        "_destroy",
        "__exit__",
    ],
)
def test_names_of_releases(name):
    """The verbs of the field, alone or with what is released, private or not."""
    assert is_release(name)


@pytest.mark.parametrize(
    "name", ["flush", "remove_duplicates", "join_words", "wait_for_ready", "closed_at", "put_item", "__close_x", "_"]
)
def test_names_of_others(name):
    """What only begins like one stays a point."""
    assert not is_release(name)


def test_a_name_of_the_list_is_one_whatever_it_begins_with():
    """Also those with two underscores; a verb alone is no prefix of a thing, a thing without a verb no release."""
    assert all(is_release(name) for name in RELEASES)
    assert is_release("__exit__")
    assert is_release("_quit")
    for name in ("__closed__", "__close", "__", "close_", "quit_all", "_listener_close", "kill_", "disposed"):
        assert is_release(name) is (name in RELEASES), name
    assert is_release("kill_all")


def test_lists_of_words_are_words():
    """Separated by blanks and ends of lines."""
    assert words("a b\n  c\n") == {"a", "b", "c"}
    assert {"append", "fault_point"} <= BOOKKEEPING


def test_built_in_functions_fail_or_are_pure():
    """What reads data or runs code may fail; types and exceptions do not."""
    assert {"open", "int", "exec"} <= BUILTINS_THAT_FAIL
    assert {"len", "range", "isinstance", "ValueError"} <= PURE_BUILTINS
    assert not BUILTINS_THAT_FAIL & PURE_BUILTINS
