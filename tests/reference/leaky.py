"""A leaky twin of each reference manager: the same thing as it is usually written, with the classic bug.

Lines that end in `# leaks` acquire what is lost. What a twin loses is kept
alive by `keep`, so that it is found as leaked and not as closed by the
collector; `release_kept` then ends it.
"""

from __future__ import annotations

import asyncio
import os
import socket
import threading
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import AbstractContextManager, asynccontextmanager, contextmanager
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
