"""Hooks for other plugins: probes, allow rules, findings; and what becomes of one that is broken."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

EXAMPLE = Path(__file__).parents[2] / "docs" / "examples" / "probe_plugin"

LEAK = """
KEPT = []

def test_leaky(tmp_path):
    KEPT.append(open(tmp_path / "a", "w"))

def test_clean(tmp_path):
    with open(tmp_path / "a", "w"):
        pass

def test_failing():
    assert 0

def test_last():
    pass
"""

PROBE = """
from pytest_leakguard.core.model import Resource

lanterns = []

class Probe:
    kind = "lantern"
    mechanism = "a list"

    def unavailable(self): return None
    def mark(self): return len(lanterns)
    def keys(self): return frozenset(range(len(lanterns)))
    def describe(self, key):
        return Resource(kind="lantern", key=key, what=f"lantern {key}", subject=f"l{key}", fix="blow it out")
"""


def outcome(ran) -> tuple[object, ...]:
    """What must not depend on a broken probe: outcomes, exit status, and the findings of the other kinds."""
    counts = ran.result.parseoutcomes()
    counts.pop("warnings", None)
    return ran.result.ret, counts, [(f["test"].partition("::")[2], f["kind"]) for f in ran.findings]


RIGHT = (1, {"passed": 3, "failed": 1, "leaked": 1}, [("test_leaky", "fd")])


# -- the example of the docs


def test_the_example_of_the_docs_works_end_to_end(alone, pytester, monkeypatch):
    """The plugin as it stands in the docs: one test leaked, one allowed by its rule, the others clean."""
    for file in EXAMPLE.glob("*.*"):
        shutil.copy(file, pytester.path)
    ran = alone()
    assert ran.result.ret == 1
    ran.result.stdout.fnmatch_lines(["leakguard: fd, handle, *", "*5 passed, 1 leaked*"])
    (finding,) = ran.findings
    assert (finding["kind"], finding["test"]) == ("handle", "test_handles.py::test_leaky_handle")
    assert (finding["what"], finding["subject"]) == ("handle in slot 0: lantern", "lantern")
    assert (finding["origin"]["how"], finding["origin"]["file"]) == ("unknown", None)
    assert finding["fix"] == "call close_handle() in a `finally`"
    assert finding["allow"] == '@pytest.mark.allow_leaks("handle:lantern", reason="...")'
    (allowed,) = (f for f in ran.report["findings"] if f["disposition"] == "allowed")
    assert allowed["subject"] == "system-clock"
    assert ran.report["probes"]["handle"] == {
        "active": True, "mechanism": "the library's own table", "note": "",
    }  # fmt: skip


def test_the_kind_of_a_plugin_is_a_kind_like_the_others(alone, pytester):
    """It can be chosen, left out, named by markers, rules and blocks; where it is not there, it is unknown."""
    for file in EXAMPLE.glob("*.py"):
        shutil.copy(file, pytester.path)
    pytester.path.joinpath("test_handles.py").write_text(
        """
import handles, pytest

@pytest.mark.no_leaks("handle")
def test_marked(): handles.open_handle("a")

@pytest.mark.allow_leaks("handle:b*", reason="r")
def test_allowed(): handles.open_handle("b1")

def test_plain(): handles.open_handle("c")
"""
    )
    every = [("test_marked", "handle"), ("test_plain", "handle")]
    assert outcome(alone("--leakguard-probes=handle"))[2] == every
    assert outcome(alone("--leakguard-probes=all"))[2] == every
    assert outcome(alone("--leakguard-probes=-handle"))[2] == every[:1]
    assert outcome(alone(flag=()))[2] == every[:1]
    pytester.path.joinpath("conftest.py").unlink()
    result = pytester.runpytest("-p", "leakguard", "--leakguard", "--leakguard-probes=handle")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines(["ERROR: --leakguard-probes: unknown kind 'handle'*"])


# -- allow rules and findings


def test_allow_rules_of_a_hook(alone, pytester):
    """Rules of several implementations hold together; one that gives nothing is no harm."""
    pytester.makeconftest(
        """
        import pytest

        class Other:
            def pytest_leakguard_allow(self): return None

        class Another:
            def pytest_leakguard_allow(self, config): return ["fd:*/b -- the second plugin's", "fd:*/c -- its third"]

        def pytest_configure(config):
            for plugin in (Other(), Another()):
                config.pluginmanager.register(plugin)

        def pytest_leakguard_allow(config):
            assert config.rootpath
            return ["fd:*/a -- the plugin keeps it"]
        """
    )
    pytester.makepyfile(
        """
        KEPT = []
        def test_a(tmp_path): KEPT.append(open(tmp_path / "a", "w"))
        def test_b(tmp_path): KEPT.append(open(tmp_path / "b", "w"))
        def test_x(tmp_path): KEPT.append(open(tmp_path / "x", "w"))
        """
    )
    ran = alone()
    assert [f["test"].partition("::")[2] for f in ran.findings] == ["test_x"]
    assert [f["notes"] for f in ran.report["findings"] if f["disposition"] == "allowed"] == [
        ["allowed: the plugin keeps it"],
        ["allowed: the second plugin's"],
    ]


TELLS = """
import json, pathlib

def pytest_leakguard_leak(finding):
    with open(pathlib.Path(__file__).parent / "told.jsonl", "a") as stream:
        stream.write(json.dumps(finding) + "\\n")
"""


def test_each_finding_is_told_once_as_plain_data(alone, pytester):
    """Of tests, fixtures, failed tests, allowed ones, later verdicts and the end: told once, equal to the report."""
    pytester.makeconftest(TELLS)
    (pytester.path / "told.jsonl").touch()
    pytester.makepyfile(
        """
        import pytest
        KEPT = []

        def leak(tmp_path): KEPT.append(open(tmp_path / "a", "w"))

        @pytest.fixture(scope="session")
        def pool():
            kept = []
            yield kept
            KEPT.extend(kept)

        @pytest.fixture(scope="module")
        def wide(tmp_path_factory):
            leak(tmp_path_factory.mktemp("wide"))
            yield

        def test_leaky(tmp_path): leak(tmp_path)
        def test_twice(tmp_path): leak(tmp_path), leak(tmp_path)
        def test_later(tmp_path, pool): pool.append(open(tmp_path / "a", "w"))
        def test_failing(tmp_path):
            leak(tmp_path)
            assert 0
        @pytest.mark.allow_leaks("fd:*", reason="r")
        def test_allowed(tmp_path): leak(tmp_path)
        def test_of_a_fixture(wide): pass
        def test_clean(): pass
        """
    )
    for more in ((), ("--leakguard-action=warn",), ("--leakguard-action=report",)):
        (pytester.path / "told.jsonl").write_text("")
        ran = alone(*more)
        told = [json.loads(line) for line in (pytester.path / "told.jsonl").read_text().splitlines()]
        assert len(told) == 6
        for finding in told:
            assert finding in ran.report["findings"]
            told_of = [f for f in told if f["test"] == finding["test"] and f["owner"] == finding["owner"]]
            assert len(told_of) == 1
        assert len(ran.report["findings"]) == 6


# -- broken ones

BROKEN = {
    "keys raises": ("def keys(self): raise LookupError('no table')", "LookupError: no table"),
    "keys raises later": (
        "def keys(self):\n"
        "        self.asked = getattr(self, 'asked', 0) + 1\n"
        "        if self.asked > 2: raise LookupError('no table')\n"
        "        return frozenset()",
        "LookupError: no table",
    ),
    "keys gives nonsense": ("def keys(self): return 7", ""),
    "keys gives unhashables": ("def keys(self): return [[]]", ""),
    "mark raises": ("def mark(self): raise LookupError('no mark')", "LookupError: no mark"),
    "unavailable raises": ("def unavailable(self): raise LookupError('no answer')", "LookupError: no answer"),
    "mechanism raises": ("@property\n    def mechanism(self): raise LookupError('how?')", "LookupError: how?"),
    "kind raises": ("@property\n    def kind(self): raise LookupError('what?')", "LookupError: what?"),
    "kind is no word": ("kind = 'two words'", ""),
    "kind is taken": ("kind = 'fd'", ""),
}


@pytest.mark.parametrize(("part", "reason"), BROKEN.values(), ids=BROKEN.keys())
def test_a_broken_probe_is_switched_off_and_reported(alone, pytester, part, reason):
    """Its kind is not watched, the header or the summary says why, and every outcome is the right one."""
    pytester.makeconftest(f"{PROBE}\n    {part}\n\ndef pytest_leakguard_probes(config):\n    return [Probe()]\n")
    pytester.makepyfile(LEAK)
    ran = alone(errors=True)
    assert outcome(ran) == RIGHT
    (error,) = ran.report["errors"]
    assert error.startswith("probe ")
    assert reason in error
    ran.result.stdout.fnmatch_lines([f"leakguard: probe *{reason}*"])
    assert all(state["active"] for kind, state in ran.report["probes"].items() if kind in ("fd", "socket", "thread"))
    assert not ran.report["probes"].get("lantern", {"active": False})["active"]
    assert ran.report["blind"] == {}


@pytest.mark.parametrize(
    "part",
    ["raise LookupError('no words')", "return None", "return 'a lantern'"],
    ids=["raises", "gives nothing", "gives text"],
)
def test_a_probe_that_cannot_describe_loses_the_words_not_the_leak(alone, pytester, part):
    """The leak is told plainly and fails its test; the error is told too, and the probe goes on."""
    pytester.makeconftest(
        f"{PROBE}\n    def describe(self, key): {part}\n\ndef pytest_leakguard_probes(config):\n    return [Probe()]\n"
    )
    pytester.makepyfile("import conftest\ndef test_lit(): conftest.lanterns.append(1)\n" + LEAK)
    ran = alone(errors=True)
    assert [(f["test"].partition("::")[2], f["kind"]) for f in ran.findings] == [
        ("test_lit", "lantern"), ("test_leaky", "fd"),
    ]  # fmt: skip
    assert ran.findings[0]["what"] == "lantern 0"
    assert len(ran.report["errors"]) == 1


def test_a_probe_that_cannot_work_here_is_told_in_the_header(alone, pytester):
    """Its reason is in header and report; that is no error."""
    pytester.makeconftest(
        f"{PROBE}\n    def unavailable(self): return 'no lamp on this machine'\n\n"
        "def pytest_leakguard_probes(config):\n    return [Probe()]\n"
    )
    pytester.makepyfile(LEAK)
    ran = alone()
    assert outcome(ran) == RIGHT
    ran.result.stdout.fnmatch_lines(["leakguard: lantern is not watched: no lamp on this machine"])
    assert ran.report["probes"]["lantern"] == {
        "active": False,
        "mechanism": "", "note": "no lamp on this machine",
    }  # fmt: skip


HOOKS = {
    "probes raises": "def pytest_leakguard_probes(config): raise LookupError('no probes')",
    "probes gives one probe, not a list": f"{PROBE}\ndef pytest_leakguard_probes(config): return Probe()",
    "probes gives a class": f"{PROBE}\ndef pytest_leakguard_probes(config): return [Probe]",
    "probes gives text": "def pytest_leakguard_probes(config): return ['lantern']",
    "allow raises": "def pytest_leakguard_allow(config): raise LookupError('no rules')",
    "allow gives numbers": "def pytest_leakguard_allow(config): return [7]",
    "leak raises": "def pytest_leakguard_leak(finding): raise LookupError('no ears')",
    "leak spoils the finding": "def pytest_leakguard_leak(finding): finding.clear()",
}


@pytest.mark.parametrize("hook", HOOKS.values(), ids=HOOKS.keys())
def test_a_broken_hook_is_reported_and_the_run_goes_on(alone, pytester, request, hook):
    """Code of others may raise or give nonsense: an error in the summary, and every outcome is the right one."""
    pytester.makeconftest(hook)
    pytester.makepyfile(LEAK)
    ran = alone(errors=True)
    assert outcome(ran) == RIGHT
    if "spoils" not in request.node.name:
        assert len(ran.report["errors"]) == 1
        ran.result.stdout.fnmatch_lines(["leakguard: *conftest*" if "raises" in request.node.name else "leakguard: *"])
