"""Context managers that release what they acquire, whatever happens: to import, and to learn from.

Each is put through every fault that this project can inject. Nothing here
needs pytest or anything else beyond the standard library.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pytest_leakguard.reference._unwind import secondary_errors as secondary_errors
    from pytest_leakguard.reference.aio import AsyncResource as AsyncResource
    from pytest_leakguard.reference.aio import open_connections as open_connections
    from pytest_leakguard.reference.composite import AsyncResourceGroup as AsyncResourceGroup
    from pytest_leakguard.reference.composite import ResourceGroup as ResourceGroup
    from pytest_leakguard.reference.database import AsyncDatabasePool as AsyncDatabasePool
    from pytest_leakguard.reference.database import DatabaseConnection as DatabaseConnection
    from pytest_leakguard.reference.database import DatabasePool as DatabasePool
    from pytest_leakguard.reference.database import async_transaction as async_transaction
    from pytest_leakguard.reference.database import transaction as transaction
    from pytest_leakguard.reference.files import FileProcessor as FileProcessor
    from pytest_leakguard.reference.files import ManagedFile as ManagedFile
    from pytest_leakguard.reference.files import atomic_write as atomic_write
    from pytest_leakguard.reference.files import open_all as open_all
    from pytest_leakguard.reference.locks import async_held as async_held
    from pytest_leakguard.reference.locks import held as held
    from pytest_leakguard.reference.mapped import MappedFile as MappedFile
    from pytest_leakguard.reference.memory import WeakCache as WeakCache
    from pytest_leakguard.reference.memory import breaks_cycle as breaks_cycle
    from pytest_leakguard.reference.network import LoopbackServer as LoopbackServer
    from pytest_leakguard.reference.network import NetworkClient as NetworkClient
    from pytest_leakguard.reference.pools import MonitoredResourcePool as MonitoredResourcePool
    from pytest_leakguard.reference.pools import ResourcePool as ResourcePool
    from pytest_leakguard.reference.process import ManagedProcess as ManagedProcess
    from pytest_leakguard.reference.process import WorkerThread as WorkerThread
    from pytest_leakguard.reference.process import managed_executor as managed_executor
    from pytest_leakguard.reference.safe import SafeResource as SafeResource
    from pytest_leakguard.reference.streams import StreamAccumulator as StreamAccumulator
    from pytest_leakguard.reference.streams import StreamWriter as StreamWriter
    from pytest_leakguard.reference.streams import accumulate as accumulate
    from pytest_leakguard.reference.streams import stream_metrics as stream_metrics
    from pytest_leakguard.reference.temp import TemporaryResourceManager as TemporaryResourceManager
    from pytest_leakguard.reference.timing import timed_block as timed_block
    from pytest_leakguard.reference.timing import timer as timer

_PLACES = {
    "AsyncDatabasePool": "database",
    "AsyncResource": "aio",
    "AsyncResourceGroup": "composite",
    "DatabaseConnection": "database",
    "DatabasePool": "database",
    "FileProcessor": "files",
    "LoopbackServer": "network",
    "ManagedFile": "files",
    "ManagedProcess": "process",
    "MappedFile": "mapped",
    "MonitoredResourcePool": "pools",
    "NetworkClient": "network",
    "ResourceGroup": "composite",
    "ResourcePool": "pools",
    "SafeResource": "safe",
    "StreamAccumulator": "streams",
    "StreamWriter": "streams",
    "TemporaryResourceManager": "temp",
    "WeakCache": "memory",
    "WorkerThread": "process",
    "accumulate": "streams",
    "async_held": "locks",
    "async_transaction": "database",
    "atomic_write": "files",
    "breaks_cycle": "memory",
    "held": "locks",
    "managed_executor": "process",
    "open_all": "files",
    "open_connections": "aio",
    "secondary_errors": "_unwind",
    "stream_metrics": "streams",
    "timed_block": "timing",
    "timer": "timing",
    "transaction": "database",
}
__all__ = [
    "AsyncDatabasePool",
    "AsyncResource",
    "AsyncResourceGroup",
    "DatabaseConnection",
    "DatabasePool",
    "FileProcessor",
    "LoopbackServer",
    "ManagedFile",
    "ManagedProcess",
    "MappedFile",
    "MonitoredResourcePool",
    "NetworkClient",
    "ResourceGroup",
    "ResourcePool",
    "SafeResource",
    "StreamAccumulator",
    "StreamWriter",
    "TemporaryResourceManager",
    "WeakCache",
    "WorkerThread",
    "accumulate",
    "async_held",
    "async_transaction",
    "atomic_write",
    "breaks_cycle",
    "held",
    "managed_executor",
    "open_all",
    "open_connections",
    "secondary_errors",
    "stream_metrics",
    "timed_block",
    "timer",
    "transaction",
]


def __getattr__(name: str) -> object:
    # who wants a file need not load sqlite3 and asyncio
    if name in _PLACES:
        import importlib

        return getattr(importlib.import_module(f"{__name__}.{_PLACES[name]}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
