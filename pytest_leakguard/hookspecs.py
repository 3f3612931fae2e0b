"""Hooks for other plugins and conftest files. Every name starts with ``pytest_leakguard_``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pluggy

if TYPE_CHECKING:
    import pytest

    from pytest_leakguard.faults.operations import Operation
    from pytest_leakguard.probes.protocol import Probe

hookspec = pluggy.HookspecMarker("pytest")


@hookspec
def pytest_leakguard_probes(config: pytest.Config) -> list[Probe] | None:
    """Probes to add, each of a kind of its own. Called once, when the guard starts."""


@hookspec
def pytest_leakguard_allow(config: pytest.Config) -> list[str] | None:
    """Allow rules to add, each as ``KIND:GLOB -- reason``. Called once, when the guard starts."""


@hookspec
def pytest_leakguard_fault_points(config: pytest.Config) -> list[Operation | str] | None:
    """Operations that a fault sweep may make fail, as `Operation` or ``MODULE:QUALNAME``. Called once."""


@hookspec
def pytest_leakguard_leak(finding: dict[str, Any]) -> None:
    """A finding is about to be reported; it comes as the plain data of the JSON report."""
