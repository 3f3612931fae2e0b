"""Resource-leak detection and error-path verification for Python tests."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pytest_leakguard.errors import LeakError as LeakError
    from pytest_leakguard.fault_points import fault_point as fault_point
    from pytest_leakguard.faults.errors import is_injected as is_injected
    from pytest_leakguard.guarding import guard as guard
    from pytest_leakguard.plugin.fixtures import LeakCheck as LeakCheck
    from pytest_leakguard.tracked import track as track
    from pytest_leakguard.tracked import track_lock as track_lock

__version__ = "0.1.0"
__all__ = ["LeakCheck", "LeakError", "__version__", "fault_point", "guard", "is_injected", "track", "track_lock"]

_PLACES = {
    "LeakError": "pytest_leakguard.errors",
    "LeakCheck": "pytest_leakguard.plugin.fixtures",
    "fault_point": "pytest_leakguard.fault_points",
    "guard": "pytest_leakguard.guarding",
    "is_injected": "pytest_leakguard.faults.errors",
    "track": "pytest_leakguard.tracked",
    "track_lock": "pytest_leakguard.tracked",
}


def __getattr__(name: str) -> object:
    # pytest imports the package whenever it starts; what is not used then is not loaded then
    if name in _PLACES:
        import importlib

        return getattr(importlib.import_module(_PLACES[name]), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
