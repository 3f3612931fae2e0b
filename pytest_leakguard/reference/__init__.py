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
    from pytest_leakguard.reference.files import FileProcessor as FileProcessor
    from pytest_leakguard.reference.files import ManagedFile as ManagedFile
    from pytest_leakguard.reference.files import atomic_write as atomic_write
    from pytest_leakguard.reference.files import open_all as open_all
    from pytest_leakguard.reference.network import LoopbackServer as LoopbackServer
    from pytest_leakguard.reference.network import NetworkClient as NetworkClient
    from pytest_leakguard.reference.pools import MonitoredResourcePool as MonitoredResourcePool
    from pytest_leakguard.reference.pools import ResourcePool as ResourcePool

_PLACES = {
    "AsyncResource": "aio",
    "AsyncResourceGroup": "composite",
    "FileProcessor": "files",
    "LoopbackServer": "network",
    "ManagedFile": "files",
    "MonitoredResourcePool": "pools",
    "NetworkClient": "network",
    "ResourceGroup": "composite",
    "ResourcePool": "pools",
    "atomic_write": "files",
    "open_all": "files",
    "open_connections": "aio",
    "secondary_errors": "_unwind",
}
__all__ = list(_PLACES)


def __getattr__(name: str) -> object:
    # who wants a file need not load sqlite3 and asyncio
    if name in _PLACES:
        import importlib

        return getattr(importlib.import_module(f"{__name__}.{_PLACES[name]}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
