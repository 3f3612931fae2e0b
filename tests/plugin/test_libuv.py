"""The pipe of libuv is told from those that a test leaves beside it, whatever these have in common with it."""

from __future__ import annotations

import re

import pytest

BESIDE = {
    "a pipe with nothing in it": "numbers = os.pipe()",
    "the read end only": "number, end = os.pipe(); os.write(end, b'x'); os.close(end); numbers = [number]",
    "a pipe that objects hold": "KEPT.extend(multiprocessing.Pipe(duplex=False)); "
    "numbers = [it.fileno() for it in KEPT]; os.write(numbers[1], b'x')",
    "a pipe that an event tells of": "os.mkfifo(tmp_path / 'pipe'); "
    "numbers = [os.open(tmp_path / 'pipe', os.O_RDWR) for _ in range(2)]; os.write(numbers[0], b'x')",
}
SOURCE = """
import multiprocessing.connection
import os
import uvloop

KEPT = []

def test_it(tmp_path, record_property):
    {}
    record_property("numbers", list(numbers))
    uvloop.new_event_loop().close()
"""


@pytest.mark.parametrize("beside", BESIDE)
def test_a_leak_beside_it_is_told(alone, pytester, beside):
    """It was made before the loop, so it comes first where any would do."""
    pytest.importorskip("uvloop")
    pytester.makepyfile(test_it=SOURCE.format(BESIDE[beside].replace("; ", "\n    ")))
    ran = alone("--leakguard-probes=fd", "--junit-xml=junit.xml")
    (property,) = re.findall(r'name="numbers" value="\[(.*)\]"', (pytester.path / "junit.xml").read_text("utf-8"))
    numbers = {int(number) for number in property.split(",")}
    findings = ran.report["findings"]
    assert sum(finding["count"] for finding in findings) == len(numbers)
    assert {int(re.findall(r"\d+", finding["what"])[0]) for finding in findings} <= numbers
