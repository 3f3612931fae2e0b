"""Many programs, one run of pytest: what the plugin says of each, beside what the model says."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from program import SUPPORT, Expected, Program

LAST = "def test_last(): pass\n"
"""So that the fixtures of the session end after the last program has been judged."""


def files_of(programs: Iterable[Program]) -> dict[str, str]:
    """The project that holds them: relative path -> text."""
    files = {"conftest.py": "", "pytest.ini": "[pytest]\n", "support.py": SUPPORT, "test_zz_last.py": LAST}
    files["data/common"] = ""
    for number, program in enumerate(programs):
        files |= {f"p{number:04}/{name}": text for name, text in program.files().items()}
    return files


def told_of(report: dict[str, Any], number: int) -> Expected:
    """The findings of one program, in the words of the model."""
    told: Expected = Counter()
    for finding in report["findings"]:
        if finding["test"].startswith(f"p{number:04}/"):
            owner = finding["owner"]["name"].rpartition("::")[2]
            told[finding["kind"], finding["verdict"], owner] += finding["count"]
    return told


A_RUN = 15
"""Programs in one run of pytest, so that it ends in time on a slow machine too."""


def disagreements(programs: list[Program], run_tree: Callable[..., Any], root: Path) -> list[tuple[int, Expected]]:
    """The programs of which the plugin says something else than the model, with what it says."""
    wrong = []
    for first in range(0, len(programs), A_RUN):
        some = programs[first : first + A_RUN]
        wrong += [(first + number, said) for number, said in _disagreements(some, run_tree, root / str(first))]
    return wrong


def _disagreements(programs: list[Program], run_tree: Callable[..., Any], root: Path) -> list[tuple[int, Expected]]:
    run = run_tree(root, files_of(programs), "--leakguard-grace=0.02", "--assert=plain", "-q")
    broken = [line for line in run.text.splitlines() if line.startswith(("FAILED", "ERROR"))]
    assert not broken, "\n".join([*broken, run.text[-3000:]])
    said = [told_of(run.report, number) for number in range(len(programs))]
    return [(number, said[number]) for number, program in enumerate(programs) if said[number] != program.expected]
