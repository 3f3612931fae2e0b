"""Applies the sabotages one by one to a copy of the package; the named test of each has to fail, or a reason be given.

    python tests/sabotage/run.py                 all
    python tests/sabotage/run.py fds litter      those whose file or test has one of these words in it
    python tests/sabotage/run.py --table         writes the results into the documentation too
    python tests/sabotage/run.py --missing       those that are not in that table yet

Exit status: 0 when each was noticed, or argued away. A reason that stands there without need is an error.
"""

from __future__ import annotations

import argparse
import compileall
import os
import py_compile
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path

from planned import Sabotage
from sabotages import SABOTAGES

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "explanation" / "kill-table.md"
START = "## Sabotages\n"
# plugins that no named test needs in the process that runs it: without them that starts twice as fast
NEEDLESS = ("leakguard", "cacheprovider", "randomly", "xdist", "pytest_cov", "hypothesispytest")
# some modules carry marks of this plugin, which are not known without it
UNKNOWN_MARKS = "-Wignore::pytest.PytestUnknownMarkWarning"
OPTIONS = ("-x", "-q", UNKNOWN_MARKS, "-o", "addopts=", *(f"-pno:{name}" for name in NEEDLESS))
SECONDS = 150
_TOLD_AT_MOST = 90
KILLED, ARGUED = "killed", "argued: "
NO_TEST = "NO TEST"
"""The test fails or is skipped anyway."""


def passes(copy: Path, test: str) -> bool | None:
    """Whether the test passes with the package in that folder; None when it could not be run."""
    try:
        ran = subprocess.run(
            [sys.executable, "-B", "-m", "pytest", *OPTIONS, f"--basetemp={copy / 'tmp'}",
             "-c", str(ROOT / "pyproject.toml"), str(ROOT / "tests" / test)],
            cwd=copy,  # first on the path: the package is taken from there
            # without the part in C, which would do the work of what is sabotaged
            env={**os.environ, "PYTHONPATH": str(copy), "LEAKGUARD_PURE": "1"},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=SECONDS,
            check=False,
        )  # fmt: skip
    except subprocess.TimeoutExpired:
        return False
    if ran.returncode == 0 and b" passed" not in ran.stdout:
        return None  # skipped: nothing was proven
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
    parser.add_argument("--missing", action="store_true", help="only what does not stand there as killed or argued")
    args = parser.parse_args()
    chosen = [s for s in SABOTAGES if not args.words or any(word in f"{s.file} {s.test}" for word in args.words)]
    if args.missing:
        chosen = [sabotage for sabotage in chosen if _row(sabotage, _sound(sabotage)) not in table()]
    results: dict[Sabotage, str] = {}
    sound: dict[str, bool | None] = {}
    with tempfile.TemporaryDirectory() as folder:
        copy = Path(folder)
        shutil.copytree(
            ROOT / "pytest_leakguard", copy / "pytest_leakguard", ignore=shutil.ignore_patterns("__pycache__", "*.so")
        )
        # what a message means is read from it, as from an installed package
        shutil.copy(ROOT / "docs" / "reference" / "messages.md", copy / "pytest_leakguard")
        # compiled once; by their hashes, since a line may be changed and put back within a second
        compileall.compile_dir(copy, quiet=1, invalidation_mode=py_compile.PycInvalidationMode.CHECKED_HASH)
        # those of one test one after the other: it has to pass once without any
        for sabotage in sorted(chosen, key=lambda one: one.test):
            if sabotage.test not in sound:
                sound[sabotage.test] = passes(copy, sabotage.test)
            noticed = is_noticed(sabotage, copy) if sound[sabotage.test] else None
            word = results[sabotage] = verdict(sabotage, noticed)
            print(f"{word[:8]:8}  {sabotage.file}: {_short(sabotage.old)} -> {_short(sabotage.new)}", flush=True)
            if word != _sound(sabotage):
                print(f"          {sabotage.test}", flush=True)
            if args.table:
                write(results)
    killed = sum(word == KILLED for word in results.values())
    argued = sum(word.startswith(ARGUED) for word in results.values())
    print(f"{len(results)} sabotages, {killed} killed, {argued} argued away")
    sys.exit(killed + argued != len(results))


def verdict(sabotage: Sabotage, noticed: bool | None) -> str:
    """What became of a sabotage, in words."""
    if noticed is None:
        return NO_TEST
    if sabotage.argued:
        return "NEEDLESSLY ARGUED" if noticed else _sound(sabotage)
    return KILLED if noticed else "SURVIVES"


def _sound(sabotage: Sabotage) -> str:
    """What has to become of it."""
    return f"{ARGUED}{sabotage.argued}" if sabotage.argued else KILLED


def _short(text: str) -> str:
    text = " ".join(text.split())
    return (text if len(text) <= _TOLD_AT_MOST else f"{text[: _TOLD_AT_MOST - 3]}...") or "nothing"


def table() -> set[str]:
    """The rows that stand in the documentation."""
    return set(PAGE.read_text("utf-8").partition(START)[2].splitlines())


def write(results: Mapping[Sabotage, str]) -> None:
    """The table, below its heading, which is the page's last; what was not run now stays as it stands there."""
    text, before = PAGE.read_text("utf-8"), table()
    lines = ["| file | from | to | noticed by | |", "| --- | --- | --- | --- | --- |"]
    for sabotage in SABOTAGES:
        start = _row(sabotage, "").removesuffix(" |")
        known = [row for row in before if row.startswith(start)]
        lines += [_row(sabotage, results[sabotage])] if sabotage in results else known
    PAGE.write_text(text[: text.index(START)] + START + "\n" + "\n".join(lines) + "\n", "utf-8")


def _row(sabotage: Sabotage, word: str) -> str:
    old, new = (_code(_short(text)) for text in (sabotage.old, sabotage.new))
    return f"| `{sabotage.file}` | {old} | {new} | `{sabotage.test}` | {word} |"


def _code(text: str) -> str:
    """Text as code in a cell of a table."""
    fence = "``" if "`" in text else "`"
    space = " " if fence == "``" else ""
    return f"{fence}{space}{text}{space}{fence}".replace("|", "\\|")


if __name__ == "__main__":
    main()
