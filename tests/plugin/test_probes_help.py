"""--leakguard-probes=help: every kind with what it means and how it is seen; no test runs."""

from __future__ import annotations

import pytest

from pytest_leakguard.core.model import KINDS, OPT_IN

PROBE = """
from pytest_leakguard.core.model import Resource

class Handles:
    kind = "handle"
    mechanism = "a counter"

    def unavailable(self):
        return {why!r}

    def mark(self):
        return 0

    def keys(self):
        return frozenset()

    def describe(self, key):
        return Resource(kind="handle", key=key, what="", subject="")

def pytest_leakguard_probes():
    return [Handles()]
"""


@pytest.fixture
def helped(pytester, monkeypatch):
    """What is printed, by kind: the mark, the meaning and the mechanism."""
    monkeypatch.setenv("PYTEST_DISABLE_PLUGIN_AUTOLOAD", "1")
    pytester.makepyfile("raise RuntimeError('imported')")

    def helped(*args: str) -> dict[str, tuple[str, str, str]]:
        result = pytester.runpytest("-p", "leakguard", "--leakguard-probes=help", *args)
        assert result.ret == 0
        assert "imported" not in result.stdout.str()
        lines = result.outlines[2 : result.outlines.index("--leakguard-probes=fd,socket   these and no others") - 1]
        rows = zip(lines[::2], lines[1::2], strict=True)
        return {row[2:].split()[0]: (row[0], row[2:].split(None, 1)[1], how.strip()) for row, how in rows}

    return helped


def test_every_kind_is_told(helped):
    """In the order of the reports, the default marked, each with its mechanism; nothing is collected."""
    told = helped()
    assert sorted(told) == sorted(KINDS)
    assert {kind for kind, (mark, _, _) in told.items() if mark != "*"} == OPT_IN
    assert all(how.startswith(("seen by: ", "not watched here: ")) for _, _, how in told.values())
    assert not any("another plugin" in means for _, means, _ in told.values())


@pytest.mark.parametrize(("why", "how"), [(None, "seen by: a counter"), ("no bus", "not watched here: no bus")])
def test_kinds_of_other_plugins_too(pytester, helped, why, how):
    """And why one can't be watched here."""
    pytester.makeconftest(PROBE.replace("{why!r}", repr(why)))
    assert helped()["handle"] == ("*", "of another plugin", how)


def test_with_workers(helped):
    """No worker is started for it."""
    pytest.importorskip("xdist")
    assert sorted(helped("-p", "xdist", "-n", "2")) == sorted(KINDS)
