"""The page on cancelling shows what is really printed."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "howto" / "cancel-at-every-await.md"


def without_lines_of_python(text: str) -> str:
    return re.sub(r"python3\.\d+/(\S+):\d+", r"python3.N/\1:N", text)


def test_the_message_of_the_page_is_printed_by_its_example():
    """To the letter, but for the lines of Python's own files."""
    (shown,) = re.findall(r"```text\n(.*?)```", PAGE.read_text("utf-8"), re.DOTALL)
    code = (
        "import test_cancel_each as example; from pytest_leakguard.faults.cancel_text import text_of;"
        "print(text_of(example.cancel_each(example.use_connection, check=example.no_open_connections)))"
    )
    folder = ROOT / "docs" / "examples" / "howto"
    ran = subprocess.run([sys.executable, "-B", "-c", code], cwd=folder, capture_output=True, text=True, check=True)
    assert without_lines_of_python(ran.stdout) == without_lines_of_python(shown)


def test_told_findings_take_one_line_each(capsys):
    """And a trial that was not reached again is counted with the totals."""
    from pytest_leakguard.faults.cancel_text import text_of
    from pytest_leakguard.faults.model import FaultFinding, FaultPoint, SweepResult, Trial

    point = FaultPoint(family="timeout", path="a.py", qualname="f", what="sleep", occurrence=1, line=3)
    told = FaultFinding(fault="swallowed", point=point, mode="transient", what="gone", told=True, count=2)
    trial = Trial(point=point, mode="transient", outcome="not reached")
    result = SweepResult(points=(point,), trials=(trial,), findings=(told,))
    assert text_of(result).splitlines() == [
        "told: timeout:a.py:f:sleep#1: gone (2 times)",
        "1 points, 1 trials, 0 failures, 1 not reached again",
    ]
