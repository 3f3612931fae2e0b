"""Fixtures over the reference managers, for tests of yours: `pytest -p pytest_leakguard.reference.fixtures`.

Each has function scope, and releases in its teardown whatever the test did.
"""

from __future__ import annotations

import functools
import sqlite3
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

import pytest

from pytest_leakguard.reference._unwind import Unwind
from pytest_leakguard.reference.database import DatabasePool
from pytest_leakguard.reference.network import LoopbackServer, NetworkClient
from pytest_leakguard.reference.pools import MonitoredResourcePool
from pytest_leakguard.reference.process import ManagedProcess
from pytest_leakguard.reference.temp import TemporaryResourceManager

if TYPE_CHECKING:
    from _typeshed import StrPath

T = TypeVar("T")


class MakePool(Protocol):
    """What the fixture `resource_pool` gives."""

    def __call__(
        self, factory: Callable[[], T], destroy: Callable[[T], object] | None = None, **options: Any
    ) -> MonitoredResourcePool[T]: ...


@pytest.fixture
def temp_resources(tmp_path: Path) -> Iterator[TemporaryResourceManager]:
    """Temporary files and folders below `tmp_path`: `temp_resources.file(".csv")`, `temp_resources.directory()`."""
    with TemporaryResourceManager("test-", tmp_path) as manager:
        yield manager


@pytest.fixture
def loopback_server() -> Iterator[LoopbackServer]:
    """A TCP server on the loopback interface that sends back what comes; `loopback_server.address`."""
    with LoopbackServer() as server:
        yield server


@pytest.fixture
def loopback_client(loopback_server: LoopbackServer) -> Iterator[NetworkClient]:
    """A client of `loopback_server`, not connected yet: `with loopback_client.connect() as connection`."""
    client = NetworkClient(*loopback_server.address)
    try:
        yield client
    finally:
        client.close()


@pytest.fixture
def db_pool(tmp_path: Path) -> Iterator[DatabasePool[sqlite3.Connection]]:
    """A pool of connections to an empty sqlite database: `with db_pool.transaction() as connection`."""
    connect = functools.partial(sqlite3.connect, tmp_path / "test.db", check_same_thread=False)
    with DatabasePool(connect, name="db_pool") as pool:
        yield pool


@pytest.fixture
def resource_pool() -> Iterator[MakePool]:
    """Makes pools that are closed after the test: `pool = resource_pool(factory, destroy, max_size=2)`."""
    with Unwind() as unwind:

        def make(
            factory: Callable[[], T], destroy: Callable[[T], object] | None = None, **options: Any
        ) -> MonitoredResourcePool[T]:
            pool = MonitoredResourcePool(factory, destroy, **{"name": "resource_pool", **options})
            unwind.register("closing a pool", pool.close)
            return pool

        yield make


@pytest.fixture
def managed_process() -> Iterator[Callable[..., ManagedProcess[Any]]]:
    """Starts child processes that are ended after the test: `child = managed_process([sys.executable, "-V"])`."""
    with Unwind() as unwind:

        def start(args: Sequence[StrPath], **options: Any) -> ManagedProcess[Any]:
            child: ManagedProcess[Any] = ManagedProcess(args, **options)
            unwind.register(f"ending process {child.name!r}", child.close)
            child.open()
            return child

        yield start
