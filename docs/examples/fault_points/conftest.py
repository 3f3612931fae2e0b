"""Names an operation from outside of the code."""

from __future__ import annotations

from shop import TillError

from pytest_leakguard.faults.operations import Operation


def pytest_leakguard_fault_points() -> list[Operation]:
    return [Operation(call="shop:Till.book", name="till.book", error=TillError)]
