"""What leakguard costs beside pytest alone and beside the tools that people use today.

    python benchmarks/compare.py                          all, and print the tables
    python benchmarks/compare.py --page docs/explanation/benchmarks.md    also put them on that page, with the plot
    python benchmarks/compare.py --only heap,descriptors --rounds 3
    python benchmarks/compare.py --json numbers.json      also write all that was measured
    python benchmarks/compare.py --told one.json two.json    measure nothing, tell what was

Two sorts of benchmark, see `suites.py` for the tests:

    trivial, resources, heap, async, xdist     one suite each; told is the CPU time over that of pytest alone
    descriptors, threads, objects, tests       the same tests with ever more of it; told is what a tool adds to a test

How: each run is a process of its own, with one tool and no other plugin. In each round every tool runs the same
tests once, beginning with another tool each time, and a tool is held against pytest alone in the same round. What is
told is the median over the rounds and its 95 % interval (interval.py; 6 rounds at least). Time is CPU time, in the
test loop alone (loop_clock.py); of `xdist` it is that of all processes, start and end included. A tool that took more
than --patience seconds for a run, waiting included, is run once there, and not where there is more. A run of pytest
alone that writes the byte code comes first and is not counted.

Then the two checks of the growth: what leakguard adds is flat in the size of the heap, and at most 2 us for each
open descriptor. Exit status: 0 both hold, 1 one does not, 3 one could not be told.

Needs a POSIX system, pytest, psutil, objgraph, pytest-xdist and pytest-asyncio; a tool that is not installed is left
out, which is said. leakguard's part in C is built where setuptools and a C compiler are. About an hour on a quiet CPU.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, field
from importlib.metadata import version
from pathlib import Path

import suites
from environment import BenchmarkError, install_plugin
from interval import Estimate, estimate
from plot import Curve, Panel, draw
from tools import GUARD, PLAIN, TOOLS, Tool

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent
RUN_SECONDS = 900
RESULTS = "## Results"  # what follows this heading on the page is ours
DESCRIPTOR_BUDGET = 2e-6  # seconds of CPU time for each test and open descriptor
FLAT = 1.25  # how often the cost beside the smallest heap may be paid beside the largest


@dataclass(frozen=True, slots=True, kw_only=True)
class Point:
    """One suite to be run with every tool.

    Attributes:
        benchmark: the benchmark it belongs to.
        size: how much there is of what grows; 0 when nothing grows.
        write: writes the tests into a folder, says how many.
        arguments: what goes to pytest, whatever the tool.
        is_whole: the clock is that of the whole process and its children, not of the loop.
    """

    benchmark: str
    size: int = 0
    write: Callable[[Path], int]
    arguments: tuple[str, ...] = ()
    is_whole: bool = False


def _held(what: str, sizes: Sequence[int]) -> tuple[Point, ...]:
    def writer(size: int) -> Callable[[Path], int]:
        return lambda folder: suites.with_held(folder, what, size)

    return tuple(Point(benchmark=what, size=size, write=writer(size)) for size in sizes)


def _many(sizes: Sequence[int]) -> tuple[Point, ...]:
    def writer(size: int) -> Callable[[Path], int]:
        return lambda folder: suites.many(folder, size)

    return tuple(Point(benchmark="tests", size=size, write=writer(size)) for size in sizes)


SUITES = (
    Point(benchmark="trivial", write=lambda folder: suites.many(folder, 500)),
    Point(benchmark="resources", write=suites.few_resources),
    Point(benchmark="heap", write=suites.few_with_heap),
    Point(benchmark="async", write=suites.coroutines, arguments=("-p", "pytest_asyncio.plugin")),
    Point(
        benchmark="xdist",
        write=lambda folder: suites.many(folder, 500),
        arguments=("-p", "xdist.plugin", "-n", "2"),
        is_whole=True,
    ),
)
GROWTH = (
    *_held("descriptors", (10, 100, 1_000, 10_000)),
    *_held("threads", (1, 10, 100, 1_000)),
    *_held("objects", (10_000, 100_000, 1_000_000, 10_000_000)),
    *_many((100, 1_000, 10_000, 100_000)),
)
# the longest of these runs take minutes: what takes long itself needs fewer rounds to be told
MOST_ROUNDS = {("tests", 100_000): 6, ("objects", 10_000_000): 6}
# where a tool that looks at all there is, whatever happened, or waits after each test, would take for ever
SLOW_LIMIT = {"tests": 2_000, "objects": 1_000_000}
SLOW = ("gc.collect() after each test", "pytest-openfiles", "pyleak")


@dataclass(slots=True, kw_only=True)
class Measured:
    """The runs of one point: for each tool, CPU seconds round by round; none for one that was left out."""

    benchmark: str
    size: int
    tests: int
    seconds: dict[str, list[float]] = field(default_factory=dict)
    problems: dict[str, str] = field(default_factory=dict)  # tool -> why it was not measured

    def _paired(self, tool: str) -> list[tuple[float, float]]:
        return list(zip(self.seconds.get(tool, ()), self.seconds[PLAIN.name], strict=False))

    def ratio(self, tool: str) -> Estimate | None:
        """CPU time over that of pytest alone in the same round."""
        values = [mine / plain for mine, plain in self._paired(tool)]
        return estimate(values) if values else None

    def added(self, tool: str) -> Estimate | None:
        """CPU seconds that a test takes more than with pytest alone in the same round."""
        values = [(mine - plain) / self.tests for mine, plain in self._paired(tool)]
        return estimate(values) if values else None

    def each(self, tool: str) -> float | None:
        """CPU seconds of a test."""
        values = self.seconds.get(tool)
        return estimate(values).median / self.tests if values else None


class Runner:
    """Runs one suite with one tool, in a process of its own.

    Attributes:
        has_native: whether leakguard, as installed for it, has its part in C.
    """

    def __init__(self, work: Path) -> None:
        self.work = work
        installed = work / "installed"
        self.has_native = install_plugin(ROOT, installed)
        clock = work / "clock"
        clock.mkdir()
        shutil.copy2(HERE / "loop_clock.py", clock)
        self.search = [str(installed), str(clock)]
        self.environ = {
            name: value
            for name, value in os.environ.items()
            if not name.startswith(("PYTEST", "PYTHON", "COV", "PY_COLORS", "FORCE_COLOR"))
        }
        self.environ |= {"PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1", "PYTHONHASHSEED": "0"}

    def run(self, tool: Tool, point: Point, suite: Path, tests: int) -> float:
        """Run the tests once.

        Returns: CPU seconds.
        Raises: BenchmarkError when a test did not pass.
        """
        result, output, basetemp = self.work / "result.json", self.work / "output.txt", self.work / "basetemp"
        result.unlink(missing_ok=True)
        shutil.rmtree(basetemp, ignore_errors=True)
        search, arguments = list(self.search), [*point.arguments, *tool.arguments]
        if tool.plugin:
            folder = self.work / f"plugin-{TOOLS.index(tool)}"
            folder.mkdir(exist_ok=True)
            (folder / "each_test.py").write_text(tool.plugin, "utf-8")
            search.append(str(folder))
            arguments += ["-p", "each_test"]
        quiet = ["-q", "-p", "no:cacheprovider", "-p", "loop_clock", f"--basetemp={basetemp}"]
        with output.open("wb") as printed:
            process = subprocess.Popen(
                [sys.executable, "-m", "pytest", *quiet, *arguments],
                cwd=suite,
                env={**self.environ, "PYTHONPATH": os.pathsep.join(search), "LEAKGUARD_BENCH_RESULT": str(result)},
                stdin=subprocess.DEVNULL,
                stdout=printed,
                stderr=subprocess.STDOUT,
            )
            _, status, used = os.wait4(process.pid, 0)
            process.returncode = os.waitstatus_to_exitcode(status)
        tail = "\n".join(output.read_text("utf-8", errors="replace").splitlines()[-8:])
        if process.returncode or not result.exists():
            raise BenchmarkError(f"{tool.name} ended with status {process.returncode}:\n{tail}")
        told = json.loads(result.read_text("utf-8"))
        if told["passed"] != tests:
            raise BenchmarkError(f"{tool.name}: {told['passed']} tests passed, not {tests}:\n{tail}")
        return used.ru_utime + used.ru_stime if point.is_whole else float(told["cpu_seconds"])


def measure(runner: Runner, point: Point, tools: Sequence[Tool], rounds: int, patience: float) -> Measured:
    """Run every tool in every round.

    Args:
        runner: where it runs.
        point: the suite.
        tools: what runs it; pytest alone is one of them.
        rounds: how many rounds are counted.
        patience: seconds of a run, waiting included, after which a tool is not run again.
    """
    suite = runner.work / "suite"
    shutil.rmtree(suite, ignore_errors=True)
    found = Measured(benchmark=point.benchmark, size=point.size, tests=point.write(suite))
    runner.run(PLAIN, point, suite, found.tests)  # writes the byte code
    left = list(tools)
    for number in range(rounds):
        for tool in left[number % len(left) :] + left[: number % len(left)]:
            name = f"{point.benchmark} {point.size or ''}".strip()
            print(f"\r{name}: round {number + 1}, {tool.name:<32}", end="", file=sys.stderr, flush=True)
            started = time.monotonic()
            try:
                seconds = runner.run(tool, point, suite, found.tests)
            except BenchmarkError as error:
                found.problems[tool.name] = str(error)
                left.remove(tool)
                continue
            found.seconds.setdefault(tool.name, []).append(seconds)
            took = time.monotonic() - started
            if took > patience and tool not in (PLAIN, GUARD):
                found.problems[tool.name] = f"took {took:.0f} s, waiting included, so it was run once"
                left.remove(tool)
    print("\r" + " " * 70, end="\r", file=sys.stderr, flush=True)
    return found


def measure_all(
    runner: Runner, points: Sequence[Point], there: Sequence[Tool], rounds: int, patience: float
) -> Iterator[Measured]:
    """All points in their order; a tool that was too slow at one is left out where there is more.

    Yields each as soon as it is measured.
    """
    too_slow: set[tuple[str, str]] = set()
    for point in points:
        limit = SLOW_LIMIT.get(point.benchmark, point.size)
        tools = [
            tool
            for tool in there
            if (point.benchmark, tool.name) not in too_slow and (point.size <= limit or tool.name not in SLOW)
        ]
        most = min(rounds, MOST_ROUNDS.get((point.benchmark, point.size), rounds))
        measured = measure(runner, point, tools, most, patience)
        too_slow |= {(point.benchmark, name) for name in measured.problems}
        yield measured


# -- telling


def as_ratio(found: Estimate | None) -> str:
    if found is None:
        return "-"
    if found.low is None or found.high is None:
        return f"{found.median:.2f}"
    return f"{found.median:.2f} ({found.low:.2f} to {found.high:.2f})"


def as_micro(found: Estimate | None) -> str:
    """Seconds as whole microseconds."""
    if found is None:
        return "-"
    if found.low is None or found.high is None:
        return f"{found.median * 1e6:,.0f}"
    return f"{found.median * 1e6:,.0f} ({found.low * 1e6:,.0f} to {found.high * 1e6:,.0f})"


def lines_of(measured: Measured) -> list[str]:
    """A point for people, as soon as it is measured."""
    lines = [f"{measured.benchmark} {measured.size or ''}: {measured.tests:,} tests"]
    for name in measured.seconds:
        each = measured.each(name)
        assert each is not None
        ratio, added = as_ratio(measured.ratio(name)), as_micro(measured.added(name))
        lines.append(f"  {name:<32}{each * 1e6:9.0f} us a test, ratio {ratio}, adds {added} us")
    return lines + [f"  {name}: {problem}" for name, problem in measured.problems.items()]


def _row(cells: Sequence[str]) -> str:
    return "| " + " | ".join(cells) + " |"


def _names(measured: Sequence[Measured]) -> list[str]:
    return [tool.name for tool in TOOLS if any(tool.name in each.seconds for each in measured)]


def tables(measured: Sequence[Measured]) -> list[str]:
    """All results as Markdown."""
    flat = [each for each in measured if not each.size]
    lines = []
    if flat:
        lines += ["### CPU time over that of pytest alone", ""]
        lines += [_row(["", *(each.benchmark for each in flat)]), _row(["---", *(["---:"] * len(flat))])]
        for name in _names(flat):
            if name != PLAIN.name:
                lines.append(_row([name, *(as_ratio(each.ratio(name)) for each in flat)]))
        alone = (each.each(PLAIN.name) or 0.0 for each in flat)
        lines += [_row(["pytest alone, us a test", *(f"{seconds * 1e6:,.0f}" for seconds in alone)]), ""]
    for benchmark in dict.fromkeys(each.benchmark for each in measured if each.size):
        points = [each for each in measured if each.benchmark == benchmark]
        lines += [f"### Microseconds added to a test, by {benchmark}", ""]
        lines += [_row(["", *(f"{each.size:,}" for each in points)]), _row(["---", *(["---:"] * len(points))])]
        for name in _names(points):
            if name != PLAIN.name:
                lines.append(_row([name, *(as_micro(each.added(name)) for each in points)]))
        alone = (each.each(PLAIN.name) or 0.0 for each in points)
        lines += [_row(["pytest alone, us a test", *(f"{seconds * 1e6:,.0f}" for seconds in alone)]), ""]
    return lines


def checks(measured: Sequence[Measured]) -> list[tuple[bool | None, str]]:
    """The two promises of the growth, with whether they hold; None when the points are not there."""
    sizes = {(each.benchmark, each.size): each for each in measured}

    def ends(benchmark: str) -> tuple[Measured, Measured] | None:
        points = sorted((each for (name, _), each in sizes.items() if name == benchmark), key=lambda each: each.size)
        return (points[0], points[-1]) if len(points) > 1 else None

    told: list[tuple[bool | None, str]] = []
    found = ends("descriptors")
    if found is None:
        told.append((None, "cost for each open descriptor: not measured"))
    else:
        small, large = found
        pairs = zip(_added(small), _added(large), strict=False)
        slope = estimate([(more - less) / (large.size - small.size) for less, more in pairs])
        holds = slope.median <= DESCRIPTOR_BUDGET
        interval = (
            "" if slope.low is None or slope.high is None else f" ({slope.low * 1e6:.2f} to {slope.high * 1e6:.2f})"
        )
        told.append((holds, f"each open descriptor adds {slope.median * 1e6:.2f}{interval} us to a test, budget 2 us"))
    found = ends("objects")
    if found is None:
        told.append((None, "cost by the size of the heap: not measured"))
    else:
        small, large = found
        less, more = small.added(GUARD.name), large.added(GUARD.name)
        assert less is not None
        assert more is not None
        # the intervals tell whether a difference is more than noise
        overlap = less.high is not None and more.low is not None and more.low <= less.high
        holds = more.median <= FLAT * less.median or overlap
        text = f"a test takes {as_micro(more)} us more with {large.size:,} objects on the heap"
        told.append((holds, f"{text}, {as_micro(less)} us more with {small.size:,}"))
    return told


def _added(measured: Measured) -> list[float]:
    """Round by round, the CPU seconds that leakguard adds to a test."""
    pairs = zip(measured.seconds[GUARD.name], measured.seconds[PLAIN.name], strict=True)
    return [(mine - plain) / measured.tests for mine, plain in pairs]


def picture(measured: Sequence[Measured]) -> str:
    """The growth as an SVG: CPU milliseconds of a test, by what grows."""
    panels = []
    for benchmark in dict.fromkeys(each.benchmark for each in measured if each.size):
        points = [each for each in measured if each.benchmark == benchmark]
        curves = []
        for name in _names(points):
            line = [(float(each.size), seconds * 1e3) for each in points if (seconds := each.each(name)) is not None]
            curves.append(Curve(name=name, points=tuple(line)))
        panels.append(Panel(title=f"by {benchmark}", x_title=f"{benchmark}", curves=tuple(curves)))
    return draw(panels, "CPU milliseconds of a test, pytest's own included")


def write(file: Path, where: str, measured: Sequence[Measured]) -> None:
    """All that was measured, and on what."""
    data = {"machine": where, "measured": [asdict(each) for each in measured]}
    file.write_text(json.dumps(data, indent=1) + "\n", "utf-8")


def read(files: Sequence[Path]) -> tuple[str, list[Measured]]:
    """What --json wrote: on what it was measured, and all of it in the order of the benchmarks."""
    told = [json.loads(file.read_text("utf-8")) for file in files]
    found = {(entry["benchmark"], entry["size"]): Measured(**entry) for data in told for entry in data["measured"]}
    in_order = [found[key] for point in (*SUITES, *GROWTH) if (key := (point.benchmark, point.size)) in found]
    return "; ".join(dict.fromkeys(data["machine"] for data in told)), in_order


def machine(has_native: bool) -> str:
    """On what it is measured."""
    return (
        f"Python {platform.python_version()}, pytest {version('pytest')}, {platform.system()} on {platform.machine()}, "
        f"{os.cpu_count()} CPUs, {'with' if has_native else 'without'} leakguard's part in C"
    )


def write_page(page: Path, where: str, measured: Sequence[Measured]) -> None:
    """Put the results under their heading, and the plot beside the page."""
    before, heading, _ = page.read_text("utf-8").partition(RESULTS + "\n")
    if not heading:
        raise BenchmarkError(f"there is no heading {RESULTS!r} in {page}")
    verdicts = [f"- {text}: {'holds' if holds else 'missed'}" for holds, text in checks(measured) if holds is not None]
    lines = [f"Measured on {where}.", "", *tables(measured)]
    if any(each.size for each in measured):
        plot = page.with_name(f"{page.stem}-growth.svg")
        plot.write_text(picture(measured), "utf-8")
        lines += ["### Curves", "", f"![CPU time of a test, by what grows]({plot.name})", ""]
    lines += ["### Checks", "", *verdicts, ""]
    page.write_text("\n".join([before + RESULTS, "", *lines]), "utf-8")


def parse(argv: Sequence[str] | None) -> argparse.Namespace:
    names = list(dict.fromkeys(point.benchmark for point in (*SUITES, *GROWTH)))
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--only", default="", metavar="NAME,...", help=f"of {', '.join(names)}")
    parser.add_argument("--tools", default="", metavar="NAME,...", help="only these, and pytest alone")
    parser.add_argument("--rounds", type=int, default=7, help="rounds, 7 by default; 6 at least for an interval")
    parser.add_argument("--patience", type=float, default=15, metavar="SECONDS", help="for a run, see above")
    parser.add_argument("--most", type=int, metavar="SIZE", help="leave out all that is larger")
    parser.add_argument("--told", type=Path, nargs="+", metavar="FILE", help="measure nothing, read these")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write all that was measured to FILE")
    parser.add_argument("--page", type=Path, metavar="FILE", help=f"put the results under {RESULTS!r} of this page")
    options = parser.parse_args(argv)
    options.only = options.only.split(",") if options.only else names
    if unknown := set(options.only) - set(names):
        parser.error(f"--only: no such benchmark: {', '.join(sorted(unknown))}; there are {', '.join(names)}")
    options.tools = options.tools.split(",") if options.tools else [tool.name for tool in TOOLS]
    if unknown := set(options.tools) - {tool.name for tool in TOOLS}:
        parser.error(f"--tools: no such tool: {', '.join(sorted(unknown))}")
    if options.rounds < 1:
        parser.error("--rounds must be 1 or more")
    return options


def main(argv: Sequence[str] | None = None) -> int:
    options = parse(argv)
    asked = [tool for tool in TOOLS if tool is PLAIN or tool.name in options.tools]
    tools = [tool for tool in asked if tool.is_there]
    for tool in asked:
        if tool not in tools:
            print(f"left out, not installed: {tool.name}")
    points = [
        point
        for point in (*SUITES, *GROWTH)
        if point.benchmark in options.only and (options.most is None or point.size <= options.most)
    ]
    if options.told:
        where, measured = read(options.told)
    else:
        with tempfile.TemporaryDirectory(prefix="leakguard-compare-") as name:
            runner, measured = Runner(Path(name)), []
            where = machine(runner.has_native)
            print(f"{where}; load {os.getloadavg()[0]:.1f}", flush=True)
            for found in measure_all(runner, points, tools, options.rounds, options.patience):
                print("\n".join(lines_of(found)), flush=True)
                measured.append(found)
                if options.json:
                    write(options.json, where, measured)  # each time: it takes long, and may be broken off
    print("\n".join(tables(measured)))
    verdicts = checks(measured)
    for holds, text in verdicts:
        print(f"{'-' if holds is None else 'holds' if holds else 'MISSED'}: {text}")
    if options.page:
        write_page(options.page, where, measured)
    held = [holds for holds, _ in verdicts]
    return 1 if False in held else 3 if None in held else 0


if __name__ == "__main__":
    try:
        raise SystemExit(main())
    except BenchmarkError as failure:
        raise SystemExit(f"benchmarks: {failure}") from None
