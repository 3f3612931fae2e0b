"""The callbacks of atexit: all of them are seen, none is lost by looking, and what runs is known."""

from __future__ import annotations

import atexit
from functools import partial

import pytest

from pytest_leakguard.probes import exit_callbacks


class Caller:
    def __call__(self):
        pass

    def method(self):
        pass

    def __getattr__(self, name):
        raise LookupError(name)


CALLER = Caller()


@pytest.fixture
def registered():
    """Register, and take away again at the end."""
    given = []

    def register(callback):
        given.append(callback)
        return atexit.register(callback)

    yield register
    for callback in given:
        atexit.unregister(callback)


def test_looking_changes_nothing(registered):
    """One that is registered twice is seen twice, and stays so."""
    before = exit_callbacks.count()
    registered(CALLER.__call__)
    registered(test_looking_changes_nothing)
    registered(test_looking_changes_nothing)
    for _ in range(2):
        assert exit_callbacks.callbacks().count(test_looking_changes_nothing) == 2
        assert exit_callbacks.count() == before + 3


@pytest.mark.parametrize(
    ("callback", "code"),
    [
        (test_looking_changes_nothing, test_looking_changes_nothing.__code__),
        (partial(test_looking_changes_nothing, 1), test_looking_changes_nothing.__code__),
        (CALLER.method, Caller.method.__code__),
        (partial(CALLER.method), Caller.method.__code__),
        (CALLER, Caller.__call__.__code__),
        (print, None),
        ([].append, None),
    ],
    ids=["function", "partial", "method", "partial of a method", "object", "builtin", "method of a builtin"],
)
def test_what_runs(callback, code):
    """The code of the function behind it, whatever it is wrapped in; nothing of what is no Python."""
    assert exit_callbacks.code_of(callback) is code
