"""What a finding tells besides the leak: what was held, which cleanups ran, what to do about it."""

from __future__ import annotations

import re

import pytest

MODULE = """
import asyncio
import contextlib
import os


def acquire(path):
    return os.open(path, os.O_RDONLY)


def second(path):
    first = os.open(path, os.O_RDONLY)  # second
    with contextlib.suppress(PermissionError):
        other = os.open(path, os.O_RDONLY)
        os.close(other)
    os.close(first)


class Half:
    def __init__(self, path):
        self.first = os.open(path, os.O_RDONLY)  # constructed
        self.second = os.open(path, os.O_RDONLY)

    def close(self):
        os.close(self.first)
        os.close(self.second)


def constructed(path):
    Half(path).close()


class Entered:
    def __init__(self, path):
        self.path = path

    def __enter__(self):
        self.first = os.open(self.path, os.O_RDONLY)  # entered
        self.second = os.open(self.path, os.O_RDONLY)

    def __exit__(self, *error):
        os.close(self.first)
        os.close(self.second)


def entered(path):
    with Entered(path):
        pass


class Slot:
    def __init__(self, path):
        self.fd = os.open(path, os.O_RDONLY)  # cleanup

    def close(self):
        os.close(self.fd)


def cleanup(path):
    slots = [Slot(path), Slot(path)]
    for slot in slots:
        slot.close()


@contextlib.contextmanager
def opened(path):
    fd = os.open(path, os.O_RDONLY)  # generator
    yield fd
    os.close(fd)


def generator(path):
    with opened(path) as fd:
        os.fstat(fd)


async def fetch(path):
    fd = os.open(path, os.O_RDONLY)  # cancelled
    await asyncio.sleep(0)
    try:
        await asyncio.sleep(0)
    finally:
        os.close(fd)


def cancelled(path):
    asyncio.run(fetch(path))


def narrow(path):
    fd = os.open(path, os.O_RDONLY)  # narrow
    try:
        acquire_nothing(path)
    except ValueError:
        os.close(fd)
        raise
    os.close(fd)


def acquire_nothing(path):
    return os.stat(path)


def unprotected(path):
    fd = os.open(path, os.O_RDONLY)  # unprotected
    acquire_nothing(path)
    os.close(fd)


def handled(path):
    fd = os.open(path, os.O_RDONLY)  # handled
    try:
        try:
            acquire_nothing(path)
        finally:
            acquire_nothing(path)
    except OSError:
        pass
    os.close(fd)
    raise_later(path)


def raise_later(path):
    kept = os.open(path, os.O_RDONLY)
    os.close(kept)
"""
TESTS = """
import pytest
from app import shapes


@pytest.mark.parametrize("name", ["second", "constructed", "entered", "generator", "narrow", "unprotected"])
@pytest.mark.no_leaks(faults="acquire,call,body")
def test_it(name):
    getattr(shapes, name)(__file__)


@pytest.mark.no_leaks(faults="release")
def test_cleanup():
    shapes.cleanup(__file__)


@pytest.mark.no_leaks(faults="cancel")
def test_cancelled():
    shapes.cancelled(__file__)


@pytest.mark.parametrize("name", ["narrow", "unprotected"])
@pytest.mark.no_leaks(faults="interrupt")
def test_interrupted(name):
    getattr(shapes, name)(__file__)
"""
REMEDIES = {
    "test_it[second]": ("second", "acquire each in a `with` of its own, or hand it to a contextlib.ExitStack"),
    "test_it[constructed]": ("constructed", "nobody has the object when `__init__` raises"),
    "test_it[entered]": ("entered", "`__exit__` does not run when `__enter__` raises: hold all in a contextlib.Exit"),
    "test_cleanup": ("cleanup", "let no failing release skip the next one"),
    "test_it[generator]": ("generator", "put the `yield` of opened into a `try` and release in its `finally`"),
    "test_cancelled": ("cancelled", "enter the `try` or `with` that releases it right after it is acquired: between"),
    "test_it[narrow]": ("narrow", "or in an `except BaseException:`; this error went past `except ValueError`"),
    "test_interrupted[narrow]": ("narrow", "this error went past `except ValueError`"),
    "test_it[unprotected]": ("unprotected", "into a `try` that releases it in its `finally`, or use it in a `with`"),
    "test_interrupted[unprotected]": ("unprotected", "enter the `try` or `with` that releases it right after"),
}


def marked(name: str) -> int:
    """The line of the module that says `# name`."""
    return next(number for number, line in enumerate(MODULE.splitlines(), 1) if line.endswith(f"# {name}"))


@pytest.fixture(scope="module")
def swept(run_tree, tmp_path_factory):
    """All shapes in one process, strict: what a failing release leaves is a failure too."""
    files = {"app/__init__.py": "", "app/shapes.py": MODULE, "test_shapes.py": TESTS, "conftest.py": ""}
    return run_tree(tmp_path_factory.mktemp("shapes"), files, "--leakguard-fault-strict")


def leak_of(swept, test: str, name: str):
    """The leak of the marked line."""
    (found,) = [
        finding
        for finding in swept.findings
        if finding["test"].endswith(f"::{test}") and finding["origin"]["line"] == marked(name)
    ]
    return found


@pytest.mark.parametrize("test", REMEDIES)
def test_each_shape_has_its_remedy(swept, test):
    """The text says what to change in code of that shape."""
    name, remedy = REMEDIES[test]
    assert remedy in leak_of(swept, test, name)["fix"]


def test_what_was_held_at_the_moment_is_told(swept):
    """With the line that it came from; what the test's own surroundings hold is not."""
    (line,) = leak_of(swept, "test_it[second]", "second")["held_then"]
    assert re.fullmatch(rf"fd \d+, regular file .*, from app/shapes.py:{marked('second')} in second", line)


def test_the_cleanups_that_ran_are_told(swept):
    """A `with` that the error went through ran, a handler for another error did not."""
    assert leak_of(swept, "test_it[second]", "second")["cleanups"] == [
        f"ran: with contextlib.suppress(PermissionError) (app/shapes.py:{marked('second') + 1})"
    ]
    (line,) = leak_of(swept, "test_it[narrow]", "narrow")["cleanups"]
    assert line == f"did not run: except ValueError (app/shapes.py:{marked('narrow') + 3})"
    assert leak_of(swept, "test_it[unprotected]", "unprotected")["cleanups"] == [
        "no with, except or finally of the code under test was around it"
    ]


def test_the_message_has_them_in_order(swept):
    """Below the fault, above the fix."""
    text = swept.text[swept.text.index("LEAK fd  test_shapes.py::test_it[narrow]") :]
    labels = [line.split()[0] for line in text.splitlines()[1:10]]
    assert labels == ["what", "acquired", "due", "fault", "then", "cleanup", "fix", "allow", "note"]


def test_a_sweep_by_hand_tells_the_same(alone, pytester):
    """`leak_faults.sweep` raises findings with what was held, the cleanups and the remedy."""
    pytester.mkpydir("app").joinpath("shapes.py").write_text(MODULE)
    pytester.makepyfile(
        """
        import pytest
        from app import shapes
        from pytest_leakguard import LeakError

        def test_it(leak_faults):
            with pytest.raises(LeakError) as caught:
                leak_faults.sweep(lambda: shapes.narrow(__file__), families="call")
            (finding,) = caught.value.findings
            (held,) = finding.held_then
            assert held.endswith("in narrow")
            assert finding.cleanups[0].startswith("did not run: except ValueError (app/shapes.py:")
            assert "went past `except ValueError`" in finding.fix
        """
    )
    alone(flag=()).result.assert_outcomes(passed=1)


def test_how_many_of_the_points_were_tried_is_told(alone, pytester):
    """Where a budget has left some out."""
    pytester.mkpydir("app").joinpath("shapes.py").write_text(MODULE)
    pytester.makepyfile(
        """
        import pytest
        from app import shapes

        @pytest.mark.no_leaks(faults="call")
        def test_it():
            shapes.handled(__file__)
        """
    )
    ran = alone("--leakguard-fault-budget=2", flag=())
    faults = ran.report["faults"]
    found = sum(faults["points"].values())
    assert faults["tried"] == 2 < found
    assert f"leakguard: faults: 2 of {found} points tried" in ran.text
    assert faults["skipped"] == {"beyond the budget": found - 2}
