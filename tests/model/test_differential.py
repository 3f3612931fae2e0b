"""What the model says of generated programs, others say too, who know nothing of it: so it is no echo of the plugin."""

from __future__ import annotations

import os
import shutil
import sys
from pathlib import Path

import pytest
from batch import files_of
from outsiders import STRACE, VALGRIND, open_at_the_end, open_by_valgrind, run, warnings_of
from program import Program

pytest.importorskip("hypothesis")
from machine import built, written

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="strace and /proc are there on Linux")
SEED = int(os.environ.get("LEAKGUARD_MODEL_SEED", "1"))


@pytest.fixture(scope="module")
def programs() -> list[Program]:
    return [built(*script) for script in written(20, SEED)]


def test_pythons_own_warnings_agree(tmp_path: Path, programs: list[Program]) -> None:
    """As many ResourceWarnings come under -X dev as the model says objects are dropped open."""
    run(tmp_path, files_of(programs))
    assert warnings_of(tmp_path) == sum(program.warnings for program in programs) > 0


@pytest.mark.skipif(not shutil.which("strace"), reason="strace is not installed")
def test_strace_agrees(tmp_path: Path, programs: list[Program]) -> None:
    """The kernel saw as many descriptors opened and not closed as the model says are open at the end."""
    left = {}
    for name, some in (("nothing", []), ("programs", programs)):
        log = tmp_path / f"{name}.log"
        (tmp_path / name).mkdir()
        run(tmp_path / name, files_of(some), (*STRACE, str(log)))
        left[name] = open_at_the_end(log)
    assert len(left["programs"]) - len(left["nothing"]) == sum(program.open_descriptors for program in programs) > 0


@pytest.mark.skipif(not shutil.which("valgrind"), reason="valgrind is not installed")
def test_valgrind_agrees(tmp_path: Path, programs: list[Program]) -> None:
    """So says valgrind, which keeps its own account; of a few programs, as it is slow."""
    few = [program for program in programs if program.open_descriptors][:3]
    left = {}
    for name, some in (("nothing", []), ("programs", few)):
        (tmp_path / name).mkdir()
        left[name] = open_by_valgrind(run(tmp_path / name, files_of(some), VALGRIND, seconds=600))
    assert left["programs"] - left["nothing"] == sum(program.open_descriptors for program in few) > 0
