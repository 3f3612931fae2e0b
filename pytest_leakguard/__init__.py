"""Resource-leak detection and error-path verification for Python tests."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pytest_leakguard.errors import LeakError as LeakError
    from pytest_leakguard.plugin.fixtures import LeakCheck as LeakCheck
    from pytest_leakguard.tracked import track as track

__version__ = "0.1.0"
__all__ = ["LeakCheck", "LeakError", "__version__", "track"]

_PLACES = {
    "LeakError": "pytest_leakguard.errors",
    "LeakCheck": "pytest_leakguard.plugin.fixtures",
    "track": "pytest_leakguard.tracked",
}


def __getattr__(name: str) -> object:
    # pytest imports the package whenever it starts; what is not used then is not loaded then
    if name in _PLACES:
        import importlib

        return getattr(importlib.import_module(_PLACES[name]), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
