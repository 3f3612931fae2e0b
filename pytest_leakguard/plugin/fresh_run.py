"""Runs some tests of this suite in a fresh process, as this run was started, and gives what leaked there."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

import pytest

ISOLATED = "PYTEST_LEAKGUARD_ISOLATED"
"""Set in such a process: the file for its JSON report, which is the only thing it writes."""

# what would stop the run early, ask for input, choose other tests, or start all this again
_LEFT_OUT = frozenset(
    """
    -x --exitfirst --pdb --trace --setup-show
    --lf --last-failed --ff --failed-first --nf --new-first
    --sw --stepwise --sw-skip --stepwise-skip --stepwise-reset
    --leakguard-isolate --leakguard-confirm
    """.split()  # noqa: SIM905 - a list of words reads better so
)

# files that this run writes and that one must leave alone: option -> the attribute that tells that it is on
_WRITES = {
    "--junitxml": "xmlpath",
    "--html": "htmlpath",
    "--report-log": "report_log",
    "--log-file": "log_file",
    "--basetemp": "basetemp",
}
_LINES_TOLD = 3


class CanNotRun(Exception):
    """The fresh process gave no report; the text says why."""


class FreshRuns:
    """Starts them; each test of this suite by its id."""

    def __init__(self, config: pytest.Config, seconds_at_most: float) -> None:
        self._config = config
        self._seconds = seconds_at_most
        self._leaks: dict[tuple[tuple[str, ...], str], frozenset[str]] = {}

    def leaks(self, before: Sequence[str], test: str) -> frozenset[str]:
        """The fingerprints of what a test leaks after the others, in a fresh process; each combination runs once.

        Raises:
            CanNotRun: no report came out of it.
        """
        key = (tuple(before), test)
        if key not in self._leaks:
            with tempfile.TemporaryDirectory(prefix="leakguard-") as folder:
                report = self._run([*before, test], Path(folder))
            self._leaks[key] = frozenset(
                str(finding["fingerprint"])
                for finding in report["findings"]
                if finding["test"] == test and finding["disposition"] in ("fails", "warned", "note")
            )
        return self._leaks[key]

    def _run(self, tests: Sequence[str], folder: Path) -> dict[str, list[dict[str, object]]]:
        report, output, names = folder / "report.json", folder / "output", folder / "tests"
        # as absolute paths: ids are relative to the root folder, arguments to the current one
        names.write_text("\n".join(f"{self._config.rootpath}{os.sep}{test}" for test in tests), "utf-8")
        command = [*_program(), *self._arguments(folder), f"@{names}"]
        with open(output, "wb") as stream:
            child = subprocess.Popen(
                command,
                cwd=self._config.invocation_params.dir,
                env=_environment(report),
                stdin=subprocess.DEVNULL,
                stdout=stream,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
            try:
                child.wait(self._seconds)
            except subprocess.TimeoutExpired:
                raise CanNotRun(f"it did not end within {self._seconds:g} s") from None
            finally:
                _end(child)
        try:
            data: dict[str, list[dict[str, object]]] = json.loads(report.read_text("utf-8"))
        except (OSError, ValueError):
            last = output.read_text("utf-8", "replace").split("\n")[-_LINES_TOLD - 1 :]
            raise CanNotRun(f"it ended with status {child.returncode}: {' '.join(' '.join(last).split())}") from None
        return data

    def _arguments(self, folder: Path) -> list[str]:
        config, option = self._config, self._config.option
        words = [word for word in config.invocation_params.args if word not in _LEFT_OUT]
        for place in reversed(config.args):
            for index in range(len(words) - 1, -1, -1):
                if words[index] == place:
                    del words[index]
                    break
        words += ["--maxfail=0", "-o", f"cache_dir={folder / 'cache'}"]
        words += [
            f"{name}={folder / name.strip('-')}"
            for name, attribute in _WRITES.items()
            if getattr(option, attribute, None)
        ]
        if config.pluginmanager.has_plugin("xdist"):
            words.append("-n0")
        if getattr(option, "cov_source", None):
            words.append("--no-cov")
        if config.pluginmanager.has_plugin("randomly"):
            words.append("--randomly-dont-reorganize")
            if isinstance(getattr(option, "randomly_seed", None), int):
                words.append(f"--randomly-seed={option.randomly_seed}")
        return words


def _program() -> list[str]:
    """Pytest as it was called: ``python -m pytest`` has the current folder on its path, ``pytest`` has not."""
    called = Path(sys.argv[0])
    is_script = called.name in ("pytest", "py.test") and called.is_file()
    return [sys.executable, str(called)] if is_script else [sys.executable, "-m", "pytest"]


def _environment(report: Path) -> dict[str, str]:
    ours = ("PYTEST_XDIST", "PYTEST_CURRENT_TEST", "COV_CORE_")
    kept = {name: value for name, value in os.environ.items() if not name.startswith(ours)}
    return {**kept, ISOLATED: str(report)}


def _end(child: subprocess.Popen[bytes]) -> None:
    """The process, and what its tests left behind in its group."""
    if hasattr(os, "killpg"):
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(child.pid, signal.SIGKILL)
    elif child.poll() is None:
        child.kill()
    child.wait()
