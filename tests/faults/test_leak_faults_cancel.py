"""`leak_faults.cancel_each`: the awaits of a coroutine are cancelled in turn, and what is left is told."""

from __future__ import annotations

FILE = """
import asyncio, os
import pytest
from pytest_leakguard import LeakError

async def clean():
    fd = os.open(os.devnull, os.O_RDONLY)
    try:
        await asyncio.sleep(0)
        await asyncio.sleep(0)
    finally:
        os.close(fd)

async def leaky():
    fd = os.open(os.devnull, os.O_RDONLY)
    await asyncio.sleep(0)
    os.close(fd)

def test_clean(leak_faults):
    result = leak_faults.cancel_each(clean)
    assert len(result.points) == 2 and not result.findings

def test_leaky(leak_faults):
    with pytest.raises(LeakError, match="character device") as caught:
        leak_faults.cancel_each(leaky)
    (finding,) = caught.value.findings
    assert finding.point == "cancel:test_it.py:leaky:sleep#1"
    assert (finding.kind, finding.origin.line, finding.repeat) == ("fd", 14, "pytest test_it.py::test_leaky")

def test_a_coroutine_that_fails_by_itself_says_so(leak_faults):
    async def broken():
        raise LookupError("mine")
    with pytest.raises(LookupError, match="mine"):
        leak_faults.cancel_each(broken)
"""


def test_each_await_is_cancelled(pytester, alone):
    """As many trials as awaits; the one that leaks is told with its point; nothing more at the test's end."""
    pytester.makepyfile(test_it=FILE)
    ran = alone("--leakguard-grace=0.1")
    ran.result.assert_outcomes(passed=3)
    assert ran.findings == []
