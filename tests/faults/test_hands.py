"""What a test itself holds when it fails is not blamed on the code under test; what that code lost still is."""

from __future__ import annotations

import pytest

MODULE = """
import os


def opened(path):
    return os.open(path, os.O_RDONLY)


def use(path):
    return os.stat(path)


def lost(path):
    fd = opened(path)
    use(path)
    return fd


class Two:
    def __init__(self, path, ends=False):
        self.path = path
        self.ends = ends
        self.fds = []
        for _ in range(0 if ends else 2):
            self.fds.append(opened(path))

    def more(self):
        self.fds += [opened(self.path), opened(self.path)]

    def close(self):
        os.close(self.fds[0])
        use(self.path)
        os.close(self.fds[1])

    def __enter__(self):
        return self

    def __exit__(self, kind, error, traceback):
        if self.ends:
            self.close()
            return
        for fd in self.fds if error is None else ():
            os.close(fd)


def give_up(two):
    try:
        use(two.path)
    except OSError:
        two.fds.clear()
        raise
"""
TESTS = """
import os
import unittest
import pytest
from app import code

HERE = __file__
pytestmark = pytest.mark.no_leaks(faults="call")


def test_in_hands():
    fd = code.opened(HERE)
    code.use(HERE)
    os.close(fd)


@pytest.fixture
def fd():
    fd = code.opened(HERE)
    code.use(HERE)
    yield fd
    os.close(fd)


def test_in_hands_of_a_fixture(fd):
    pass


def test_guarded():
    fd = code.opened(HERE)
    try:
        code.use(HERE)
    finally:
        os.close(fd)


def test_another_block_is_no_guard(tmp_path):
    fd = code.opened(HERE)
    with open(tmp_path / "x", "w"):
        code.use(HERE)
    os.close(fd)


class TestCase(unittest.TestCase):
    def setUp(self):
        self.fd = os.open(HERE, os.O_RDONLY)

    def tearDown(self):
        os.close(self.fd)

    @pytest.mark.no_leaks(faults="interrupt")
    def test_set_up_by_the_test(self):
        code.use(HERE)


def test_lost_by_the_code():
    os.close(code.lost(HERE))


def test_lost_when_released():
    two = code.Two(HERE)
    two.close()


def test_lost_at_the_end_of_its_block():
    with code.Two(HERE):
        code.use(HERE)


def test_lost_when_its_manager_ends():
    with code.Two(HERE, ends=True) as two:
        two.more()


def test_lost_though_the_test_guards_it():
    two = code.Two(HERE)
    try:
        code.give_up(two)
    finally:
        for fd in two.fds:
            os.close(fd)
"""


@pytest.fixture(scope="module")
def swept(run_tree, tmp_path_factory):
    """All in one process."""
    files = {"app/__init__.py": "", "app/code.py": MODULE, "test_hands.py": TESTS, "conftest.py": ""}
    return run_tree(tmp_path_factory.mktemp("hands"), files)


@pytest.mark.parametrize(
    ("name", "function"),
    [
        ("in_hands", "opened"),
        ("in_hands_of_a_fixture", "opened"),
        ("another_block_is_no_guard", "opened"),
        ("set_up_by_the_test", "TestCase.setUp"),
    ],
)
def test_what_a_test_would_release_below_the_failing_line_is_told(swept, name, function):
    """It fails nothing, and says why."""
    assert swept.of(f"::test_{name}") == []
    told = [one for one in swept.report["findings"] if one["test"].endswith(f"::test_{name}")]
    assert [one["disposition"] for one in told] == ["told"]
    assert told[0]["origin"]["function"].rpartition(".")[2] == function.rpartition(".")[2]
    assert "told only: the test had it in its hands by then" in swept.text


def test_a_test_that_guards_what_it_has_is_clean(swept):
    """Nothing is left, so nothing is told."""
    assert [one for one in swept.report["findings"] if one["test"].endswith("::test_guarded")] == []


@pytest.mark.parametrize(
    "name",
    [
        "lost_by_the_code",
        "lost_when_released",
        "lost_at_the_end_of_its_block",
        "lost_when_its_manager_ends",
        "lost_though_the_test_guards_it",
    ],
)
def test_what_the_code_under_test_loses_is_a_failure(swept, name):
    """It had it still, or was to release it, or the test does all that it can."""
    (finding,) = swept.of(f"::test_{name}")
    assert finding["kind"] == "fd"
