"""Each manager used once in full, with nothing of its own asserted: what a fault sweep runs over.

`--leakguard-faults` makes each operation of these fail in turn; here they are
put through `leak_check.releases`, and through one use under the check.
"""

from __future__ import annotations

import asyncio
import functools
import socket
import sqlite3
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

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
    StreamWriter,
    TemporaryResourceManager,
    WeakCache,
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


class Node:
    other = None


def make_factories(path, listener):
    """A name for each manager that is entered with `with`, and how to make a fresh one."""
    folder, database = path.parent, path.with_suffix(".db")
    connect = functools.partial(sqlite3.connect, database, check_same_thread=False)
    pool = functools.partial(ResourcePool, socket.socket, socket.socket.close)
    return {
        "ManagedFile": lambda: ManagedFile(path),
        "FileProcessor": lambda: FileProcessor(path, folder=folder),
        "open_all": lambda: open_all([path] * 3),
        "atomic_write": lambda: atomic_write(path),
        "MappedFile": lambda: MappedFile(folder / "map", 64),
        "NetworkClient": lambda: NetworkClient(*listener.getsockname()),
        "LoopbackServer": LoopbackServer,
        "DatabaseConnection": lambda: DatabaseConnection(database),
        "DatabasePool": lambda: DatabasePool(connect),
        "ResourcePool": pool,
        "MonitoredResourcePool": lambda: MonitoredResourcePool(socket.socket, socket.socket.close),
        "TemporaryResourceManager": lambda: TemporaryResourceManager("x-", folder),
        "SafeResource": lambda: SafeResource(socket.socket, socket.socket.close),
        "ResourceGroup": lambda: ResourceGroup(a=ManagedFile(path), b=SafeResource(socket.socket, socket.socket.close)),
        "StreamWriter": lambda: StreamWriter(open(path, "a")),
        "accumulate": lambda: accumulate(open(path)),
        "stream_metrics": lambda: stream_metrics(open(path)),
        "timer": timer,
        "timed_block": lambda: timed_block("x"),
        "ManagedProcess": lambda: ManagedProcess([sys.executable, "-c", "input()"], stdin=subprocess.PIPE),
        "WorkerThread": lambda: WorkerThread(lambda stop: stop.wait(30)),
        "managed_executor": lambda: managed_executor(ThreadPoolExecutor, max_workers=1),
        "held": lambda: held(threading.Lock(), 1),
        "breaks_cycle": lambda: breaks_cycle((Node(), "other")),
    }


@pytest.fixture(scope="module")
def listener():
    with socket.create_server(("127.0.0.1", 0)) as listener:
        yield listener


@pytest.mark.parametrize("name", sorted(make_factories(Path("x"), None)))
def test_releases(name, source, listener, leak_check):
    """After a normal exit and after an error in the body nothing is left."""
    leak_check.releases(make_factories(source, listener)[name])


def test_files(source, tmp_path):
    """Files, a map, temporary files."""
    with ManagedFile(source) as file:
        file.read()
    with FileProcessor(source, folder=tmp_path) as job:
        job.scratch(".txt").write(job.source.read())
        job.scratch(text=False)
    with open_all([source] * 3) as files:
        files[0].read()
    with atomic_write(source) as file:
        file.write("new")
    with MappedFile(tmp_path / "map", 64) as view:
        view[0] = 1
    with TemporaryResourceManager("x-", tmp_path) as temp:
        temp.file()
        temp.directory()


def test_network(listener):
    """A client of a listener, a server with one client."""
    with NetworkClient(*listener.getsockname()).connect() as connection:
        connection.sendall(b"x")
    with LoopbackServer() as server:
        with socket.create_connection(server.address, 5) as client:
            client.sendall(b"x")
            client.recv(1)


def test_databases(tmp_path):
    """A connection, a transaction, a pool used twice."""
    with DatabaseConnection(tmp_path / "db") as connection, transaction(connection):
        connection.execute("create table account (name)")
    with DatabasePool(functools.partial(sqlite3.connect, tmp_path / "db", check_same_thread=False)) as pool:
        with pool.transaction() as connection:
            connection.execute("insert into account values ('ann')")
        with pool.connection() as connection:
            connection.execute("select * from account").fetchall()


def test_pools():
    """Two at once, one again, one by hand; with check and reset."""
    with ResourcePool(socket.socket, socket.socket.close, max_size=2) as pool:
        with pool.checkout(), pool.checkout():
            pass
        pool.release(pool.acquire())
    with MonitoredResourcePool(
        socket.socket, socket.socket.close, max_size=2, check=lambda made: True, reset=lambda made: None
    ) as pool:
        for _ in range(2):
            with pool.checkout():
                pass


def test_groups_streams_and_others(source):
    """One of each."""
    with ResourceGroup(a=ManagedFile(source), b=ManagedFile(source)) as group:
        group["a"].read()
    with SafeResource(socket.socket, socket.socket.close):
        pass
    with open(source, "a") as file, StreamWriter(file) as out:
        out.write("x")
    with open(source) as file, accumulate(file) as stream:
        assert len(list(stream)) == 3
    with open(source) as file, stream_metrics(file) as stream:
        assert len(list(stream)) == 3
    with timer() as running:
        pass
    assert running.seconds >= 0
    with held(threading.Lock(), 1):
        pass
    node = Node()
    node.other = node
    with breaks_cycle((node, "other")):
        pass
    value = WeakCache(lambda key: Node()).get("x")
    assert value.other is None


def test_processes_and_threads():
    """A child with two pipes, a thread, an executor."""
    with ManagedProcess([sys.executable, "-c", "input()"], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as child:
        child.poll()
    with WorkerThread(lambda stop: stop.wait(30)):
        pass
    with managed_executor(ThreadPoolExecutor, max_workers=1) as executor:
        executor.submit(int).result()


class Line:
    """A socket with the methods of an async connection; each gives way to the loop once."""

    def __init__(self):
        self.socket = socket.socket()

    async def close(self):
        try:
            await asyncio.sleep(0)
        finally:
            self.socket.close()

    async def execute(self, sql):
        await asyncio.sleep(0)

    async def commit(self):
        await asyncio.sleep(0)

    async def rollback(self):
        await asyncio.sleep(0)


async def open_line():
    line = Line()
    try:
        await asyncio.sleep(0)
    except BaseException:
        line.socket.close()
        raise
    return line


def test_async_ones():
    """A resource, many, a group, a pool with a transaction, a lock: each awaits something at every step."""

    async def main():
        async with AsyncResource(open_line, Line.close, timeout=5):
            await asyncio.sleep(0)
        async with open_connections([AsyncResource(open_line, Line.close) for _ in range(3)]):
            await asyncio.sleep(0)
        async with AsyncResourceGroup(
            a=AsyncResource(open_line, Line.close), b=AsyncResource(open_line, Line.close)
        ) as group:
            await group["a"].execute("x")
        async with AsyncDatabasePool(open_line, max_size=2) as pool:
            for _ in range(2):
                async with pool.connection() as line, async_transaction(line, "begin"):
                    await line.execute("x")
        async with async_held(asyncio.Lock(), 5):
            await asyncio.sleep(0)

    asyncio.run(main())
