"""Notes what a run covered, here and in the workers of pytest-xdist."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable
from typing import Any

import pytest

from pytest_leakguard.core.ran import Ran

OUTPUT_KEY = "leakguard_ran"

_LEAVE_OUT = ("ignore", "ignore_glob", "lf", "last_failed", "pyargs", "stepwise")
"""Options that leave out tests without a word, or name them in another way than by path."""


class RunRecord:
    """Collected, deselected, passed, skipped: ids of tests."""

    def __init__(self, config: pytest.Config) -> None:
        self._config = config
        self._collected: set[str] = set()
        self._deselected: set[str] = set()
        self._passed: set[str] = set()
        self._skipped: set[str] = set()
        self._has_gaps = any(config.getoption(name, None) for name in _LEAVE_OUT)

    def ran(self) -> Ran:
        """What was covered so far."""
        root = self._config.rootpath
        return Ran(
            collected=frozenset(self._collected),
            deselected=frozenset(self._deselected),
            passed=frozenset(self._passed),
            skipped=frozenset(self._skipped),
            roots=tuple(_whole(self._config)),
            has_gaps=self._has_gaps,
            exists=lambda path: (root / path).exists(),
        )

    # -- hooks ---------------------------------------------------------------

    def pytest_collectreport(self, report: pytest.CollectReport) -> None:
        # a module that skips itself may have had any test
        self._has_gaps |= report.outcome == "failed"

    def pytest_deselected(self, items: Iterable[pytest.Item]) -> None:
        self._deselected.update(item.nodeid for item in items)

    @pytest.hookimpl(trylast=True)
    def pytest_collection_finish(self, session: pytest.Session) -> None:
        self._collected.update(item.nodeid for item in session.items)
        output: Any = getattr(self._config, "workeroutput", None)
        if output is not None:
            output[OUTPUT_KEY] = json.dumps([sorted(self._collected), sorted(self._deselected), self._has_gaps])

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        if report.outcome == "skipped":
            self._skipped.add(report.nodeid)
        elif report.when == "call" and report.outcome == "passed":
            self._passed.add(report.nodeid)

    @pytest.hookimpl(optionalhook=True, tryfirst=True)
    def pytest_testnodedown(self, node: Any) -> None:
        output = getattr(node, "workeroutput", {})
        if OUTPUT_KEY in output:
            collected, deselected, has_gaps = json.loads(output[OUTPUT_KEY])
            self._collected.update(collected)
            self._deselected.update(deselected)
            self._has_gaps |= has_gaps


def _whole(config: pytest.Config) -> list[str]:
    """The files and folders that were asked for as a whole, relative to the root folder."""
    roots = []
    for argument in config.args:
        if "::" not in argument:
            path = os.path.relpath(os.path.join(config.invocation_params.dir, argument), config.rootpath)
            path = path.replace(os.sep, "/")
            roots.append("" if path == "." or path.startswith("..") else path)
    return roots
