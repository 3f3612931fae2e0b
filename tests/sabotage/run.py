"""Applies the sabotages one by one to a copy of the package; the named test of each has to fail.

    python tests/sabotage/run.py                 all
    python tests/sabotage/run.py fds litter      those whose file or test has one of these words in it
    python tests/sabotage/run.py --table         writes the results into the documentation too

Exit status: 0 when each was noticed.
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from sabotages import SABOTAGES, Sabotage

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "explanation" / "kill-table.md"
START = "## Sabotages\n"
OPTIONS = ("-x", "-q", "-o", "addopts=", "-p", "no:leakguard", "-p", "no:cacheprovider", "-p", "no:randomly")
SECONDS = 600


def passes(copy: Path, test: str) -> bool | None:
    """Whether the test passes with the package in that folder; None when it could not be run."""
    try:
        ran = subprocess.run(
            [sys.executable, "-B", "-m", "pytest", *OPTIONS, f"--basetemp={copy / 'tmp'}",
             "-c", str(ROOT / "pyproject.toml"), str(ROOT / "tests" / test)],
            cwd=copy,  # first on the path: the package is taken from there
            env={**os.environ, "PYTHONPATH": str(copy)},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=SECONDS,
            check=False,
        )  # fmt: skip
    except subprocess.TimeoutExpired:
        return False
    return {0: True, 1: False}.get(ran.returncode)


def is_noticed(sabotage: Sabotage, copy: Path) -> bool | None:
    """Whether the test fails with the sabotage in place, which is taken back; None when it could not be run."""
    file = copy / "pytest_leakguard" / sabotage.file
    before = file.read_text("utf-8")
    file.write_text(before.replace(sabotage.old, sabotage.new), "utf-8")
    try:
        passed = passes(copy, sabotage.test)
    finally:
        file.write_text(before, "utf-8")
    return None if passed is None else not passed


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("words", nargs="*")
    parser.add_argument("--table", action="store_true", help="write the results into the documentation")
    args = parser.parse_args()
    chosen = [s for s in SABOTAGES if not args.words or any(word in f"{s.file} {s.test}" for word in args.words)]
    with tempfile.TemporaryDirectory() as folder:
        copy = Path(folder)
        shutil.copytree(
            ROOT / "pytest_leakguard", copy / "pytest_leakguard", ignore=shutil.ignore_patterns("__pycache__")
        )
        sound = {test: passes(copy, test) for test in sorted({sabotage.test for sabotage in chosen})}
        results = []
        for sabotage in chosen:
            noticed = is_noticed(sabotage, copy) if sound[sabotage.test] else None
            word = {True: "killed", False: "SURVIVES", None: "NO TEST"}[noticed]
            print(f"{word:8}  {sabotage.file}: {_short(sabotage.old)} -> {_short(sabotage.new)}", flush=True)
            if noticed is not True:
                print(f"          {sabotage.test}", flush=True)
            results.append((sabotage, word))
    killed = sum(word == "killed" for _, word in results)
    print(f"{len(results)} sabotages, {killed} killed")
    if args.table and not args.words:
        write(results)
    sys.exit(killed != len(results))


def _short(text: str) -> str:
    text = " ".join(text.split())
    return (text if len(text) <= 60 else f"{text[:57]}...") or "nothing"


def write(results: Sequence[tuple[Sabotage, str]]) -> None:
    """The table, below its heading, which is the page's last."""
    lines = ["| file | from | to | noticed by | |", "| --- | --- | --- | --- | --- |"]
    for sabotage, word in results:
        old, new = (f"`{_short(text)}`".replace("|", "\\|") for text in (sabotage.old, sabotage.new))
        lines.append(f"| `{sabotage.file}` | {old} | {new} | `{sabotage.test}` | {word} |")
    text = PAGE.read_text("utf-8")
    PAGE.write_text(text[: text.index(START)] + START + "\n" + "\n".join(lines) + "\n", "utf-8")


if __name__ == "__main__":
    main()
