"""What the tests of the reference managers have in common."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import leaky
import pytest

from pytest_leakguard import LeakCheck, LeakError
from pytest_leakguard.core.model import Finding


@pytest.fixture
def source(tmp_path: Path) -> Path:
    path = tmp_path / "readings.csv"
    path.write_text("3.5\n4.5\n", "utf-8")
    return path


@pytest.fixture
def left_behind(leak_check: LeakCheck) -> Iterator[Callable[[Callable[[], object]], list[Finding]]]:
    """What a call leaves behind; the leaks are ended after the test."""

    def left_behind(call: Callable[[], object]) -> list[Finding]:
        try:
            with leak_check(grace=0.3):
                call()
        except LeakError as error:
            return list(error.findings)
        return []

    yield left_behind
    leaky.release_kept()


@pytest.fixture
def is_marked() -> Callable[[Finding], bool]:
    """Whether a finding names a line, of the twins or of their uses, that is marked as the one that leaks."""
    files = {file.name: file.read_text("utf-8").splitlines() for file in Path(leaky.__file__).parent.glob("*.py")}

    def is_marked(finding: Finding) -> bool:
        origin = finding.origin
        lines = files.get(Path(origin.file or "").name, [])
        return origin.line is not None and origin.line <= len(lines) and lines[origin.line - 1].endswith("# leaks")

    return is_marked
