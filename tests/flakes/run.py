"""The flake gate: no verdict changes from run to run.

    python tests/flakes/run.py                     all of it; takes long
    python tests/flakes/run.py --twins 5 --suite 0

First one leaky and one clean twin of each kind are run again and again while
other processes keep every CPU busy: each run has to tell the same, down to the
line. Then the whole suite is run in random order on four workers, a new order
each time. Exit status: 0 when nothing changed.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT / "tests" / "plugin"))

from twins import FORKING, KINDS, ROWS, Row, line_marked, tree  # noqa: E402

Told = Counter[tuple[object, ...]]
"""(test, kind, verdict, disposition, owner, file, line) of each finding."""
SECONDS = 600
_TAIL = 2000


class NoAnswer(Exception):
    """A run that told nothing, or had troubles of its own; says what was seen of it."""


def chosen() -> list[Row]:
    """One leaky and one clean twin of each kind: what the body of a plain test acquires."""
    return [row for row in ROWS if row.given == "plain"]


# ends with this process, however that ends
BUSY = "import os\nparent = os.getppid()\nwhile os.getppid() == parent:\n    sum(range(100_000))"


@contextmanager
def load() -> Iterator[None]:
    """Two processes for each CPU that do nothing but run."""
    busy: list[subprocess.Popen[bytes]] = []
    try:
        for _ in range(2 * (os.cpu_count() or 1)):
            busy.append(subprocess.Popen([sys.executable, "-S", "-c", BUSY]))
        yield
    finally:
        for process in busy:
            process.kill()
            process.wait()


def told(folder: Path) -> Told:
    """What one run over the twins tells. Raises NoAnswer."""
    report = folder / "report.json"
    report.unlink(missing_ok=True)
    options = ["-q", "-p", "no:cacheprovider", "-p", "leakguard", "--leakguard", f"--leakguard-json={report}"]
    with tempfile.TemporaryDirectory() as stray, tempfile.TemporaryFile("w+") as output:
        try:
            subprocess.run(
                [sys.executable, "-m", "pytest", *options, f"--rootdir={folder}"],
                cwd=folder,
                env={**os.environ, "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1", "TMPDIR": stray, "TWINS_DATA": str(folder)},
                stdin=subprocess.DEVNULL,
                stdout=output,  # no pipe: a child that is left would keep that open, and nobody could read to its end
                stderr=subprocess.STDOUT,
                timeout=SECONDS,
                check=False,
            )
            data: dict[str, Any] = json.loads(report.read_text("utf-8"))
        except (subprocess.TimeoutExpired, OSError, ValueError) as error:
            output.seek(0)
            raise NoAnswer(f"{type(error).__name__}: {error}\n{output.read()[-_TAIL:]}") from None
    if data["errors"] or data["blind"]:
        raise NoAnswer(f"errors {data['errors']}, blind {data['blind']}")
    return Counter(
        (f["test"], f["kind"], f["verdict"], f["disposition"], f["owner"]["name"], f["origin"]["file"],
         f["origin"]["line"])
        for f in data["findings"]
        for _ in range(f["count"])
    )  # fmt: skip


def expected(rows: list[Row], files: dict[str, str]) -> Told:
    """What the table of twins says."""
    return Counter(
        (row.test, row.lines.tells or row.kind, row.lines.verdict, "fails", row.owner["name"], row.file,
         line_marked(files[row.file], row.name))
        for row in rows
        if row.leaky
    )  # fmt: skip


def twins(times: int) -> bool:
    """Whether every run told what the table of twins says."""
    rows = chosen()
    assert {row.kind for row in rows} == set(KINDS)
    steady = True
    with tempfile.TemporaryDirectory() as name, load():
        projects: list[tuple[Path, Told]] = []
        for number, forking in enumerate((False, True)):
            # what forks runs apart, as in the suite: the children would take the others' pipes with them
            some = [row for row in rows if (row.kind in FORKING) is forking]
            folder, files = Path(name) / str(number), tree(some)
            for path, text in {**files, **{f"{row.name}.txt": "x" for row in some}}.items():
                (folder / path).parent.mkdir(parents=True, exist_ok=True)
                (folder / path).write_text(text, "utf-8")
            projects.append((folder, expected(some, files)))
        for number in range(1, times + 1):
            start = time.monotonic()
            for folder, wanted in projects:
                try:
                    now = told(folder)
                except NoAnswer as error:
                    steady = False
                    print(f"twins, run {number}: no answer: {error}", flush=True)
                    continue
                if now != wanted:
                    steady = False
                    print(f"twins, run {number}: missing {dict(wanted - now)}, too much {dict(now - wanted)}")
            print(f"twins, run {number}: {time.monotonic() - start:.0f} s", flush=True)
    print(f"twins: {times} runs of {len(rows)} under load: {'no change' if steady else 'CHANGED'}", flush=True)
    return steady


def suite(times: int) -> bool:
    """Whether the whole suite passed each time, without a leak."""
    steady = True
    for seed in range(1, times + 1):
        options = ["-q", "-o", "addopts=", "--leakguard", "--strict-markers", "-n", "4", f"--randomly-seed={seed}"]
        ran = subprocess.run([sys.executable, "-m", "pytest", *options], cwd=ROOT, check=False)
        print(f"suite, seed {seed}: exit status {ran.returncode}", flush=True)
        steady = steady and ran.returncode == 0
    return steady


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--twins", type=int, default=50, metavar="N", help="runs of the twins")
    parser.add_argument("--suite", type=int, default=3, metavar="N", help="runs of the whole suite")
    args = parser.parse_args()
    results = [twins(args.twins) if args.twins else True, suite(args.suite)]
    sys.exit(not all(results))


if __name__ == "__main__":
    main()
