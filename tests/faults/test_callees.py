"""What is called: what a callable is told to be, whether it can fail or releases something, the error it gives."""

from __future__ import annotations

import errno
import functools
import json
import os
import sqlite3
import struct
import types

import pytest

import pytest_leakguard
from pytest_leakguard.faults.callees import Callee, of_code, of_object
from pytest_leakguard.faults.errors import InjectedFault, fault_of
from pytest_leakguard.faults.source import qualname_of


def fresh(text: str) -> str:
    """An equal text that is another object."""
    return "".join(list(text))


# -- what can fail, what releases


@pytest.mark.parametrize(
    ("name", "module", "is_own", "can_fail", "is_release"),
    [
        ("work", "", True, True, False),
        ("work", "app", True, True, False),
        ("stat", "os", False, True, False),
        ("sleep", "time", False, False, False),
        ("sleep", "time", True, True, False),
        ("close", "app", True, False, True),
        ("close", "os", False, False, True),
        ("release", "threading", False, False, False),
        ("release", "threading", True, False, True),
        ("remove", "builtins", False, False, False),
        ("remove", "builtins", True, False, False),
        ("close", "pytest_leakguard", True, False, False),
        ("close", "pluggy", True, False, False),
        ("work", "_pytest", True, False, False),
        ("append", "app", True, False, False),
        ("<listcomp>", "app", True, False, False),
        ("__len__", "app", True, False, False),
        ("__init__", "app", True, True, False),
        ("__call__", "app", True, True, False),
        ("int", "builtins", False, True, False),
        ("decode", "builtins", False, True, False),
        ("encode", "builtins", False, True, False),
        ("len", "builtins", False, False, False),
        ("len", "builtins", True, False, False),
    ],
)
def test_what_can_fail_and_what_gives_something_back(name, module, is_own, can_fail, is_release):
    """An error of the project's code and of the system has to be borne; bookkeeping in memory does not fail."""
    callee = Callee(name, fresh(module), is_own)
    assert (callee.can_fail, callee.is_release) == (can_fail, is_release)


# -- the error


@pytest.mark.parametrize(
    ("name", "module", "kind", "text"),
    [
        ("stat", "os", OSError, os.strerror(errno.EIO)),
        ("open", "builtins", OSError, os.strerror(errno.EIO)),
        ("execute", "sqlite3", sqlite3.OperationalError, "disk I/O error"),
        ("execute", "_sqlite3", sqlite3.OperationalError, "disk I/O error"),
        ("unpack", "struct", struct.error, "bad data"),
        ("unpack", "_struct", struct.error, "bad data"),
        ("int", "builtins", ValueError, "bad data"),
        ("loads", "json", ValueError, "bad data"),
        ("reader", "csv", ValueError, "bad data"),
        ("reader", "_csv", ValueError, "bad data"),
        ("apply", "app", InjectedFault, "apply failed"),
        ("zip", "zoo", InjectedFault, "zip failed"),
    ],
)
def test_the_error_is_the_nearest_to_what_the_call_can_give(name, module, kind, text):
    """It tells how to repeat it, and is marked with its point."""
    error = Callee(fresh(name), fresh(module), True).error("call:a.py:f:x#1")
    assert type(error) is kind
    assert f"{text} (injected; repeat with --leakguard-fault=call:a.py:f:x#1)" in str(error)
    assert fault_of(error) == "call:a.py:f:x#1"
    assert getattr(error, "errno", None) == (errno.EIO if kind is OSError else None)


# -- what a callable is


class Session:
    """With one of each kind of method."""

    def __init__(self):
        pass

    def commit(self):
        pass

    @classmethod
    def make(cls):
        pass


class Bare:
    pass


class Later(Session):
    pass


class Made:
    def __new__(cls):
        return super().__new__(cls)


class OfMade(Made):
    pass


Session.__module__ = "shop.db"
Later.__module__ = "late.models"
Bare.__module__ = "bare.models"
Made.__module__ = "made.models"


def told(callee):
    """Name, qualified name, top module, whole module, whether it is no part of the standard library."""
    found = of_object(callee)
    return found and (found.name, found.qualname, found.module, found.full_module, found.is_own)


HERE = __name__


@pytest.mark.parametrize(
    ("callee", "expected"),
    [
        (fresh, ("fresh", "fresh", HERE, HERE, True)),
        (Session().commit, ("commit", "Session.commit", HERE, HERE, True)),
        (Session.commit, ("commit", "Session.commit", HERE, HERE, True)),
        (Session.make, ("make", "Session.make", HERE, HERE, True)),
        (json.loads, ("loads", "loads", "json", "json", False)),
        (len, ("len", "len", "builtins", "builtins", False)),
        (os.stat, ("stat", "stat", os.stat.__module__, os.stat.__module__, False)),
        ([].append, ("append", "list.append", "builtins", "builtins", False)),
        (dict.fromkeys, ("fromkeys", "dict.fromkeys", "builtins", "builtins", False)),
        (str.upper, ("upper", "str.upper", "builtins", "builtins", False)),
        (int.__add__, ("__add__", "int.__add__", "builtins", "builtins", False)),
        ((1).__add__, ("__add__", "int.__add__", "builtins", "builtins", False)),
        (dict.__dict__["fromkeys"], ("fromkeys", "dict.fromkeys", "builtins", "builtins", False)),
        (sqlite3.Connection.commit, ("commit", "Connection.commit", "sqlite3", "sqlite3", False)),
        (types.MethodType(len, []), ("len", "len", "builtins", "builtins", False)),
        (Session, ("Session", "Session", "shop", "shop.db", True)),
        (Later, ("Later", "Later", "shop", "shop.db", True)),
        (Bare, ("Bare", "Bare", "bare", "bare.models", True)),
        (Made, ("Made", "Made", "made", "made.models", True)),
        (OfMade, ("OfMade", "OfMade", "made", "made.models", True)),
        (ValueError, None),
        (functools.partial(len), None),
    ],
    ids=lambda value: getattr(value, "__qualname__", None) if callable(value) else "",
)
def test_what_a_callable_is(callee, expected):
    """A class is of the module that makes its instances; an error that is made is no operation."""
    assert told(callee) == expected


def raising(*names: str) -> dict[str, object]:
    """Attributes that run code when they are looked at."""

    def look(self):
        raise AssertionError("code of the user's runs")

    return {name: property(look) for name in names}


@pytest.mark.parametrize("name", ["Animal", "zoo"])
def test_an_object_that_can_be_called_is_not_looked_into(name):
    """Its attributes may run code of the user's."""
    attributes = raising("__func__", "__code__", "__self__", "__module__", "__objclass__")
    assert of_object(type(name, (), {**attributes, "__call__": lambda self: None})()) is None


def test_a_class_is_not_compared_either():
    """A metaclass may have operators of its own."""

    class Odd(type):
        def __eq__(cls, other):
            raise AssertionError("code of the user's runs")

        __ne__ = __eq__
        __hash__ = type.__hash__

    odd = Odd("odd", (Made,), {"__module__": "odd.models"})
    assert told(odd) == ("odd", "odd", "made", "made.models", True)


# -- what a function is, by the file of its code

OURS = os.path.join(os.path.dirname(pytest_leakguard.__file__), "made_up.py")


def code_in(filename: str) -> types.CodeType:
    return raising.__code__.replace(co_filename=filename)


@pytest.mark.parametrize(
    ("filename", "module", "top", "is_own"),
    [
        ("/proj/app/x.py", "app.x", "app", True),
        ("/env/lib/site-packages/dep/x.py", "dep.x", "dep", True),
        ("/env/lib/site-packages/pluggy/x.py", "pluggy.x", "pluggy", True),
        (json.__file__, "json", "json", False),
        (OURS, "app.x", "pytest_leakguard", True),
        (OURS, "pytest_leakguard.reference.thread", "pytest_leakguard.reference.thread", True),
        ("/proj/app/x.py", None, "", True),
    ],
)
def test_what_a_function_is(filename, module, top, is_own):
    """One of ours that stands for another is ours; a bundled manager is code like any that is installed."""
    callee = of_code(code_in(filename), module)
    assert (callee.module, callee.is_own, callee.name) == (top, is_own, "raising")
    whole = module if top != "pytest_leakguard" else top
    assert callee.full_module == (whole or "")
    assert callee.qualname == qualname_of(code_in(filename)) == "raising"


def test_the_qualified_name_is_the_given_one_or_that_of_the_code():
    """Or there is none."""
    code = code_in("/proj/app/x.py")
    names = [
        Callee("x", "app", True, given_qualname=given, code=of).qualname for given in ("", "A.x") for of in (None, code)
    ]
    assert names == ["", "raising", "A.x", "A.x"]
