"""The cleanup ledger of a run: which cleanup paths of the project ran normally, under an error, or never."""

from __future__ import annotations

import inspect
import os
import sys
from collections.abc import Generator
from typing import Any

import pytest

from pytest_leakguard.faults.cleanup import Counts, Ledger
from pytest_leakguard.faults.cleanup_drivers import driver_for
from pytest_leakguard.faults.cleanup_paths import CleanupPath
from pytest_leakguard.faults.exit_stacks import StackWatch
from pytest_leakguard.faults.targets import Targets, is_test_name
from pytest_leakguard.faults.watching import Refused
from pytest_leakguard.origins import frames
from pytest_leakguard.plugin import internals
from pytest_leakguard.plugin.fault_options import FaultSettings

_OPTION = "--leakguard-cleanup-report"


class CleanupReport:
    """Counts from the first test to the last, trials of fault sweeps included."""

    def __init__(self, config: pytest.Config, settings: FaultSettings) -> None:
        self._root = str(config.rootpath)
        self._test_files: set[str] = set()
        targets = Targets(root=self._root, given=settings.places, is_test_file=self._is_test_file)
        self._ledger = Ledger(targets)
        self._driver = driver_for(self._ledger)
        self._stacks = StackWatch(self._ledger, targets)
        self._failures = 0
        self._set_up: dict[int, int] = {}
        self._begin()  # to be refused before anything runs
        self._driver.stop()

    def _begin(self) -> None:
        try:
            self._driver.start()
        except Refused as refused:
            raise pytest.UsageError(f"{_OPTION}: {refused}.") from None

    def data(self) -> list[dict[str, Any]]:
        """The paths and their counts, as they are sent and written."""
        modules = [*sys.modules.values()]
        self._ledger.add_files(str(getattr(module, "__file__", None) or "") for module in modules)
        return [
            {
                "kind": path.kind, "path": path.path, "line": path.line, "qualname": path.qualname, "what": path.what,
                "entered": counts.entered, "normal": counts.normal, "error": counts.error,
            }
            for path, counts in self._ledger.counts.items()
        ]  # fmt: skip

    def _is_test_file(self, filename: str) -> bool:
        return filename in self._test_files or is_test_name(filename)

    # -- hooks ---------------------------------------------------------------

    @pytest.hookimpl(trylast=True)
    def pytest_collection_modifyitems(self, items: list[pytest.Item]) -> None:
        self._test_files.update(str(item.path) for item in items)

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_runtestloop(self, session: pytest.Session) -> Generator[None, object, object]:
        for definition in internals.fixture_definitions(session):
            self._fixture(definition)
        self._begin()
        self._stacks.start()
        try:
            return (yield)
        finally:
            self._stacks.stop()
            self._driver.stop()

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtest_logstart(self) -> None:
        self._driver.resume()

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_runtest_setup(self) -> Generator[None, object, object]:
        return (yield from self._noting_failure())

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_runtest_call(self) -> Generator[None, object, object]:
        return (yield from self._noting_failure())

    def _noting_failure(self) -> Generator[None, object, object]:
        __tracebackhide__ = True
        try:
            return (yield)
        except pytest.skip.Exception:
            raise
        except BaseException:
            self._failures += 1
            raise

    @pytest.hookimpl(tryfirst=True)
    def pytest_fixture_setup(self, fixturedef: Any) -> None:
        self._set_up[id(fixturedef)] = self._failures
        counts = self._fixture(fixturedef)
        if counts is not None:
            counts.entered += 1

    def pytest_fixture_post_finalizer(self, fixturedef: Any) -> None:
        before = self._set_up.pop(id(fixturedef), None)
        counts = self._fixture(fixturedef) if before is not None else None
        if counts is None:
            return
        if self._failures == before:
            counts.normal += 1
        else:
            counts.error += 1

    # -- fixtures ------------------------------------------------------------

    def _fixture(self, definition: Any) -> Counts | None:
        """The counts of a fixture of the project that cleans up after its `yield`."""
        function = inspect.unwrap(getattr(definition.func, "__func__", definition.func))
        code = getattr(function, "__code__", None)
        if code is None or not (inspect.isgeneratorfunction(function) or inspect.isasyncgenfunction(function)):
            return None
        file = code.co_filename
        if frames.region(file) != "project" or not file.startswith(self._root.rstrip(os.sep) + os.sep):
            return None
        path = frames.shorten(file, self._root)
        return self._ledger.of(
            CleanupPath(kind="fixture", path=path, line=code.co_firstlineno, qualname=str(definition.argname))
        )
