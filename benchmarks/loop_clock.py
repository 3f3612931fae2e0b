"""The stopwatch: a pytest plugin that both sides of a benchmark run with (`-p loop_clock`).

It writes one JSON object to the file that LEAKGUARD_BENCH_RESULT names:

    cpu_seconds   CPU time of this process, all threads, between start and end of the test loop
    passed        tests whose call passed; others are a reason to throw the run away
    present       is the plugin registered in this run
    load_seconds  CPU time of loading the plugin's entry point, null when it was not loaded
    modules       its modules, and psutil and objgraph, that were imported when the loop began

When LEAKGUARD_BENCH_TURNS is set ("first" or "second", then the descriptor to read and the one to write),
the loop is run in turns with another process: some tests here, then as many there. Waiting takes no CPU
time.
"""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Generator
from importlib.metadata import EntryPoint
from pathlib import Path
from typing import Any

import pytest

ENTRY_POINT = "leakguard"
TESTS_A_TURN = 40
# plugins given by -p are loaded before those of entry points, so this is in place when ours is loaded
_load = EntryPoint.load
_load_seconds: list[float] = []


def _timed_load(self: EntryPoint) -> Any:
    """Load as always; the time of the one entry point that is looked at is kept."""
    start = time.process_time()
    try:
        return _load(self)
    finally:
        if self.name == ENTRY_POINT:
            _load_seconds.append(time.process_time() - start)


EntryPoint.load = _timed_load  # type: ignore[method-assign]


def _is_of_plugin(module: str) -> bool:
    return module.split(".")[0] in ("pytest_leakguard", "psutil", "objgraph")


class Turns:
    """This process' end of two pipes that a byte goes round in: who reads it has the turn."""

    def __init__(self, text: str) -> None:
        order, read, write = text.split()
        self.is_first = order == "first"
        self.read, self.write = int(read), int(write)

    def begin(self) -> None:
        """Wait until both are ready and it is this one's turn."""
        if not self.is_first:
            self._hand_over()
        self._wait()

    def swap(self) -> None:
        """Let the other go on, until it swaps or ends."""
        self._hand_over()
        self._wait()

    def end(self) -> None:
        """Let the other go on for good."""
        os.close(self.write)

    def _wait(self) -> None:
        os.read(self.read, 1)  # nothing is read when the other has ended: go on

    def _hand_over(self) -> None:
        try:
            os.write(self.write, b".")
        except BrokenPipeError:
            return  # the other has ended


class LoopClock:
    """Times the test loop and counts what passed in it."""

    def __init__(self, result: Path, turns: Turns | None) -> None:
        self.result = result
        self.turns = turns
        self.passed = 0
        self.finished = 0

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        self.passed += report.when == "call" and report.passed

    def pytest_runtest_logfinish(self) -> None:
        self.finished += 1
        if self.turns is not None and self.finished % TESTS_A_TURN == 0:
            self.turns.swap()

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_runtestloop(self, session: pytest.Session) -> Generator[None, object, object]:
        modules = sorted(filter(_is_of_plugin, sys.modules))
        if self.turns is not None:
            self.turns.begin()
        start = time.process_time()
        outcome = yield
        cpu_seconds = time.process_time() - start
        if self.turns is not None:
            self.turns.end()
        told = {
            "cpu_seconds": cpu_seconds,
            "passed": self.passed,
            "present": session.config.pluginmanager.has_plugin(ENTRY_POINT),
            "load_seconds": _load_seconds[0] if _load_seconds else None,
            "modules": modules,
        }
        self.result.write_text(json.dumps(told), encoding="utf-8")
        return outcome


def pytest_configure(config: pytest.Config) -> None:
    if hasattr(config, "workerinput"):
        return  # of a distributed run the controller tells
    turns = os.environ.get("LEAKGUARD_BENCH_TURNS")
    clock = LoopClock(Path(os.environ["LEAKGUARD_BENCH_RESULT"]), Turns(turns) if turns else None)
    config.pluginmanager.register(clock, "loop_clock_instance")
