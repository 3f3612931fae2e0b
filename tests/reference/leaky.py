"""A leaky twin of each reference manager: the same thing as it is usually written, with the classic bug.

Lines that end in `# leaks` acquire what is lost. What a twin loses is kept
alive by `keep`, so that it is found as leaked and not as closed by the
collector; `release_kept` then ends it.
"""

from __future__ import annotations

import asyncio
import logging
import mmap
import os
import socket
import sqlite3
import subprocess
import threading
import time
import weakref
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import AbstractAsyncContextManager, AbstractContextManager, asynccontextmanager, contextmanager
from pathlib import Path
from typing import IO, Any

KEPT: list[tuple[Any, Callable[[Any], object]]] = []


def keep(resource: Any, end: Callable[[Any], object] = lambda resource: resource.close()) -> Any:
    KEPT.append((resource, end))
    return resource


def release_kept() -> None:
    while KEPT:
        resource, end = KEPT.pop()
        end(resource)


class LeakyManagedFile:
    """Closes only after a successful write."""

    def __init__(self, path: Path, mode: str = "r") -> None:
        self.path = path
        self.mode = mode

    def __enter__(self) -> IO[Any]:
        self.file = keep(open(self.path, self.mode))  # leaks
        return self.file

    def __exit__(self, kind: Any, error: Any, traceback: Any) -> None:
        if kind is None:
            self.file.close()


class LeakyFileProcessor:
    """An error of one unlink stops the rest of the cleanup."""

    def __init__(self, path: Path, *, folder: Path) -> None:
        self.path = path
        self.folder = folder
        self.scratches: list[IO[Any]] = []

    def __enter__(self) -> LeakyFileProcessor:
        self.source = keep(open(self.path))  # leaks
        return self

    def scratch(self, suffix: str = "") -> IO[Any]:
        self.scratches.append(open(self.folder / f"{len(self.scratches)}{suffix}", "x+"))
        return self.scratches[-1]

    def __exit__(self, kind: Any, error: Any, traceback: Any) -> None:
        for scratch in reversed(self.scratches):
            scratch.close()
            os.unlink(scratch.name)
        self.source.close()


@contextmanager
def leaky_open_all(paths: list[Path], mode: str = "r") -> Iterator[list[IO[Any]]]:
    """Opens in a list comprehension, outside of any stack."""
    files = [keep(open(path, mode)) for path in paths]  # leaks
    try:
        yield files
    finally:
        for file in reversed(files):
            file.close()


@contextmanager
def leaky_atomic_write(path: Path) -> Iterator[IO[Any]]:
    """Leaves its temporary file beside the target."""
    temporary = path.with_suffix(".tmp")
    with open(temporary, "w") as file:  # leaks
        yield file
    os.replace(temporary, path)


class LeakyNetworkClient:
    """A second connect overwrites the first socket."""

    def __init__(self, host: str, port: int, *, timeout: float = 10.0) -> None:
        self.address = (host, port)
        self.timeout = timeout

    def connect(self) -> LeakyNetworkClient:
        return self

    def __enter__(self) -> socket.socket:
        self.socket = keep(socket.create_connection(self.address, self.timeout))  # leaks
        return self.socket

    def __exit__(self, *_: object) -> None:
        self.socket.close()


class LeakyResourcePool:
    """Never uses again what came back."""

    def __init__(self, factory: Callable[[], Any], destroy: Callable[[Any], object], *, max_size: int = 8) -> None:
        self.factory = factory
        self.destroy = destroy
        self.lent = 0
        self.idle: list[Any] = []
        self.max_size = max_size

    @contextmanager
    def checkout(self) -> Iterator[Any]:
        if self.lent >= self.max_size:
            raise RuntimeError("exhausted")
        resource = self.factory()
        self.lent += 1
        try:
            yield resource
        finally:
            self.lent -= 1
            self.idle = [resource]  # the one before it is neither used again nor destroyed

    def close(self) -> None:
        for resource in self.idle:
            self.destroy(resource)


class LeakyMonitoredResourcePool(LeakyResourcePool):
    """A resource does not come back after an error."""

    @contextmanager
    def checkout(self) -> Iterator[Any]:
        if self.lent >= self.max_size:
            raise RuntimeError("exhausted")
        resource = self.idle.pop() if self.idle else self.factory()
        self.lent += 1
        yield resource
        self.lent -= 1
        self.idle.append(resource)


class LeakyAsyncResource:
    """Its release is itself cancelled half-way."""

    def __init__(
        self, acquire: Callable[[], Awaitable[Any]], release: Callable[[Any], Awaitable[object]], **_: object
    ) -> None:
        self.acquire = acquire
        self.release = release

    async def __aenter__(self) -> Any:
        self.resource = await self.acquire()
        return self.resource

    async def __aexit__(self, *_: object) -> None:
        await self.release(self.resource)


@asynccontextmanager
async def leaky_open_connections(managers: list[Any]) -> AsyncIterator[list[Any]]:
    """`gather` leaves the siblings running when one fails."""
    resources = await asyncio.gather(*(manager.__aenter__() for manager in managers))
    try:
        yield resources
    finally:
        for manager in reversed(managers):
            await manager.__aexit__(None, None, None)


class LeakyResourceGroup:
    """Stops at the first release that fails."""

    def __init__(self, **managers: AbstractContextManager[Any]) -> None:
        self.managers = managers

    def __enter__(self) -> dict[str, Any]:
        return {name: manager.__enter__() for name, manager in self.managers.items()}

    def __exit__(self, *details: Any) -> None:
        for manager in reversed(self.managers.values()):
            manager.__exit__(*details)


class LeakyAsyncResourceGroup:
    """Stops at the first release that fails, here of async ones."""

    def __init__(self, **managers: AbstractAsyncContextManager[Any]) -> None:
        self.managers = managers

    async def __aenter__(self) -> dict[str, Any]:
        return {name: await manager.__aenter__() for name, manager in self.managers.items()}

    async def __aexit__(self, *details: Any) -> None:
        for manager in reversed(self.managers.values()):
            await manager.__aexit__(*details)


class LeakyLoopbackServer:
    """Never closes the connections that it accepted."""

    def __enter__(self) -> LeakyLoopbackServer:
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.address = self.listener.getsockname()
        self.thread = threading.Thread(target=self.accept)
        self.thread.start()
        return self

    def accept(self) -> None:
        connection = keep(self.listener.accept()[0])  # leaks
        connection.sendall(connection.recv(1))

    def __exit__(self, *_: object) -> None:
        self.thread.join()
        self.listener.close()


class LeakyMappedFile:
    """The descriptor is left when `mmap` raises."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __enter__(self) -> mmap.mmap:
        self.file = keep(open(self.path, "rb+"))  # leaks
        self.map = mmap.mmap(self.file.fileno(), 0)
        return self.map

    def __exit__(self, *_: object) -> None:
        self.map.close()
        self.file.close()


class LeakyDatabaseConnection:
    """`__exit__` closes only when there was no exception."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __enter__(self) -> sqlite3.Connection:
        self.connection = keep(sqlite3.connect(self.path))  # leaks
        return self.connection

    def __exit__(self, kind: Any, *_: object) -> None:
        if kind is None:
            self.connection.close()


@contextmanager
def leaky_transaction(connection: Any, begin: str | None = None) -> Iterator[Any]:
    """`except Exception` misses an interrupt, and a cancellation."""
    try:
        if begin is not None:
            connection.execute(begin)
        yield connection
        connection.commit()
    except Exception:
        connection.rollback()
        raise


@asynccontextmanager
async def leaky_async_transaction(connection: Any) -> AsyncIterator[Any]:
    """`except Exception` misses a cancellation."""
    try:
        yield connection
        await connection.commit()
    except Exception:
        await connection.rollback()
        raise


class LeakyDatabasePool:
    """A creation that fails eats its place."""

    def __init__(self, connect: Callable[[], Any], *, max_size: int) -> None:
        self.connect = connect
        self.free = threading.Semaphore(max_size)

    @contextmanager
    def connection(self) -> Iterator[Any]:
        if not self.free.acquire(timeout=0.05):
            raise TimeoutError("exhausted")
        connection = self.connect()
        try:
            yield connection
        finally:
            connection.close()
            self.free.release()


class LeakyAsyncDatabasePool:
    """A place is lost when the task that was to get it is cancelled."""

    def __init__(self, connect: Callable[[], Awaitable[Any]], *, max_size: int) -> None:
        self.connect = connect
        self.free = max_size
        self.waiters: list[asyncio.Future[None]] = []

    @asynccontextmanager
    async def connection(self) -> AsyncIterator[Any]:
        if self.free:
            self.free -= 1
        else:
            self.waiters.append(asyncio.get_running_loop().create_future())
            await asyncio.wait({self.waiters[-1]})
        connection = await self.connect()
        try:
            yield connection
        finally:
            await connection.close()
            if self.waiters:
                self.waiters.pop(0).set_result(None)
            else:
                self.free += 1


class LeakyTemporaryResourceManager:
    """Errors of unlink are swallowed and forgotten."""

    def __init__(self, prefix: str, folder: Path) -> None:
        self.prefix = prefix
        self.folder = folder
        self.paths: list[Path] = []

    def __enter__(self) -> LeakyTemporaryResourceManager:
        return self

    def file(self, suffix: str = "") -> Path:
        path = self.folder / f"{self.prefix}{len(self.paths)}{suffix}"
        path.touch()
        self.paths.append(path)
        return path

    def close(self) -> None:
        for path in self.paths:
            try:
                path.unlink()
            except OSError:
                pass
        self.paths.clear()

    def __exit__(self, *_: object) -> None:
        self.close()


class LeakySafeResource:
    """An error of the release hides the body's."""

    def __init__(self, acquire: Callable[[], Any], release: Callable[[Any], object]) -> None:
        self.acquire = acquire
        self.release = release

    def __enter__(self) -> Any:
        self.resource = self.acquire()
        return self.resource

    def __exit__(self, *_: object) -> None:
        try:
            self.release(self.resource)
        except Exception as error:
            raise RuntimeError("release failed") from error


class LeakyStreamWriter:
    """Returns True for everything."""

    def __init__(self, stream: Any) -> None:
        self.stream = stream

    def __enter__(self) -> Any:
        return self.stream

    def __exit__(self, *_: object) -> bool:
        self.stream.close()
        return True


def leaky_accumulate(source: Any, into: list[Any]) -> Iterator[Any]:
    """A generator that is abandoned keeps its source open."""
    for chunk in source:
        into.append(chunk)
        yield chunk
    source.close()


class LeakyStreamAccumulator:
    """Closes its source only when it was read to the end."""

    def __init__(self, source: Any) -> None:
        self.source = source
        self.chunks: list[Any] = []

    def __enter__(self) -> LeakyStreamAccumulator:
        return self

    def __iter__(self) -> Iterator[Any]:
        for chunk in self.source:
            self.chunks.append(chunk)
            yield chunk
        self.source.close()

    def __exit__(self, *_: object) -> None:
        pass


@contextmanager
def leaky_stream_metrics(source: Any, report: Callable[[int], object]) -> Iterator[Iterator[Any]]:
    """The numbers are lost on an error."""
    count = 0

    def counted() -> Iterator[Any]:
        nonlocal count
        for chunk in source:
            count += 1
            yield chunk

    yield counted()
    report(count)


@contextmanager
def leaky_timer(report: Callable[[float], object]) -> Iterator[None]:
    """Nothing is reported on an error."""
    started = time.perf_counter()
    yield
    report(time.perf_counter() - started)


@contextmanager
def leaky_timed_block(name: str, logger: logging.Logger) -> Iterator[None]:
    """Nothing is logged on an error."""
    started = time.perf_counter()
    yield
    logger.info("%s took %.3f s", name, time.perf_counter() - started)


class LeakyManagedProcess:
    """The pipes are left open when the start-up check fails."""

    def __init__(self, args: list[str], *, ready: Callable[[Any], object]) -> None:
        self.args = args
        self.ready = ready

    def __enter__(self) -> subprocess.Popen[bytes]:
        self.process = subprocess.Popen(self.args, stdin=subprocess.PIPE, stdout=subprocess.PIPE)  # leaks
        KEPT.append((self.process, lambda process: process.communicate()))
        try:
            self.ready(self.process)
        except BaseException:
            self.process.kill()
            self.process.wait()
            raise
        return self.process

    def __exit__(self, *_: object) -> None:
        self.process.kill()
        self.process.communicate()


class LeakyWorkerThread:
    """The join is skipped when the body raised."""

    def __init__(self, target: Callable[[threading.Event], object]) -> None:
        self.stop = threading.Event()
        self.thread = threading.Thread(target=target, args=(self.stop,))

    def __enter__(self) -> LeakyWorkerThread:
        self.thread.start()  # leaks
        keep(self.thread, lambda thread: (self.stop.set(), thread.join()))
        return self

    def __exit__(self, kind: Any, *_: object) -> None:
        if kind is None:
            self.stop.set()
            self.thread.join()


@contextmanager
def leaky_managed_executor(make: Callable[..., Any], **options: Any) -> Iterator[Any]:
    """The shutdown is skipped when the body raised."""
    executor = keep(make(**options), lambda executor: executor.shutdown(wait=True))  # leaks
    yield executor
    executor.shutdown(wait=True)


@contextmanager
def leaky_held(lock: Any, timeout: float) -> Iterator[None]:
    """Releases a lock that it never got."""
    try:
        if not lock.acquire(timeout=timeout):
            raise TimeoutError("lock not acquired")
        yield
    finally:
        lock.release()


@asynccontextmanager
async def leaky_async_held(lock: asyncio.Lock, timeout: float) -> AsyncIterator[None]:
    """Releases a lock of asyncio that it never got."""
    try:
        await asyncio.wait_for(lock.acquire(), timeout)
        yield
    finally:
        lock.release()


class LeakyWeakCache:
    """A callback has a strong reference to the value."""

    def __init__(self, make: Callable[[Any], Any]) -> None:
        self.make = make
        self.table: dict[Any, Any] = {}

    def get(self, key: Any) -> Any:
        if key not in self.table or self.table[key]() is None:
            value = self.make(key)
            self.table[key] = weakref.ref(value, lambda _: self.dropped(key, value))
            return value
        return self.table[key]()

    def dropped(self, key: Any, value: Any) -> None:
        del self.table[key]


@contextmanager
def leaky_breaks_cycle(owner: Any, attribute: str) -> Iterator[None]:
    """Cuts only after a normal end."""
    yield
    setattr(owner, attribute, None)
