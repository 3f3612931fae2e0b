"""What a trial of the fault engine costs, held against a plain run of the same test.

    python benchmarks/faults.py                       all families, 11 pairs of runs each
    python benchmarks/faults.py --only acquire --pairs 21
    python benchmarks/faults.py --json numbers.json   also writes all that was measured
    python benchmarks/faults.py --source DIR          the plugin of another checkout

With the plugin: 40 tests, each with 10 points of one family, swept; with its own run, the counting one and the
one at the end that is 13 runs a test. Without: the same test as often, as parameters, with nothing but pytest.
A value is the CPU time of the test loop (loop_clock.py) with the plugin, over that without. The two sides
alternate, and so does which of them begins; the median is printed with its 95 % interval (interval.py).

Only `acquire` has a budget, a ratio of 1.5. The others watch the code under test run, and are told.

Exit status: 0 it is kept, 1 it is not, or something could not be measured, 3 too few pairs to tell.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import statistics
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from importlib.metadata import version
from pathlib import Path

from environment import BenchmarkError
from interval import Estimate, estimate
from run import stay_on_one_cpu
from sides import Side, Sides, Task

TESTS = 40
POINTS = 10
RUNS = POINTS + 3
BUDGETS = {"acquire": 1.5}
LINES = {
    "acquire": "with open(__file__): pass",
    "call": "step()",
    "body": "with contextlib.nullcontext():\n        step()",
    "release": "Thing().close()",
    "interrupt": "step()",
    "cancel": "await asyncio.sleep(0)",
    "timeout": "await asyncio.sleep(0)",
}
REPORT = "sweep.json"
ORDERS: tuple[tuple[Side, Side], ...] = (("without", "with"), ("with", "without"))


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """What one family costs."""

    family: str
    estimate: Estimate
    budget: float | None
    trials_per_second: float
    runs_per_second: float
    values: tuple[float, ...]  # ratios, pair by pair

    @property
    def is_kept(self) -> bool:
        return self.budget is None or self.estimate.median <= self.budget


def write_suite(folder: Path, family: str, *, plain: bool) -> Task:
    """Write the tests of one side of a family."""
    folder.mkdir(parents=True)
    body = "".join(f"    {LINES[family]}\n" for _ in range(POINTS))
    is_async = "await" in LINES[family]
    (folder / "app.py").write_text(
        "import asyncio\nimport contextlib\n\n"
        "class Thing:\n    def close(self): pass\n\n"
        "def step(): pass\n\n"
        f"{'async ' if is_async else ''}def work():\n{body}",
        encoding="utf-8",
    )
    call = "asyncio.run(work())" if is_async else "work()"
    repeated = f"@pytest.mark.parametrize('run', range({RUNS}))\n" if plain else ""
    tests = "".join(f"{repeated}def test_{n}({'run' if plain else ''}):\n    {call}\n\n" for n in range(TESTS))
    (folder / "test_work.py").write_text(
        f"import asyncio\nimport pytest\nfrom app import work\n\n{tests}", encoding="utf-8"
    )
    (folder / "conftest.py").write_text("", encoding="utf-8")
    flags = ("--leakguard-faults", f"--leakguard-fault-families={family}", f"--leakguard-json={REPORT}")
    return Task(suite=folder, count=TESTS * (RUNS if plain else 1), flags=flags)


def measure(sides: Sides, tasks: dict[Side, Task], number: int) -> dict[Side, float]:
    """CPU seconds of the test loop of each side; who begins alternates. Raises BenchmarkError."""
    seconds = {side: sides.one(side, tasks[side]).cpu_seconds for side in ORDERS[number % 2]}
    swept = json.loads((tasks["with"].suite / REPORT).read_text(encoding="utf-8"))["faults"]
    if swept["trials"] != TESTS * POINTS or swept["stopped"]:
        raise BenchmarkError(f"{swept['trials']} trials were made, not {TESTS * POINTS}; stopped: {swept['stopped']}")
    return seconds


def run_family(sides: Sides, family: str, folder: Path, pairs: int) -> Result:
    """Write both suites, warm both sides, measure. Raises BenchmarkError when a run did not do what it should."""
    tasks: dict[Side, Task] = {
        "without": write_suite(folder / "plain", family, plain=True),
        "with": write_suite(folder / "swept", family, plain=False),
    }
    measure(sides, tasks, 0)  # writes the byte code
    measured = []
    for number in range(pairs):
        measured.append(measure(sides, tasks, number))
        print(f"\r{family}: pair {number + 1} ", end="", file=sys.stderr, flush=True)
    print("\r" + " " * 40, end="\r", file=sys.stderr, flush=True)
    values = tuple(one["with"] / one["without"] for one in measured)

    def each_second(side: Side) -> float:
        return TESTS * RUNS / statistics.median(one[side] for one in measured)

    return Result(
        family=family,
        estimate=estimate(values),
        budget=BUDGETS.get(family),
        trials_per_second=each_second("with"),
        runs_per_second=each_second("without"),
        values=values,
    )


def line_of(result: Result) -> str:
    """A result for people."""
    found = result.estimate
    interval = f", 95 % {found.low:.2f} to {found.high:.2f}" if found.low is not None else ", too few pairs"
    budget = "" if result.budget is None else f", budget {result.budget} {'kept' if result.is_kept else 'NOT kept'}"
    return (
        f"{result.family:<10} ratio {found.median:.2f}{interval}{budget}; "
        f"{result.trials_per_second:,.0f} trials a second, {result.runs_per_second:,.0f} plain runs"
    )


def exit_status(results: Sequence[Result], errors: dict[str, str]) -> int:
    """0 the budget is kept, 1 it is not or something could not be measured, 3 too few pairs to tell."""
    if errors or not all(result.is_kept for result in results):
        return 1
    return 3 if any(result.budget is not None and result.estimate.low is None for result in results) else 0


def parse(argv: Sequence[str] | None) -> argparse.Namespace:
    """Read the command line."""
    root = Path(__file__).resolve().parent.parent
    parser = argparse.ArgumentParser(description="What a trial of the fault engine costs.")
    parser.add_argument("--pairs", type=int, default=11, help="pairs of runs, 11 by default")
    parser.add_argument("--only", action="append", choices=list(LINES), help="this family only; repeatable")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write all that was measured to FILE")
    parser.add_argument("--source", type=Path, default=root, metavar="DIR", help="the checkout that is measured")
    options = parser.parse_args(argv)
    if options.pairs < 1:
        parser.error("--pairs must be 1 or more")
    return options


def main(argv: Sequence[str] | None = None) -> int:
    options = parse(argv)
    results: list[Result] = []
    errors: dict[str, str] = {}
    print(f"Python {platform.python_version()}, pytest {version('pytest')}, load {os.getloadavg()[0]:.1f}", flush=True)
    stay_on_one_cpu()
    with tempfile.TemporaryDirectory(prefix="leakguard-bench-") as name:
        sides = Sides(Path(name), options.source.resolve())
        for family in options.only or LINES:
            try:
                results.append(run_family(sides, family, Path(name) / family, options.pairs))
                print(line_of(results[-1]), flush=True)
            except BenchmarkError as error:
                errors[family] = str(error)
                print(f"{family:<10} error {error}", flush=True)
    if options.json:
        options.json.write_text(json.dumps({"results": [asdict(one) for one in results], "errors": errors}, indent=1))
    return exit_status(results, errors)


if __name__ == "__main__":
    try:
        raise SystemExit(main())
    except BenchmarkError as failure:
        raise SystemExit(f"benchmarks: {failure}") from None
