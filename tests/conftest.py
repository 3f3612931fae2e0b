"""How the tests run the plugin: in a process of its own, read back from its JSON report."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest

pytest_plugins = ["pytester"]


def pytest_configure(config: pytest.Config) -> None:
    # threads, descriptors and audit hooks outlive a run inside this process
    config.option.runpytest = "subprocess"


@dataclass(frozen=True)
class Run:
    """One run of pytest with the plugin on."""

    result: pytest.RunResult
    report: dict[str, Any]

    @property
    def findings(self) -> list[dict[str, Any]]:
        """Those that make a test fail; notes, allowed and late ones are in `report`."""
        return [finding for finding in self.report["findings"] if finding["disposition"] == "fails"]

    def of(self, test: str) -> list[dict[str, Any]]:
        """The findings of the tests whose id ends with `test`, parameters included."""
        return [
            finding
            for finding in self.findings
            if finding["test"].endswith(test) or finding["test"].partition("[")[0].endswith(test)
        ]

    @property
    def text(self) -> str:
        """What was printed."""
        return self.result.stdout.str()


@pytest.fixture
def run(pytester: pytest.Pytester) -> Callable[..., Run]:
    """Run pytest with --leakguard (or `flag=()`) over the files made so far; errors of the plugin fail the test."""

    def run(*args: str, flag: tuple[str, ...] = ("--leakguard",), errors: bool = False) -> Run:
        file = pytester.path / "leakguard.json"
        file.unlink(missing_ok=True)
        options = ("-p", "no:cacheprovider", "-p", "no:randomly", "--leakguard-json", str(file))
        result = pytester.runpytest(*flag, *options, *args)
        assert file.exists(), "\n".join([*result.outlines, *result.errlines])
        report = json.loads(file.read_text("utf-8"))
        if not errors:
            assert report["errors"] == [], report["errors"]
            assert report["blind"] == {}
        return Run(result, report)

    return run
