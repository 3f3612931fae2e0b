"""The two sides of a comparison, with and without the plugin installed: one run of one, or a pair of both.

The two processes of a pair live at the same time and take turns, 40 tests each, on one CPU. The clock of a
shared or throttled machine drifts by some percent within seconds, and so falls on both alike. Measured, one
side against itself: the ratio of runs one after the other spreads by 4.6 %, of runs in turns by 2.6 %, on
one CPU by 1.1 %.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from environment import BenchmarkError, install_plugin, make_environment

Side = Literal["without", "with"]
HERE = Path(__file__).resolve().parent
RUN_SECONDS = 120  # far more than any run here takes


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """What one run of one side told; see loop_clock.py."""

    cpu_seconds: float
    load_seconds: float | None
    modules: tuple[str, ...]
    closing_line: str  # of the plugin; empty when it printed none


@dataclass(frozen=True, slots=True, kw_only=True)
class Task:
    """A suite to run: its folder, how many tests must pass, and the arguments of the side with the plugin."""

    suite: Path
    count: int
    flags: tuple[str, ...] = ()


class Sides:
    """Runs suites on either side.

    Raises: BenchmarkError from every run that did not do what it should; its time would mean nothing.
    """

    def __init__(self, work: Path, source: Path) -> None:
        self.work = work
        self.python = make_environment(work / "env")
        self.paths: dict[Side, Path] = {"without": work / "side-without", "with": work / "side-with"}
        for path in self.paths.values():
            path.mkdir()
        self.has_native = install_plugin(source, self.paths["with"])
        clock = work / "clock"
        clock.mkdir()
        shutil.copy2(HERE / "loop_clock.py", clock)
        # what the caller's shell sets for Python, pytest or coverage is not measured
        self.environ = {
            name: value
            for name, value in os.environ.items()
            if not name.startswith(("PYTEST", "PYTHON", "COV", "PY_COLORS", "FORCE_COLOR", "VIRTUAL_ENV"))
        }
        # strings hash alike in all runs, so that dicts and sets are laid out alike
        self.environ["PYTHONHASHSEED"] = "0"

    def one(self, side: Side, task: Task) -> Run:
        """Run one side alone."""
        return self._finish(side, task, self._start(side, task))

    def pair(self, order: tuple[Side, Side], task: Task) -> dict[Side, Run]:
        """Run both sides in turns; the first of the order has the first turn."""
        to_first, to_second = os.pipe(), os.pipe()
        try:
            first = self._start(order[0], task, ("first", to_first[0], to_second[1]))
            second = self._start(order[1], task, ("second", to_second[0], to_first[1]))
        finally:
            # each end must be open in one process only, or the end of that process would not be seen
            for descriptor in (*to_first, *to_second):
                os.close(descriptor)
        try:
            return {
                order[0]: self._finish(order[0], task, first),
                order[1]: self._finish(order[1], task, second),
            }
        finally:
            for process in (first, second):
                process.kill()  # nothing to a process that was waited for
                process.wait()

    def _start(self, side: Side, task: Task, turns: tuple[str, int, int] | None = None) -> subprocess.Popen[bytes]:
        result, basetemp = self._result(side), self.work / f"basetemp-{side}"
        result.unlink(missing_ok=True)
        # pytest would remove the old one inside the loop
        shutil.rmtree(basetemp, ignore_errors=True)
        search = os.pathsep.join([str(self.paths[side]), str(self.work / "clock")])
        environ = {**self.environ, "PYTHONPATH": search, "LEAKGUARD_BENCH_RESULT": str(result)}
        if turns is not None:
            environ["LEAKGUARD_BENCH_TURNS"] = " ".join(map(str, turns))
        quiet = ["-q", "-p", "no:cacheprovider", "-p", "loop_clock", f"--basetemp={basetemp}"]
        flags: Sequence[str] = task.flags if side == "with" else ()
        with self._output(side).open("wb") as output:
            return subprocess.Popen(
                [str(self.python), "-m", "pytest", *quiet, *flags],
                cwd=task.suite,
                env=environ,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                pass_fds=turns[1:] if turns is not None else (),
            )

    def _finish(self, side: Side, task: Task, process: subprocess.Popen[bytes]) -> Run:
        try:
            status = process.wait(RUN_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
            raise BenchmarkError(f"the side {side!r} did not end in {RUN_SECONDS} s") from None
        lines = self._output(side).read_text(encoding="utf-8", errors="replace").splitlines()
        tail = "\n".join(lines[-15:])
        if status or not self._result(side).exists():
            raise BenchmarkError(f"the side {side!r} ended with status {status}:\n{tail}")
        told: dict[str, Any] = json.loads(self._result(side).read_text(encoding="utf-8"))
        if told["passed"] != task.count:
            raise BenchmarkError(f"the side {side!r} passed {told['passed']} tests, not {task.count}:\n{tail}")
        if told["present"] != (side == "with"):
            raise BenchmarkError(f"the side {side!r} ran, and the plugin's presence was {told['present']}")
        closing = [line for line in lines if line.startswith("leakguard: ")]
        return Run(
            cpu_seconds=told["cpu_seconds"],
            load_seconds=told["load_seconds"],
            modules=tuple(told["modules"]),
            closing_line=closing[-1] if closing else "",
        )

    def _result(self, side: Side) -> Path:
        return self.work / f"result-{side}.json"

    def _output(self, side: Side) -> Path:
        return self.work / f"output-{side}.txt"
