"""What a type checker infers for each manager's `as` target; read by test_reference_types, never run."""

from __future__ import annotations

import socket
import sqlite3
import subprocess
import threading
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from mmap import mmap
from typing import BinaryIO, TextIO

from typing_extensions import assert_type

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
from pytest_leakguard.reference.memory import KnownCycles


class Account:
    async def execute(self, sql: str, /) -> None: ...
    async def commit(self) -> None: ...
    async def rollback(self) -> None: ...


async def connect() -> Account:
    return Account()


async def close(account: Account) -> None: ...


def files() -> None:
    with ManagedFile("x") as text, ManagedFile("x", "rb") as binary:
        assert_type(text, TextIO)
        assert_type(binary, BinaryIO)
    with FileProcessor("x") as job:
        assert_type(job, FileProcessor)
        assert_type(job.scratch(), TextIO)
        assert_type(job.scratch(text=False), BinaryIO)
    with open_all(["x"]) as texts, open_all(["x"], "rb") as binaries:
        assert_type(texts, list[TextIO])
        assert_type(binaries, list[BinaryIO])
    with atomic_write("x") as text, atomic_write("x", "wb") as binary:
        assert_type(text, TextIO)
        assert_type(binary, BinaryIO)
    with MappedFile("x") as view:
        assert_type(view, mmap)
    with TemporaryResourceManager("x-") as temp:
        assert_type(temp, TemporaryResourceManager)


def network() -> None:
    with NetworkClient("localhost", 1).connect() as connection, NetworkClient("localhost", 1) as same:
        assert_type(connection, socket.socket)
        assert_type(same, socket.socket)
    with LoopbackServer() as server:
        assert_type(server, LoopbackServer)


def databases() -> None:
    with DatabaseConnection("x") as connection:
        assert_type(connection, sqlite3.Connection)
        with transaction(connection) as same:
            assert_type(same, sqlite3.Connection)
    with DatabaseConnection("x", connect=sqlite3.connect) as other:
        assert_type(other, sqlite3.Connection)
    with DatabasePool(lambda: sqlite3.connect("x")) as pool, pool.connection() as lent, pool.transaction() as begun:
        assert_type(lent, sqlite3.Connection)
        assert_type(begun, sqlite3.Connection)


def pools() -> None:
    with ResourcePool(socket.socket) as pool, pool.checkout() as lent:
        assert_type(lent, socket.socket)
        assert_type(pool.acquire(), socket.socket)
    with MonitoredResourcePool(socket.socket) as monitored:
        assert_type(monitored, MonitoredResourcePool[socket.socket])


async def asynchronous() -> None:
    async with AsyncResource(connect, close) as account:
        assert_type(account, Account)
    async with open_connections([AsyncResource(connect, close)]) as accounts:
        assert_type(accounts, list[Account])
    async with async_transaction(Account()) as same:
        assert_type(same, Account)
    async with AsyncDatabasePool(connect) as pool, pool.connection() as lent:
        assert_type(lent, Account)
    async with AsyncResourceGroup(a=AsyncResource(connect, close)) as group:
        assert_type(group, Mapping[str, Account])


def others() -> None:
    with SafeResource(socket.socket, socket.socket.close) as safe:
        assert_type(safe, socket.socket)
    with ResourceGroup(("a", ManagedFile("x")), b=ManagedFile("x")) as group:
        assert_type(group, Mapping[str, TextIO])
    with StreamWriter(socket.socket().makefile("w")) as stream:
        stream.write("x")
    with accumulate(["x"]) as text, StreamAccumulator([b"x"]) as binary:
        assert_type(text.content, str)
        assert_type(binary.content, bytes)
    with stream_metrics([b"x"]) as measured:
        for chunk in measured:
            assert_type(chunk, bytes)
    with timer() as running, timed_block("x") as block:
        assert_type(running, timer)
        assert_type(block, timer)
    with ManagedProcess(["x"]) as child, ManagedProcess(["x"], text=True) as spoken:
        assert_type(child, subprocess.Popen[bytes])
        assert_type(spoken, subprocess.Popen[str])
    with WorkerThread(threading.Event.wait) as worker:
        assert_type(worker, WorkerThread)
    with managed_executor(ThreadPoolExecutor, max_workers=1) as executor:
        assert_type(executor, ThreadPoolExecutor)
    with held(threading.Lock()), breaks_cycle() as cycles:
        assert_type(cycles, KnownCycles)
    assert_type(WeakCache[str, Account](lambda key: Account()).get("x"), Account)
