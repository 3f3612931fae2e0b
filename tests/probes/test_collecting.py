"""The unraisable hook of our own collections stands in no one's way afterwards."""

from __future__ import annotations

import sys
import weakref
from types import SimpleNamespace

import pytest

from pytest_leakguard.collecting import Collecting


@pytest.fixture
def collecting():
    return Collecting(SimpleNamespace(whose=None), None, lambda: None)


def unraisable():
    return SimpleNamespace(exc_value=KeyError("a"))


def test_one_that_is_put_back_late_still_leads_to_the_hook_that_was_there(collecting, monkeypatch):
    """A thread that notes the hook during a collection may put it back after it, and then we collect again."""
    told = []
    monkeypatch.setattr(sys, "unraisablehook", told.append)
    with collecting:
        noted = sys.unraisablehook
    sys.unraisablehook = noted
    with collecting:
        sys.unraisablehook(unraisable())
    assert sys.unraisablehook is noted
    assert len(told) == 1


def test_the_users_hook_is_not_kept(collecting, monkeypatch):
    class Hook:
        def __call__(self, unraisable):
            pass

    hook = Hook()
    monkeypatch.setattr(sys, "unraisablehook", hook)
    with collecting:
        pass
    monkeypatch.undo()
    gone = weakref.ref(hook)
    del hook
    assert gone() is None
