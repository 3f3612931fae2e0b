"""What the plugin costs: measured, and held against its budgets.

    python benchmarks/run.py                       all benchmarks, 21 pairs of runs each or more
    python benchmarks/run.py --only off --pairs 41
    python benchmarks/run.py --json numbers.json   also writes all that was measured
    python benchmarks/run.py --source DIR          the plugin of another checkout
    python benchmarks/run.py --table               also writes the table of the documentation (table.py)

| name      | the side with the plugin                               | budget        |
| --------- | ------------------------------------------------------ | ------------- |
| off       | installed but off, 1,000 trivial tests                 | ratio <= 1.01 |
| import    | loading the entry point, as pytest does it             | <= 5 ms       |
| trivial   | `--leakguard`, 2,000 trivial tests                     | ratio <= 1.05 |
| resources | `--leakguard`, tests that open files, sockets, threads | ratio <= 1.10 |
| heap      | `--leakguard`, 1,000,000 objects on the heap           | ratio <= 1.05 |
| tracked   | `leakguard_track`, 1,000,000 objects on the heap       | ratio <= 1.10 |

How: a value is the CPU time of the process in the test loop alone (loop_clock.py), so neither start-up nor
collection nor another program on the machine is in it. The two sides are one environment with and without
the plugin installed (environment.py). The two runs of a pair take turns, 40 tests each, on one CPU
(sides.py), and which side begins alternates. Of the ratios of the pairs the median is printed with its 95 %
interval (interval.py). The first run of each side is thrown away: it writes byte code. The tests
(suites.py) are written into a temp folder, which is removed.

A result is void, neither pass nor fail, when its interval is wider than the margin (the room that the
budget leaves, 0.05 for a ratio of 1.05), or when a guarded run printed no closing line and so may not have
been guarded. While the interval is too wide, more pairs are added, until the benchmark has taken --patience
seconds; that looks at the width only, never at the value.

Exit status: 0 all pass, 1 one failed or could not be measured, 3 none failed but one is void.

Needs a POSIX system, and pytest, psutil and objgraph in the environment that runs it; whether the plugin is
installed there, too, does not matter. Leave the machine alone meanwhile.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

import suites
import table
from environment import BenchmarkError
from interval import Estimate, Verdict, estimate, is_too_wide, judge
from sides import Run, Side, Sides, Task

FORMAT_VERSION = 1
ORDERS: tuple[tuple[Side, Side], ...] = (("without", "with"), ("with", "without"))


@dataclass(frozen=True, slots=True, kw_only=True)
class Benchmark:
    """One line of the table above."""

    name: str
    title: str
    suite: Callable[[Path], int]  # writes the tests into a folder, says how many
    flags: tuple[str, ...] = ()  # of the side with the plugin
    budget: float  # a ratio, or seconds for "import"
    floor: float = 1.0  # what it would be if the plugin cost nothing: 1 for a ratio, 0 for seconds

    @property
    def margin(self) -> float:
        """The room that the budget leaves."""
        return self.budget - self.floor

    @property
    def is_ratio(self) -> bool:
        return self.floor == 1.0


ON = ("--leakguard",)
TRACK = (*ON, "-o", "leakguard_track=tracked.Session\ntracked.Connection: close")
BENCHMARKS = (
    Benchmark(name="off", title="installed but off", suite=suites.short, budget=1.01),
    Benchmark(name="import", title="load of the entry point", suite=suites.one, budget=0.005, floor=0.0),
    Benchmark(name="trivial", title="trivial tests", suite=suites.trivial, flags=ON, budget=1.05),
    Benchmark(name="resources", title="files, sockets, threads", suite=suites.resources, flags=ON, budget=1.10),
    Benchmark(name="heap", title="1,000,000 objects alive", suite=suites.heap, flags=ON, budget=1.05),
    Benchmark(name="tracked", title="classes that are watched", suite=suites.tracked, flags=TRACK, budget=1.10),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """What one benchmark found."""

    name: str
    title: str
    tests: int
    budget: float
    margin: float
    is_ratio: bool  # else the values are seconds
    estimate: Estimate
    verdict: Verdict
    reason: str  # why it is void
    notes: tuple[str, ...]
    wall_seconds: float
    values: tuple[float, ...]  # pair by pair
    seconds_without: tuple[float, ...]  # CPU time of the loop, pair by pair; empty when not compared
    seconds_with: tuple[float, ...]


def measure(sides: Sides, benchmark: Benchmark, task: Task, number: int) -> dict[Side, Run]:
    """Make the measurement of that number; the even ones begin with one side and the odd with the other."""
    if benchmark.is_ratio:
        return sides.pair(ORDERS[number % 2], task)
    return {"with": sides.one("with", task)}


def value_of(benchmark: Benchmark, runs: dict[Side, Run]) -> float:
    """The ratio of a pair, or the seconds that the entry point took."""
    if benchmark.is_ratio:
        return runs["with"].cpu_seconds / runs["without"].cpu_seconds
    seconds = runs["with"].load_seconds
    if seconds is None:
        raise BenchmarkError("the entry point was not loaded")
    return seconds


def notes_of(benchmark: Benchmark, count: int, measured: Sequence[dict[Side, Run]]) -> tuple[str, ...]:
    """What else the runs say, for people."""
    if benchmark.is_ratio:
        plain, loaded = (statistics.median(runs[side].cpu_seconds for runs in measured) for side in ORDERS[0])
        each = (loaded - plain) / count * 1e6
        return (f"loop {plain:.3f} s without, {loaded:.3f} s with it: {each:+.1f} us a test",)
    modules = measured[-1]["with"].modules
    own = sum(name.split(".")[0] == "pytest_leakguard" for name in modules)
    others = [name for name in ("psutil", "objgraph") if name in modules]
    return (f"when off, {own} of its modules are imported; {' and '.join(others) or 'no psutil, no objgraph'}",)


def conclude(benchmark: Benchmark, count: int, measured: Sequence[dict[Side, Run]], wall_seconds: float) -> Result:
    """Turn the runs of a benchmark into its result."""
    values = tuple(value_of(benchmark, runs) for runs in measured)
    found = estimate(values)
    verdict, reason = judge(found, budget=benchmark.budget, margin=benchmark.margin)
    if benchmark.flags and not all(runs["with"].closing_line for runs in measured):
        verdict, reason = "void", "a guarded run printed no closing line: was it on?"

    def seconds(side: Side) -> tuple[float, ...]:
        return tuple(runs[side].cpu_seconds for runs in measured) if benchmark.is_ratio else ()

    return Result(
        name=benchmark.name,
        title=benchmark.title,
        tests=count,
        budget=benchmark.budget,
        margin=benchmark.margin,
        is_ratio=benchmark.is_ratio,
        estimate=found,
        verdict=verdict,
        reason=reason,
        notes=notes_of(benchmark, count, measured),
        wall_seconds=wall_seconds,
        values=values,
        seconds_without=seconds("without"),
        seconds_with=seconds("with"),
    )


def run_benchmark(sides: Sides, benchmark: Benchmark, folder: Path, pairs: int, patience_seconds: float) -> Result:
    """Write the suite, warm both sides, measure.

    Args:
        sides: where it runs.
        benchmark: what to measure.
        folder: where the suite is written.
        pairs: how many pairs at least.
        patience_seconds: how long to add pairs while the interval is too wide.
    Raises: BenchmarkError when a run did not do what it should.
    """
    started = time.monotonic()
    suite = folder / benchmark.name
    task = Task(suite=suite, count=benchmark.suite(suite), flags=benchmark.flags)
    measure(sides, benchmark, task, 0)  # writes the byte code
    measured: list[dict[Side, Run]] = []
    while True:
        measured.append(measure(sides, benchmark, task, len(measured)))
        elapsed = time.monotonic() - started
        print(f"\r{benchmark.name}: pair {len(measured)}, {elapsed:.0f} s ", end="", file=sys.stderr, flush=True)
        if len(measured) < pairs:
            continue
        found = estimate([value_of(benchmark, runs) for runs in measured])
        next_seconds = elapsed / len(measured)
        if not is_too_wide(found, benchmark.margin) or elapsed + next_seconds > patience_seconds:
            break
    print("\r" + " " * 40, end="\r", file=sys.stderr, flush=True)
    return conclude(benchmark, task.count, measured, time.monotonic() - started)


def lines_of(result: Result) -> list[str]:
    """A result for people."""

    def number(value: float | None) -> str:
        if value is None:
            return "-"
        return f"{value:.4f}" if result.is_ratio else f"{value * 1000:.2f} ms"

    found = result.estimate
    facts = [
        f"median {number(found.median)}, 95 % interval {number(found.low)} to {number(found.high)}, "
        f"budget {number(result.budget)}",
        f"{result.title}: {result.tests:,} tests, {len(result.values)} pairs, {result.wall_seconds:.0f} s",
        *result.notes,
        *([result.reason] if result.reason else []),
    ]
    heads = [f"{result.name:<10}{result.verdict:<5}"] + [" " * 15] * (len(facts) - 1)
    return [f"{head} {fact}" for head, fact in zip(heads, facts, strict=True)]


def as_data(results: Sequence[Result], errors: dict[str, str], has_native: bool) -> dict[str, Any]:
    """All that was measured and on what, for --json."""
    return {
        "format": "pytest-leakguard-benchmarks",
        "format_version": FORMAT_VERSION,
        "date": table.day_of(time.time()),
        "python": platform.python_version(),
        "pytest": version("pytest"),
        "platform": platform.platform(),
        "cpus": os.cpu_count(),
        "native": has_native,
        "results": [asdict(result) for result in results],
        "errors": errors,
    }


def exit_status(results: Sequence[Result], errors: dict[str, str]) -> int:
    """0 all pass, 1 one failed or could not be measured, 3 none failed but one is void."""
    verdicts = {result.verdict for result in results}
    if errors or "fail" in verdicts:
        return 1
    return 3 if "void" in verdicts else 0


def parse(argv: Sequence[str] | None) -> argparse.Namespace:
    """Read the command line."""
    names = [benchmark.name for benchmark in BENCHMARKS]
    root = Path(__file__).resolve().parent.parent
    parser = argparse.ArgumentParser(description="What the plugin costs, held against its budgets.")
    parser.add_argument("--pairs", type=int, default=21, help="pairs of runs at least, 21 by default")
    parser.add_argument("--only", action="append", choices=names, help="this benchmark only; repeatable")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write all that was measured to FILE")
    parser.add_argument(
        "--table", action="store_true", help="write the result into the documentation; needs all of them"
    )
    parser.add_argument(
        "--patience",
        type=float,
        default=170,
        metavar="SECONDS",
        help="how long a benchmark may take to add pairs while its interval is too wide, 170 by default",
    )
    parser.add_argument(
        "--source",
        type=Path,
        default=root,
        metavar="DIR",
        help="the checkout whose plugin is measured, this one",
    )
    options = parser.parse_args(argv)
    if options.table and options.only:
        parser.error("--table takes the numbers of all benchmarks: leave out --only")
    if options.pairs < 1:
        parser.error("--pairs must be 1 or more")
    if not (options.source / "pyproject.toml").is_file():
        parser.error(f"--source: there is no pyproject.toml in {options.source}")
    return options


def stay_on_one_cpu() -> None:
    """Keep this process, and so all it starts, on one CPU, where the system can."""
    if sys.platform == "linux":
        os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})


def main(argv: Sequence[str] | None = None) -> int:
    options = parse(argv)
    chosen = [benchmark for benchmark in BENCHMARKS if not options.only or benchmark.name in options.only]
    results: list[Result] = []
    errors: dict[str, str] = {}
    print(
        f"Python {platform.python_version()}, pytest {version('pytest')}, load {os.getloadavg()[0]:.1f}",
        flush=True,
    )
    stay_on_one_cpu()
    with tempfile.TemporaryDirectory(prefix="leakguard-bench-") as name:
        folder = Path(name)
        sides = Sides(folder, options.source.resolve())
        print(f"{'with' if sides.has_native else 'without'} the part in C", flush=True)
        for benchmark in chosen:
            try:
                result = run_benchmark(sides, benchmark, folder / "suites", options.pairs, options.patience)
            except BenchmarkError as error:
                errors[benchmark.name] = str(error)
                print(f"{benchmark.name:<10}error {error}", flush=True)
            else:
                results.append(result)
                print("\n".join(lines_of(result)), flush=True)
    data = as_data(results, errors, sides.has_native)
    if options.json:
        options.json.write_text(json.dumps(data, indent=1) + "\n", encoding="utf-8")
    if options.table:
        table.write(data)
    return exit_status(results, errors)


if __name__ == "__main__":
    try:
        raise SystemExit(main())
    except BenchmarkError as failure:
        raise SystemExit(f"benchmarks: {failure}") from None
