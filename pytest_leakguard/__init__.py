"""Resource-leak detection and error-path verification for Python tests."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pytest_leakguard.errors import LeakError as LeakError
    from pytest_leakguard.faults.errors import is_injected as is_injected
    from pytest_leakguard.plugin.fixtures import LeakCheck as LeakCheck

__version__ = "0.1.0"
__all__ = ["LeakCheck", "LeakError", "__version__", "is_injected"]

_PLACES = {
    "LeakError": "pytest_leakguard.errors",
    "LeakCheck": "pytest_leakguard.plugin.fixtures",
    "is_injected": "pytest_leakguard.faults.errors",
}


def __getattr__(name: str) -> object:
    # pytest imports the package whenever it starts; what is not used then is not loaded then
    if name in _PLACES:
        import importlib

        return getattr(importlib.import_module(_PLACES[name]), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
