"""What tells the cleanup ledger of the steps of the code under test: one way for each version of Python."""

from __future__ import annotations

import sys
from typing import Protocol

from pytest_leakguard.faults.cleanup import Ledger


class Driver(Protocol):
    """Watches the code under test, and tells a ledger of its steps."""

    def start(self) -> None:
        """Begin. Raises Refused."""
        ...

    def resume(self) -> None:
        """Go on, where a debugger has taken the place and given it back."""
        ...

    def stop(self) -> None:
        """End."""
        ...


def driver_for(ledger: Ledger) -> Driver:
    """The one of this version of Python."""
    if sys.version_info >= (3, 12):
        from pytest_leakguard.faults.cleanup_monitoring import MonitoringDriver

        return MonitoringDriver(ledger)
    from pytest_leakguard.faults.cleanup_tracing import TracingDriver

    return TracingDriver(ledger)
