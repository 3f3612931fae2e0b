"""Operations of the user's own: how they are named, what they match, the errors that are made for them."""

from __future__ import annotations

import pytest

from pytest_leakguard.faults.callees import Callee
from pytest_leakguard.faults.errors import InjectedFault, fault_of, is_injected
from pytest_leakguard.faults.operations import BadOperation, Operation, error_of, spelled


@pytest.mark.parametrize("call", ["", "send", "shop:", ":send", ":", "shop:a b", "shop:a:b", "shop:a#1", "shop:a\n"])
def test_a_bad_operation_is_refused(call):
    """With what was given and what is allowed."""
    with pytest.raises(BadOperation, match=r"Allowed: MODULE:QUALNAME") as caught:
        Operation(call=call)
    assert repr(call) in str(caught.value)


@pytest.mark.parametrize("name", ["a#b", "a:b", "a b"])
def test_a_bad_name_is_refused(name):
    """It has to fit into the id of a point."""
    with pytest.raises(BadOperation, match=f"bad name '{name}'"):
        Operation(call="shop:send", name=name)


def test_an_operation_is_told_by_its_name_or_by_its_qualified_one():
    """The module is left out."""
    assert Operation(call="shop.db:Session.commit").what == "Session.commit"
    assert Operation(call="shop.db:Session.commit", name="db.commit").what == "db.commit"


@pytest.mark.parametrize(
    ("module", "qualname", "matches"),
    [
        ("shop.db", "Session.commit", True),
        ("shop.db", "Session.commits", False),
        ("shop.db", "Session.close", False),
        ("shop.db", "commit", False),
        ("shop", "Session.commit", False),
        ("shop.dc", "Session.commit", False),
        ("shop.da", "Session.commit", False),
    ],
)
def test_it_matches_that_very_function(module, qualname, matches):
    """By the whole name of its module and its qualified name."""
    callee = Callee("commit", "shop", True, full_module=module, given_qualname=qualname)
    assert Operation(call="shop.db:Session.commit").matches(callee) is matches


def test_the_error_is_made_of_a_message():
    """By a type or by a function; it tells how to repeat it."""
    error = error_of("commit", ConnectionError, "custom:a.py:f:commit#1")
    assert type(error) is ConnectionError
    assert str(error) == "commit failed (injected; repeat with --leakguard-fault=custom:a.py:f:commit#1)"
    assert fault_of(error) == "custom:a.py:f:commit#1"
    assert error_of("x", lambda text: KeyError(text, 1), "").args == ("x failed (injected)", 1)


@pytest.mark.parametrize("make", [None, UnicodeDecodeError, lambda text: text, lambda text: 1 / 0])
def test_an_error_that_cannot_be_made_is_a_plain_one(make):
    """Whatever the function does or gives."""
    error = error_of("commit", make, "")
    assert type(error) is InjectedFault
    assert str(error) == "commit failed (injected)"
    assert is_injected(error)


def test_a_name_is_spelled_without_what_has_a_meaning_in_an_id():
    """An empty one has a character all the same."""
    assert spelled("a b:c#d\te") == "a_b_c_d_e"
    assert spelled("") == "_"
