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
    """Whether a finding names a line of the twins that is marked as the one that leaks."""
    lines = Path(leaky.__file__).read_text("utf-8").splitlines()

    def is_marked(finding: Finding) -> bool:
        origin = finding.origin
        if origin.file is None or not origin.file.endswith("leaky.py") or origin.line is None:
            return False
        return lines[origin.line - 1].endswith("# leaks")

    return is_marked
