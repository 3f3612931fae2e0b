"""A use of each leaky twin whose bug a sweep can find; the file is a target of that sweep, as the twins are.

A line that ends in `# leaks` acquires what is lost.
"""

from __future__ import annotations

import asyncio
import socket
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import leaky


def work(*_: object) -> None:
    """What a body calls, so that it can fail."""


def managed_file(source: Path) -> None:
    with leaky.LeakyManagedFile(source) as file:
        work(file)


def open_all(source: Path) -> None:
    with leaky.leaky_open_all([source] * 3) as files:
        work(files)


def atomic_write(source: Path) -> None:
    with leaky.leaky_atomic_write(source) as file:
        work(file)


def mapped_file(source: Path) -> None:
    with leaky.LeakyMappedFile(source) as view:
        work(view)


def database_connection(source: Path) -> None:
    with leaky.LeakyDatabaseConnection(source.with_name("database")) as connection:
        work(connection)


def make_socket() -> socket.socket:
    return leaky.keep(socket.socket())  # leaks


def monitored_resource_pool(source: Path) -> None:
    pool = leaky.LeakyMonitoredResourcePool(make_socket, socket.socket.close)
    try:
        with pool.checkout() as resource:
            work(resource)
    finally:
        pool.close()


async def open_line() -> socket.socket:
    line = leaky.keep(socket.socket())  # leaks
    try:
        await asyncio.sleep(0)
    except BaseException:
        line.close()
        raise
    return line


async def close_line(line: socket.socket) -> None:
    await asyncio.sleep(0)
    line.close()


def async_resource(source: Path) -> None:
    async def main() -> None:
        async with leaky.LeakyAsyncResource(open_line, close_line):
            pass

    asyncio.run(main())


def open_connections(source: Path) -> None:
    async def main() -> None:
        lines = [leaky.LeakyAsyncResource(open_line, close_line) for _ in range(3)]
        async with leaky.leaky_open_connections(lines) as connections:
            work(connections)

    asyncio.run(main())


def stream_accumulator(source: Path) -> None:
    with leaky.LeakyStreamAccumulator(leaky.keep(open(source))) as stream:  # leaks
        for chunk in stream:
            work(chunk)


def accumulate(source: Path) -> None:
    for chunk in leaky.leaky_accumulate(leaky.keep(open(source)), []):  # leaks
        work(chunk)


def managed_process(source: Path) -> None:
    with leaky.LeakyManagedProcess([sys.executable, "-S", "-c", "input()"], ready=work):
        pass


def worker_thread(source: Path) -> None:
    with leaky.LeakyWorkerThread(lambda stop: stop.wait(30)) as worker:
        work(worker)


def managed_executor(source: Path) -> None:
    with leaky.leaky_managed_executor(ThreadPoolExecutor, max_workers=1) as executor:
        executor.submit(int).result()


SWEPT: dict[str, tuple[str, Callable[[Path], None]]] = {
    "AsyncResource": ("cancel", async_resource),
    "DatabaseConnection": ("body", database_connection),
    "ManagedFile": ("body", managed_file),
    "ManagedProcess": ("call", managed_process),
    "MappedFile": ("acquire", mapped_file),
    "MonitoredResourcePool": ("body", monitored_resource_pool),
    "StreamAccumulator": ("call", stream_accumulator),
    "WorkerThread": ("body", worker_thread),
    "accumulate": ("call", accumulate),
    "atomic_write": ("body", atomic_write),
    "managed_executor": ("call", managed_executor),
    "open_all": ("acquire", open_all),
    "open_connections": ("cancel", open_connections),
}
"""Manager -> the family that finds the bug of its twin, and the use that it is found in."""

TESTED: dict[str, str] = {
    "AsyncDatabasePool": "test_reference_database.py::test_the_twin_that_loses_a_place_to_a_cancelled_waiter",
    "AsyncResourceGroup": "test_reference_composite.py::test_the_async_twin_that_stops_at_a_failing_release",
    "DatabasePool": "test_reference_database.py::test_the_twin_whose_failed_creation_eats_a_place",
    "FileProcessor": "test_reference_files.py::test_the_twin_that_stops_at_a_failing_unlink",
    "LoopbackServer": "test_reference_network.py::test_the_twin_that_forgets_accepted_connections",
    "NetworkClient": "test_reference_network.py::test_the_twin_that_overwrites_its_socket",
    "ResourceGroup": "test_reference_composite.py::test_the_twin_that_stops_at_a_failing_release",
    "ResourcePool": "test_reference_pools.py::test_the_twin_that_never_reuses",
    "SafeResource": "test_reference_safe.py::test_the_twin_that_hides_the_error_of_the_body",
    "StreamWriter": "test_reference_streams.py::test_the_twin_that_returns_true",
    "TemporaryResourceManager": "test_reference_temp.py::test_the_twin_that_swallows_unlink_errors",
    "WeakCache": "test_reference_safe.py::test_the_twin_whose_callback_keeps_the_value",
    "async_held": "test_reference_safe.py::test_the_async_twin_that_releases_what_it_never_got",
    "async_transaction": "test_reference_database.py::test_a_cancelled_async_transaction_is_rolled_back",
    "breaks_cycle": "test_reference_safe.py::test_the_twin_that_cuts_only_after_a_normal_end",
    "held": "test_reference_safe.py::test_the_twin_that_releases_what_it_never_got",
    "stream_metrics": "test_reference_streams.py::test_the_twin_that_loses_its_numbers",
    "timed_block": "test_reference_safe.py::test_the_twin_that_logs_nothing_on_an_error",
    "timer": "test_reference_safe.py::test_the_twin_that_reports_nothing_on_an_error",
    "transaction": "test_reference_database.py::test_the_twin_that_misses_an_interrupt",
}
"""Manager -> the test of its behaviour that its twin does not stand, where no single fault makes it leak."""


def twin_of(manager: str) -> Any:
    """The leaky twin of a manager, by its name."""
    for name in (f"Leaky{manager}", f"leaky_{manager}"):
        if hasattr(leaky, name):
            return getattr(leaky, name)
    raise LookupError(manager)
