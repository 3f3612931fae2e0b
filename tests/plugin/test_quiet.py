"""After some tests in which nothing moved the hook on reports is away: the next that leaks is judged the same."""

from __future__ import annotations

import pytest

from pytest_leakguard.plugin.reports import QUIET_TESTS

HEAD = f"""
import os, pytest
KEPT = []

@pytest.mark.parametrize("n", range({QUIET_TESTS + 5}))
def test_quiet(n):
    pass

@pytest.fixture
def path(tmp_path):
    path = tmp_path / "a.txt"
    path.write_text("a")
    return path
"""
BODIES = {
    "passes": ("def test_it(path): KEPT.append(open(path))", "fails", "call"),
    "fails": ("def test_it(path):\n    KEPT.append(open(path))\n    assert 0", "note", "call"),
    "xfail in the body": (
        "def test_it(path):\n    KEPT.append(open(path))\n    pytest.xfail('known')",
        "note",
        "call",
    ),
    "xfail by mark": (
        "@pytest.mark.xfail\ndef test_it(path):\n    KEPT.append(open(path))\n    assert 0",
        "note",
        "call",
    ),
    "fails in setup": (
        "@pytest.fixture\ndef broken(path):\n    KEPT.append(open(path))\n    raise OSError\n\ndef test_it(broken): pass",
        "note",
        "setup",
    ),
    "leaks in teardown": (
        "@pytest.fixture\ndef late(path):\n    yield\n    KEPT.append(open(path))\n\ndef test_it(late): pass",
        "fails",
        "teardown",
    ),
    "raises in teardown": (
        "@pytest.fixture\ndef late(path):\n    yield\n    KEPT.append(open(path))\n    raise OSError\n\n"
        "def test_it(late): pass",
        "note",
        "teardown",
    ),
    "skips in the body": (
        "def test_it(path):\n    KEPT.append(open(path))\n    pytest.skip('no')",
        "fails",
        "call",
    ),
}


@pytest.mark.parametrize("quiet", [True, False], ids=["after quiet tests", "at once"])
@pytest.mark.parametrize("body", BODIES)
def test_the_verdict_is_the_same(pytester, alone, body, quiet):
    """One finding, of that test, with its phase, a note where the test failed by itself."""
    text, disposition, phase = BODIES[body]
    pytester.makepyfile(test_a=HEAD + "\n" + text + "\n\ndef test_after(): pass\n")
    ran = alone(*(() if quiet else ("-k", "not quiet")))
    (finding,) = ran.report["findings"]
    assert finding["test"] == "test_a.py::test_it"
    assert (finding["kind"], finding["disposition"], finding["phase"]) == ("fd", disposition, phase)
