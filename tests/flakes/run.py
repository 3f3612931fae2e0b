"""The flake gate: no verdict changes from run to run.

    python tests/flakes/run.py                     all of it; takes long
    python tests/flakes/run.py --twins 5 --suite 0

First one leaky and one clean twin of each kind are run again and again while
other processes keep every CPU busy: each run has to tell the same. Then the
whole suite is run in random order on four workers, a new order each time.
Exit status: 0 when nothing changed.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT / "tests" / "plugin"))

from twins import KINDS, ROWS, Row, tree  # noqa: E402

Told = Counter[tuple[str, str, str, str]]
"""(test, kind, verdict, disposition) of each finding."""


def chosen() -> list[Row]:
    """One leaky and one clean twin of each kind: what the body of a plain test acquires."""
    return [row for row in ROWS if row.given == "plain"]


@contextmanager
def load() -> Iterator[None]:
    """Two processes for each CPU that do nothing but run."""
    busy = [subprocess.Popen([sys.executable, "-c", "while True: pass"]) for _ in range(2 * (os.cpu_count() or 1))]
    try:
        yield
    finally:
        for process in busy:
            process.kill()
            process.wait()


def told(folder: Path) -> Told:
    """What one run over the twins tells."""
    report = folder / "report.json"
    report.unlink(missing_ok=True)
    options = ["-q", "-p", "no:cacheprovider", "-p", "leakguard", "--leakguard", f"--leakguard-json={report}"]
    with tempfile.TemporaryDirectory() as stray:
        subprocess.run(
            [sys.executable, "-m", "pytest", *options, f"--rootdir={folder}"],
            cwd=folder,
            env={**os.environ, "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1", "TMPDIR": stray, "TWINS_DATA": str(folder)},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            timeout=600,
            check=False,
        )
    findings = json.loads(report.read_text("utf-8"))["findings"]
    return Counter((f["test"], f["kind"], f["verdict"], f["disposition"]) for f in findings)


def twins(times: int) -> bool:
    """Whether every run told what the table of twins says."""
    rows = chosen()
    expected = Counter((row.test, row.lines.tells or row.kind, row.lines.verdict, "fails") for row in rows if row.leaky)
    assert {row.kind for row in rows} == set(KINDS)
    steady = True
    with tempfile.TemporaryDirectory() as name, load():
        folder = Path(name)
        for path, text in tree(rows).items():
            (folder / path).parent.mkdir(parents=True, exist_ok=True)
            (folder / path).write_text(text, "utf-8")
        for row in rows:
            (folder / f"{row.name}.txt").write_text("x", "utf-8")
        for number in range(1, times + 1):
            now = told(folder)
            if now != expected:
                steady = False
                print(
                    f"twins, run {number}: missing {dict(expected - now)}, too much {dict(now - expected)}", flush=True
                )
    print(f"twins: {times} runs of {len(rows)} under load: {'no change' if steady else 'CHANGED'}", flush=True)
    return steady


def suite(times: int) -> bool:
    """Whether the whole suite passed each time."""
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
