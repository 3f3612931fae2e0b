"""Each manager used once in full, with nothing of its own asserted: what a fault sweep runs over.

`make_subjects` has one for every public name of the package. Each is called
again and again, with one operation inside the manager failing each time; what
it leaves must be gone when it returns or raises.
"""

from __future__ import annotations

import asyncio
import functools
import socket
import sqlite3
import subprocess
import sys
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

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

CHILD = [sys.executable, "-S", "-c", "input()"]


class Node:
    other = None


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


def handed_over(make, *args):
    """What takes over a file that is open; if it does not come to that, the file is ours to close."""
    try:
        return make(*args)
    except BaseException:
        args[0].close()
        raise


async def open_line():
    line = Line()
    try:
        await asyncio.sleep(0)
    except BaseException:
        line.socket.close()
        raise
    return line


def make_subjects(folder: Path, address: tuple[str, int]) -> dict[str, Callable[[], object]]:
    """A name for each manager, and a use of it.

    Args:
        folder: where files are made; whatever is made there must be gone but for `source`, `map` and `database`.
        address: host and port of something that listens.
    """
    source, database = folder / "source", folder / "database"
    source.write_text("3.5\n4.5\n", "utf-8")
    (folder / "map").write_bytes(b"x" * 64)
    database.touch()
    connect = functools.partial(sqlite3.connect, database, check_same_thread=False)
    line = functools.partial(AsyncResource, open_line, Line.close)

    def managed_file():
        with ManagedFile(source) as file:
            file.read()
        by_hand = ManagedFile(source, "rb")
        try:
            by_hand.open().read()
        finally:
            by_hand.close()

    def file_processor():
        with FileProcessor(source, folder=folder) as job:
            job.scratch(".txt").write(job.source.read())
            job.scratch(text=False).write(b"x")

    def open_three():
        with open_all([source] * 3) as files:
            files[0].read()

    def write_atomically():
        with atomic_write(source) as file:
            file.write("3.5\n4.5\n")

    def mapped_file():
        with MappedFile(folder / "map") as view:
            view[0] = 1
        made = MappedFile(folder / "made", 64)
        made.open()[0] = 1
        try:
            made.close()
        finally:
            made.path.unlink()

    def network_client():
        client = NetworkClient(*address)
        with client.connect() as connection:
            connection.sendall(b"x")
        try:
            client.open().sendall(b"x")
        finally:
            client.close()

    def loopback_server():
        with LoopbackServer() as server, socket.create_connection(server.address, 2) as client:
            client.sendall(b"x")
            client.recv(1)

    def database_connection():
        with DatabaseConnection(database) as connection:
            connection.execute("select 1").fetchall()

    def in_transaction():
        connection = sqlite3.connect(database, isolation_level=None)
        try:
            with transaction(connection, "begin") as same:
                same.execute("select 1").fetchall()
        finally:
            connection.close()

    def database_pool():
        with DatabasePool(connect, timeout=1) as pool:
            with pool.transaction() as connection:
                connection.execute("select 1").fetchall()
            with pool.connection() as connection:
                connection.execute("select 1").fetchall()

    def use_pool(make):
        with make(
            socket.socket, socket.socket.close, max_size=2, check=lambda made: True, reset=lambda made: None
        ) as pool:
            with pool.checkout(), pool.checkout():
                pass
            pool.release(pool.acquire())
            pool.discard(pool.acquire())
            with pool.checkout():
                pass

    async def async_database_pool():
        async with AsyncDatabasePool(open_line, max_size=2) as pool:
            for _ in range(2):
                async with pool.connection() as connection:
                    await connection.execute("x")
            await pool.discard(await pool.acquire())

    async def in_async_transaction():
        connection = Line()
        try:
            async with async_transaction(connection, "begin"):
                await connection.execute("x")
        finally:
            connection.socket.close()

    async def async_resource():
        async with line(timeout=5):
            await asyncio.sleep(0)
        by_hand = line()
        try:
            await by_hand.open()
        finally:
            await by_hand.close()

    async def three_connections():
        async with open_connections([line() for _ in range(3)]):
            await asyncio.sleep(0)
        async with open_connections([line() for _ in range(3)], concurrently=False):
            await asyncio.sleep(0)

    async def async_resource_group():
        async with AsyncResourceGroup(a=line(), b=line()) as group:
            await group["a"].execute("x")

    async def async_lock():
        lock = asyncio.Lock()
        async with async_held(lock, 5):
            await asyncio.sleep(0)
        async with async_held(lock):
            await asyncio.sleep(0)

    def temporary():
        with TemporaryResourceManager("x-", folder) as temp:
            temp.file(".txt").write_text("x", "utf-8")
            (temp.directory() / "inner").touch()

    def safe_resource():
        with SafeResource(socket.socket, socket.socket.close):
            pass

    def resource_group():
        with ResourceGroup(a=ManagedFile(source), b=SafeResource(socket.socket, socket.socket.close)) as group:
            group["a"].read()

    def stream_writer():
        with handed_over(StreamWriter, open(source, "a", encoding="utf-8")) as out:
            out.write("")

    def stream_accumulator():
        with handed_over(StreamAccumulator, open(source, encoding="utf-8")) as stream:
            for _ in stream:
                pass

    def accumulated():
        with handed_over(accumulate, open(source, encoding="utf-8")) as stream:
            assert len(list(stream)) == 2

    def measured():
        with handed_over(stream_metrics, open(source, encoding="utf-8"), lambda metrics: None) as stream:
            assert len(list(stream)) == 2

    def timed():
        with timer(lambda timing: None) as running:
            pass
        assert running.seconds >= 0

    def timed_and_logged():
        with timed_block("x"):
            pass

    def managed_process():
        with ManagedProcess(CHILD, stdin=subprocess.PIPE, stdout=subprocess.PIPE, ready=lambda child: child.poll()):
            pass

    def worker_thread():
        with WorkerThread(lambda stop: stop.wait(30)):
            pass

    def executor():
        with managed_executor(ThreadPoolExecutor, max_workers=1) as executor:
            executor.submit(int).result()

    def lock():
        lock = threading.Lock()
        with held(lock, 1):
            pass
        with held(lock):
            pass

    def weak_cache():
        cache = WeakCache(lambda key: Node(), lambda key: None)
        value = cache.get("x")
        assert cache.get("x") is value
        del value
        assert "x" not in cache

    def cycle():
        node = Node()
        node.other = node
        with breaks_cycle((node, "other")):
            pass

    def run(main):
        return lambda: asyncio.run(main())

    return {
        "AsyncDatabasePool": run(async_database_pool),
        "AsyncResource": run(async_resource),
        "AsyncResourceGroup": run(async_resource_group),
        "DatabaseConnection": database_connection,
        "DatabasePool": database_pool,
        "FileProcessor": file_processor,
        "LoopbackServer": loopback_server,
        "ManagedFile": managed_file,
        "ManagedProcess": managed_process,
        "MappedFile": mapped_file,
        "MonitoredResourcePool": lambda: use_pool(MonitoredResourcePool),
        "NetworkClient": network_client,
        "ResourceGroup": resource_group,
        "ResourcePool": lambda: use_pool(ResourcePool),
        "SafeResource": safe_resource,
        "StreamAccumulator": stream_accumulator,
        "StreamWriter": stream_writer,
        "TemporaryResourceManager": temporary,
        "WeakCache": weak_cache,
        "WorkerThread": worker_thread,
        "accumulate": accumulated,
        "async_held": run(async_lock),
        "async_transaction": run(in_async_transaction),
        "atomic_write": write_atomically,
        "breaks_cycle": cycle,
        "held": lock,
        "managed_executor": executor,
        "open_all": open_three,
        "open_connections": run(three_connections),
        "stream_metrics": measured,
        "timed_block": timed_and_logged,
        "timer": timed,
        "transaction": in_transaction,
    }
