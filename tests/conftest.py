"""How the tests run the plugin: in a process of its own, read back from its JSON report."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

pytest_plugins = ["pytester"]


def pytest_configure(config: pytest.Config) -> None:
    # threads, descriptors and audit hooks outlive a run inside this process
    config.option.runpytest = "subprocess"
    # pytest writes its short summary in full where these are set; a test of that sets them itself
    for name in ("CI", "BUILD_NUMBER"):
        os.environ.pop(name, None)


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


@pytest.fixture
def alone(run: Callable[..., Run], monkeypatch: pytest.MonkeyPatch) -> Callable[..., Run]:
    """`run` without the other plugins installed here: four times as fast, and no thread of theirs to wait for."""

    def alone(*args: str, **options: Any) -> Run:
        monkeypatch.setenv("PYTEST_DISABLE_PLUGIN_AUTOLOAD", "1")
        return run("-p", "leakguard", *args, **options)

    return alone


@pytest.fixture(scope="session")
def run_tree() -> Callable[..., Run]:
    """Run files once for a whole module of tests: `run_tree(folder, {path: text}, *options, **environment)`.

    Alone, as `alone` does; stray files of the tests land in `folder / "stray"`.
    """

    def run_tree(root: Path, files: dict[str, str], *args: str, **environment: str) -> Run:
        for name, text in files.items():
            (root / name).parent.mkdir(parents=True, exist_ok=True)
            (root / name).write_text(text, "utf-8")
        (root / "stray").mkdir()
        options = ("-p", "no:cacheprovider", "-p", "leakguard", "--leakguard", "--leakguard-json=leakguard.json")
        ran = subprocess.run(
            [sys.executable, "-m", "pytest", *options, f"--rootdir={root}", *args],
            cwd=root,
            env={
                **os.environ,
                "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1",
                "PYTEST_DEBUG_TEMPROOT": str(root),
                "TMPDIR": str(root / "stray"),
                **environment,
            },
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
        file = root / "leakguard.json"
        assert file.exists(), ran.stdout + ran.stderr
        report = json.loads(file.read_text("utf-8"))
        assert report["errors"] == [], report["errors"]
        assert report["blind"] == {}
        return Run(pytest.RunResult(ran.returncode, ran.stdout.splitlines(), ran.stderr.splitlines(), 0.0), report)

    return run_tree
