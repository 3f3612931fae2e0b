"""Many runs of pytest for the price of one start: a fresh process imports everything once and forks for each run."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pytest

# other plugins are left out, so that a run takes a tenth of a second
DRIVER = """
import importlib
import json
import os
import sys

import psutil
import pytest
import pytest_leakguard.plugin.activate
from _pytest.config import default_plugins

for name in default_plugins:
    importlib.import_module(f"_pytest.{name}")

os.environ["PYTEST_DISABLE_PLUGIN_AUTOLOAD"] = "1"
with open("runs.json") as file:
    runs = json.load(file)
results = {}
for number, (name, args) in enumerate(runs.items()):
    seen = os.open(f"{number}.seen", os.O_CREAT | os.O_WRONLY | os.O_TRUNC | os.O_APPEND)
    os.environ["SEEN"] = str(seen)
    child = os.fork()
    if not child:
        output = os.open(f"{number}.txt", os.O_CREAT | os.O_WRONLY | os.O_TRUNC | os.O_APPEND)
        os.dup2(output, 1)
        os.dup2(output, 2)
        os.close(output)
        status = pytest.main(["-p", "no:cacheprovider", *args])
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(status)
    os.close(seen)
    status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    results[name] = {"status": status}
    for suffix in ("txt", "json", "seen"):
        path = f"{number}.{suffix}"
        if os.path.exists(path):
            with open(path) as file:
                results[name][suffix] = file.read()

with open("results.json", "w") as file:
    json.dump(results, file)
"""

GUARDED = ("-p", "leakguard", "--leakguard", "--leakguard-grace=0.05")


@dataclass(frozen=True)
class Forked:
    """One run: its exit status, all it printed, its JSON report, and what the tests wrote of what they saw."""

    status: int
    text: str
    report: dict[str, Any]
    seen: list[Any]

    @property
    def told(self) -> list[tuple[str, str, str]]:
        """Test without the file's name, kind and disposition of each finding, one for each of its count."""
        return sorted(
            (finding["test"].partition("::")[2], finding["kind"], finding["disposition"])
            for finding in self.report["findings"]
            for _ in range(finding["count"])
        )

    @property
    def last_line(self) -> str:
        """The line with the counts, without the time."""
        lines = [line.strip("=\x20") for line in self.text.splitlines() if " in " in line and line.startswith("=")]
        return lines[-1].rpartition(" in ")[0] if lines else ""


def fork_runs(pytester: pytest.Pytester, runs: Mapping[str, Sequence[str]]) -> dict[str, Forked]:
    """Run pytest over the files made so far, once for each list of arguments; `GUARDED` switches the plugin on.

    What tests give to the function in `SEE` comes back as `seen`.
    """
    numbered = {
        name: [*args, f"--leakguard-json={number}.json"] if "leakguard" in args else list(args)
        for number, (name, args) in enumerate(runs.items())
    }
    (pytester.path / "runs.json").write_text(json.dumps(numbered), "utf-8")
    driver = pytester.path / "driver"  # without a suffix, or --doctest-modules would import it
    driver.write_text(DRIVER, "utf-8")
    result = pytester.runpython(driver)
    assert result.ret == 0, result.stderr.str()
    results = json.loads((pytester.path / "results.json").read_text("utf-8"))
    return {
        name: Forked(
            status=result["status"],
            text=result["txt"],
            report=json.loads(result.get("json", "{}")),
            seen=[json.loads(line) for line in result.get("seen", "").splitlines()],
        )
        for name, result in results.items()
    }


# to an open descriptor: nothing is acquired by it
SEE = """
import json
import os

def see(*values):
    os.write(int(os.environ["SEEN"]), json.dumps(values).encode() + b"\\n")
"""
