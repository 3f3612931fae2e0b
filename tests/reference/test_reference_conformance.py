"""Each manager through `leak_check.releases`: a normal exit, an error, an interrupt, a cancellation in the body.

Also used again, and with each acquisition and each release failing; the sweeps
of every operation are in test_reference_sweep.
"""

from __future__ import annotations

import asyncio
import functools
import socket
import sqlite3
import subprocess
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path

import pytest
from subjects import CHILD, Line, Node, open_line

from pytest_leakguard import reference
from pytest_leakguard.reference import (
    AsyncDatabasePool,
    AsyncResource,
    AsyncResourceGroup,
    DatabaseConnection,
    DatabasePool,
    FileProcessor,
    LoopbackServer,
    ManagedFile,
    ManagedProcess,
    MappedFile,
    MonitoredResourcePool,
    NetworkClient,
    ResourceGroup,
    ResourcePool,
    SafeResource,
    StreamAccumulator,
    StreamWriter,
    TemporaryResourceManager,
    WorkerThread,
    accumulate,
    async_held,
    async_transaction,
    atomic_write,
    breaks_cycle,
    held,
    managed_executor,
    open_all,
    open_connections,
    stream_metrics,
    timed_block,
    timer,
    transaction,
)

NO_MANAGERS = {"WeakCache", "secondary_errors"}


def make_factories(path, address):
    """A name for each manager, and for the blocks of the pools, and how to make a fresh one."""
    folder, database = path.parent, path.with_suffix(".db")
    connect = functools.partial(sqlite3.connect, database, check_same_thread=False)
    line = functools.partial(AsyncResource, open_line, Line.close)

    @contextmanager
    def in_transaction():
        with DatabaseConnection(database) as connection, transaction(connection) as same:
            yield same

    @contextmanager
    def checked_out(pool, name):
        with pool, getattr(pool, name)() as lent:
            yield lent

    @asynccontextmanager
    async def in_async_transaction():
        async with line() as connection, async_transaction(connection, "begin") as same:
            yield same

    @asynccontextmanager
    async def lent():
        async with AsyncDatabasePool(open_line) as pool, pool.connection() as connection:
            yield connection

    return {
        "AsyncDatabasePool": lambda: AsyncDatabasePool(open_line),
        "AsyncDatabasePool.connection": lent,
        "AsyncResource": line,
        "AsyncResourceGroup": lambda: AsyncResourceGroup(a=line(), b=line()),
        "DatabaseConnection": lambda: DatabaseConnection(database),
        "DatabasePool": lambda: DatabasePool(connect),
        "DatabasePool.connection": lambda: checked_out(DatabasePool(connect), "connection"),
        "DatabasePool.transaction": lambda: checked_out(DatabasePool(connect), "transaction"),
        "FileProcessor": lambda: FileProcessor(path, folder=folder),
        "LoopbackServer": LoopbackServer,
        "ManagedFile": lambda: ManagedFile(path),
        "ManagedProcess": lambda: ManagedProcess(CHILD, stdin=subprocess.PIPE),
        "MappedFile": lambda: MappedFile(folder / "map", 64),
        "MonitoredResourcePool": lambda: MonitoredResourcePool(socket.socket, socket.socket.close),
        "NetworkClient": lambda: NetworkClient(*address),
        "ResourceGroup": lambda: ResourceGroup(a=ManagedFile(path), b=SafeResource(socket.socket, socket.socket.close)),
        "ResourcePool": lambda: ResourcePool(socket.socket, socket.socket.close),
        "ResourcePool.checkout": lambda: checked_out(ResourcePool(socket.socket, socket.socket.close), "checkout"),
        "SafeResource": lambda: SafeResource(socket.socket, socket.socket.close),
        "StreamAccumulator": lambda: StreamAccumulator(open(path)),
        "StreamWriter": lambda: StreamWriter(open(path, "a")),
        "TemporaryResourceManager": lambda: TemporaryResourceManager("x-", folder),
        "WorkerThread": lambda: WorkerThread(lambda stop: stop.wait(30)),
        "accumulate": lambda: accumulate(open(path)),
        "async_held": lambda: async_held(asyncio.Lock(), 1),
        "async_transaction": in_async_transaction,
        "atomic_write": lambda: atomic_write(path),
        "breaks_cycle": lambda: breaks_cycle((Node(), "other")),
        "held": lambda: held(threading.Lock(), 1),
        "managed_executor": lambda: managed_executor(ThreadPoolExecutor, max_workers=1),
        "open_all": lambda: open_all([path] * 3),
        "open_connections": lambda: open_connections([line() for _ in range(3)]),
        "stream_metrics": lambda: stream_metrics(open(path)),
        "timed_block": lambda: timed_block("x"),
        "timer": timer,
        "transaction": in_transaction,
    }


NAMES = sorted(make_factories(Path("x"), ("127.0.0.1", 1)))


@pytest.fixture(scope="module")
def address():
    with socket.create_server(("127.0.0.1", 0)) as listener:
        yield listener.getsockname()


def test_none_is_left_out():
    """Each public name that is a context manager."""
    assert {name.partition(".")[0] for name in NAMES} == set(reference.__all__) - NO_MANAGERS


@pytest.mark.parametrize("name", NAMES)
def test_releases(name, source, address, leak_check):
    """After a normal exit and after each error in the body nothing is left."""
    leak_check.releases(make_factories(source, address)[name])
