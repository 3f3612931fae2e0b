"""Kills mutants: every small wrong change to the pure code has to make a test fail.

    python tests/mutants/run.py                       all modules
    python tests/mutants/run.py core/grace.py ...     some
    python tests/mutants/run.py --table               writes the table into the documentation

A mutant lives in a forked child: the one module that it changes is imported
changed there, and the unit tests run in that process, so nothing is written and
nothing is started anew. Exit status: 0 when each one is killed or argued away.
"""

from __future__ import annotations

import argparse
import ast
import importlib.abc
import importlib.util
import os
import signal
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from argued import ARGUED
from modules import MODULES
from operators import Mutant, mutants

ROOT = Path(__file__).parents[2]
PACKAGE = ROOT / "pytest_leakguard"
PAGE = ROOT / "docs" / "explanation" / "kill-table.md"
START = "## Mutants\n"
END = "\n## Sabotages\n"
SECONDS = 60
"""After which a mutant counts as killed: it made the tests hang."""


class _Changed(importlib.abc.MetaPathFinder, importlib.abc.Loader):
    """Imports one module from a given tree, all others as ever."""

    def __init__(self, name: str, path: Path, tree: ast.Module) -> None:
        self.name, self.path, self.tree = name, path, tree

    def find_spec(self, name: str, path: object, target: object = None) -> object:
        return importlib.util.spec_from_file_location(name, self.path, loader=self) if name == self.name else None

    def create_module(self, spec: object) -> None:
        return None

    def exec_module(self, module: object) -> None:
        exec(compile(self.tree, str(self.path), "exec"), vars(module))


def survives(module: str, tree: ast.Module, tests: Sequence[str]) -> bool:
    """Whether all tests pass with the module changed to that tree."""
    pid = os.fork()
    if pid == 0:
        _child(module, tree, tests)
    deadline = time.monotonic() + SECONDS
    while time.monotonic() < deadline:
        done, status = os.waitpid(pid, os.WNOHANG)
        if done:
            return os.waitstatus_to_exitcode(status) == 0
        time.sleep(0.005)
    os.kill(pid, signal.SIGKILL)
    os.waitpid(pid, 0)
    return False


def _child(module: str, tree: ast.Module, tests: Sequence[str]) -> None:
    code = 3
    try:
        null = os.open(os.devnull, os.O_RDWR)
        for number in (0, 1, 2):
            os.dup2(null, number)
        name = f"pytest_leakguard.{module.removesuffix('.py').replace('/', '.')}"
        sys.meta_path.insert(0, _Changed(name, PACKAGE / module, tree))
        import pytest

        options = ["-x", "-q", "-c", os.devnull, "--noconftest", "--assert=plain", "-p", "no:cacheprovider"]
        code = int(pytest.main([*options, *(str(ROOT / "tests" / test) for test in tests)]))
    finally:
        os._exit(code)


def judged(module: str, tests: Sequence[str]) -> tuple[int, list[Mutant]]:
    """How many mutants there are, and which of them survive."""
    source = (PACKAGE / module).read_text("utf-8")
    if not survives(module, ast.parse(source), tests):
        sys.exit(f"{module}: its tests fail without any change: {' '.join(tests)}")
    total, left = 0, []
    for mutant in mutants(source):
        total += 1
        if survives(module, mutant.tree, tests):
            left.append(mutant)
    return total, left


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("modules", nargs="*", help="of pytest_leakguard, e.g. core/grace.py")
    parser.add_argument("--table", action="store_true", help="write the result into the documentation")
    args = parser.parse_args()
    os.environ["PYTEST_DISABLE_PLUGIN_AUTOLOAD"] = "1"
    import pytest  # noqa: F401 - so that no child has to import it

    rows, bad = [], 0
    for module in args.modules or MODULES:
        total, left = judged(module, MODULES[module])
        argued = ARGUED.get(module, {})
        open_ones = [mutant for mutant in left if mutant.where.partition(": ")[2] not in argued]
        bad += len(open_ones)
        print(
            f"{module}: {total} mutants, {total - len(left)} killed, {len(left) - len(open_ones)} argued away",
            flush=True,
        )
        for mutant in open_ones:
            print(f"  survives  {module}:{mutant.where}", flush=True)
        rows.append((module, total, total - len(left), len(left) - len(open_ones), len(open_ones)))
    if args.table:
        write(rows)
    sys.exit(1 if bad else 0)


def write(rows: Sequence[tuple[str, int, int, int, int]]) -> None:
    """The table, between its headings."""
    lines = ["| module | mutants | killed | argued away | survive |", "| --- | ---: | ---: | ---: | ---: |"]
    lines += [f"| `{module}` | {' | '.join(map(str, numbers))} |" for module, *numbers in rows]
    text = PAGE.read_text("utf-8")
    before, after = text[: text.index(START)], text[text.index(END) :]
    PAGE.write_text(before + START + "\n" + "\n".join(lines) + "\n" + after, "utf-8")


if __name__ == "__main__":
    main()
