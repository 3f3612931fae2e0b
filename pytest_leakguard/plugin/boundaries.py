"""Tells the state probe where phases begin and end. Registered only where state is watched.

The wrappers are the innermost: whatever capture, logging and plugins with hooks of their own put
around a phase is in place at its beginning and still in place at its end, so none of it is seen.
"""

from __future__ import annotations

from collections.abc import Generator, Iterable
from typing import TYPE_CHECKING

import pytest

from pytest_leakguard.core.model import Finding
from pytest_leakguard.probes.state import StateProbe
from pytest_leakguard.watch import Watch

if TYPE_CHECKING:
    from pytest_leakguard.plugin.guard import Guard


def watch_state(guard: Guard) -> None:
    """Watch state from now to the end of the session."""
    config, settings = guard.config, guard.settings
    guard.watch.state.watch(
        modules=settings.state_modules,
        # pytest itself puts the filters back after each test
        filters=not config.pluginmanager.has_plugin("warnings"),
        keep=settings.restore_state,
    )
    guard.watch.roster.remark()
    config.pluginmanager.register(Boundaries(guard.watch), "leakguard-boundaries")


def put_back(watch: Watch, findings: Iterable[Finding]) -> None:
    """Undo what was told; what a rule allows stays."""
    for finding in findings:
        if finding.kind == "state" and finding.disposition != "allowed":
            watch.state.put_back(finding.subject)


class Boundaries:
    """The hooks that tell."""

    def __init__(self, watch: Watch) -> None:
        self._state: StateProbe = watch.state
        self._state.live = False

    @pytest.hookimpl(wrapper=True, trylast=True)
    def pytest_runtest_setup(self) -> Generator[None, object, object]:
        self._state.begin()
        try:
            return (yield)
        finally:
            self._state.pause()

    @pytest.hookimpl(wrapper=True, trylast=True)
    def pytest_runtest_call(self) -> Generator[None, object, object]:
        self._state.resume()
        try:
            return (yield)
        finally:
            self._state.pause()

    @pytest.hookimpl(wrapper=True, trylast=True)
    def pytest_runtest_teardown(self) -> Generator[None, object, object]:
        self._state.resume()
        try:
            return (yield)
        finally:
            self._state.pause()
