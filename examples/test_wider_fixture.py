"""Module-scoped fixtures: their own leak, and a test that leaks from a shared pool."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TextIO

import pytest
from app.poller import Poller
from app.pool import Pool


@pytest.fixture(scope="module")
def unstopped_poller() -> Iterator[Poller]:
    """Leaky: nothing after the `yield`. The finding names this fixture, not its tests."""
    poller = Poller("leaky-fixture")
    poller.start()
    yield poller


@pytest.fixture(scope="module")
def poller() -> Iterator[Poller]:
    poller = Poller("clean-fixture")
    poller.start()
    yield poller
    poller.stop()


@pytest.mark.parametrize("reading", [3.5, 4.0])
def test_leaky_fixture(unstopped_poller: Poller, reading: float) -> None:
    """Two tests, one finding: the fixture owns the thread."""
    assert unstopped_poller.take(reading) > 0


@pytest.mark.parametrize("reading", [3.5, 4.0])
def test_clean_fixture(poller: Poller, reading: float) -> None:
    """The thread is alive after each test, and due only when the fixture ends."""
    assert poller.take(reading) > 0


@pytest.fixture(scope="module")
def pool(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pool]:
    path = tmp_path_factory.mktemp("pool") / "readings.csv"
    path.write_text("3.5\n", encoding="utf-8")
    pool = Pool(path)
    yield pool
    pool.close()


kept: list[TextIO] = []


def test_leaky_borrower(pool: Pool) -> None:
    """Never gives the file back. Known only when the pool is closed: this test's leak then."""
    source = pool.borrow()
    kept.append(source)
    assert source.readline() == "3.5\n"


def test_clean_borrower(pool: Pool) -> None:
    """Leaves a file open as well, but in the pool, which closes it: no leak."""
    source = pool.borrow()
    try:
        assert source.readline() == "3.5\n"
    finally:
        source.seek(0)
        pool.give_back(source)
