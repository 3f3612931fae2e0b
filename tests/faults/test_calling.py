"""Calling something and going through what it gives, as a caller who gives everything back."""

from __future__ import annotations

import asyncio
import contextlib
import functools
import sys

import pytest

from pytest_leakguard.faults.calling import call
from pytest_leakguard.faults.managers import files_of, is_async_manager, is_manager, run_in_loop


class Told:
    """Notes what is done with it."""

    def __init__(self):
        self.steps = []

    def note(self, step):
        self.steps.append(step)


class Manager(Told):
    def __enter__(self):
        self.note("enter")

    def __exit__(self, *error):
        self.note(f"exit {len(error)}")

    def close(self):
        self.note("close")


class AsyncManager(Told):
    async def __aenter__(self):
        self.note("aenter")

    async def __aexit__(self, *error):
        self.note("aexit")


class Both(Manager, AsyncManager):
    """Sync only to say no, as in some libraries."""


class Closing(Told):
    def close(self):
        self.note("close")


class Half:
    def __enter__(self):
        pass

    async def __aenter__(self):
        pass


class OtherHalf:
    def __exit__(self, *error):
        pass

    async def __aexit__(self, *error):
        pass


class ByInstance:
    """Python asks the type."""

    def __init__(self):
        self.__enter__ = self.__exit__ = self.__aenter__ = self.__aexit__ = print


def test_what_goes_with_a_with():
    """Both methods, on the type."""
    values = [Manager(), AsyncManager(), Both(), Half(), OtherHalf(), ByInstance(), Manager]
    assert [is_manager(value) for value in values] == [True, False, True, False, False, False, False]
    assert [is_async_manager(value) for value in values] == [False, True, True, False, False, False, False]


@pytest.mark.parametrize(
    ("kind", "steps"),
    [
        (Manager, ["enter", "exit 3"]),
        (AsyncManager, ["aenter", "aexit"]),
        (Both, ["aenter", "aexit"]),
        (Closing, ["close"]),
        (Told, []),
    ],
)
def test_what_is_made_is_given_back(kind, steps):
    """Made by a call, given as it is, or come out of a coroutine."""
    made = []

    def make():
        made.append(kind())
        return made[-1]

    async def make_async():
        return make()

    call(make, ())
    call(make_async, ())
    if not callable(kind()):
        call(make(), ())
    assert [one.steps for one in made] == [steps] * 3


def test_arguments_are_handed_on():
    """In their order; and a class that is given out is not closed."""
    seen = []

    def take(*arguments):
        seen.append(arguments)
        return Closing

    call(take, (1, 2))
    call(take, [])
    assert seen == [(1, 2), ()]


def test_generators_are_run_to_their_end():
    """Of both kinds."""
    seen = []

    def plain():
        try:
            yield 1
            yield 2
            seen.append("end")
        finally:
            seen.append("final")

    async def later():
        for each in plain():
            await asyncio.sleep(0)
            yield each

    call(plain, ())
    call(later, ())
    assert seen == ["end", "final"] * 2


def test_errors_come_out():
    """Whatever is raised, wherever."""

    async def fails():
        raise LookupError

    with pytest.raises(LookupError):
        call(fails, ())
    with pytest.raises(ZeroDivisionError):
        call(lambda: 1 / 0, ())


# -- loops


def library():
    """The name of the library whose loop runs here."""
    try:
        return "asyncio" if asyncio.current_task() is not None else "none"
    except RuntimeError:  # no loop of asyncio's
        return "trio" if sys.modules["trio"].lowlevel.current_task() is not None else "none"


async def which():
    return library()


@pytest.mark.parametrize(("backend", "loop"), [("asyncio", "asyncio"), ("anyio", "asyncio"), ("trio", "trio")])
def test_a_loop_of_each_kind(backend, loop):
    """A fresh one; what the coroutine gives comes back."""
    if backend != "asyncio":
        pytest.importorskip(backend)
    assert run_in_loop(which, "".join(backend)) == loop
    seen = []

    async def note():
        seen.append(library())

    call(note, (), backend)
    assert seen == [loop]
    assert run_in_loop(which) == "asyncio"


def test_anyio_has_a_scope_of_its_own():
    """Its own runner started the loop, so that cancellation is level triggered."""
    anyio = pytest.importorskip("anyio")

    async def name():
        return anyio.get_current_task().name

    assert "name" in run_in_loop(name, "".join("anyio"))


def test_inside_of_a_loop_there_is_none_to_be_had():
    """It says what to do."""
    never = []

    async def inside():
        run_in_loop(lambda: never.append(1))

    with pytest.raises(RuntimeError, match="call it from a plain function, not from a coroutine"):
        asyncio.run(inside())
    assert never == []


# -- files


def function():
    yield


async def async_function():
    yield


@contextlib.contextmanager
def managed():
    yield


@contextlib.asynccontextmanager
async def async_managed():
    yield


def test_the_files_of_code():
    """Of functions, methods, classes, objects, and of generators behind contextlib's managers."""
    for value in (function, Told().note, Told, Told(), managed(), async_managed(), functools.wraps(function)(function)):
        assert files_of(value) == {__file__}
    assert files_of() == frozenset()
    names: dict[str, object] = {}
    exec(compile("def other(): pass", "/proj/app/x.py", "exec"), names)
    assert files_of(function, names["other"]) == {__file__, "/proj/app/x.py"}


def test_the_files_of_others_are_left_out():
    """The standard library's and the test runner's; what has no file has none."""
    assert files_of(contextlib.nullcontext(), contextlib.nullcontext, len, 3, pytest.raises) == frozenset()
    made = type("Made", (), {"__module__": "nowhere.to.be.found"})
    assert files_of(made, made()) == frozenset()
    assert files_of(made, function, asyncio.sleep) == {__file__}
