"""--leakguard-explain: settings with their sources in order, each suspect with what was decided, each finding."""

from __future__ import annotations

import pytest

SUITE = """
import os
import threading

import pytest

KEPT = []

def leak():
    KEPT.append(os.open(os.devnull, os.O_RDONLY))

@pytest.fixture(scope="module")
def pool():
    kept = []
    yield kept
    while kept:
        kept.pop().close()

@pytest.mark.no_leaks(grace=0.05)
@pytest.mark.allow_leaks("thread:w*", reason="it waits")
def test_all(pool):
    leak()
    pool.append(open(__file__))
    threading.Thread(target=threading.Event().wait, name="w1", daemon=True).start()
    import opens_when_imported

def test_clean():
    pass

def test_allowed_by_the_ini():
    KEPT.append(open(os.path.dirname(__file__) + "/data.csv"))

@pytest.mark.parametrize("number", [1, 2])
def test_parametrized(number):
    leak()
"""

INI = """[pytest]
leakguard_grace = 0.1
leakguard_allow = fd:*data.csv -- the vendor's
addopts = --leakguard-late
"""


@pytest.fixture
def explained(pytester, alone, monkeypatch):
    """The lines about a test, by label."""
    pytester.makepyfile(test_it=SUITE, opens_when_imported="KEPT = open(__file__)")
    (pytester.path / "tox.ini").write_text(INI, "utf-8")
    (pytester.path / "data.csv").touch()
    pytester.syspathinsert()
    monkeypatch.setenv("PYTEST_ADDOPTS", "--leakguard-action=warn")

    def explained(wanted: str, *args: str) -> dict[str, dict[str, list[str]]]:
        ran = alone(f"--leakguard-explain={wanted}", *args)
        tests: dict[str, dict[str, list[str]]] = {}
        label = ""
        _, found, rest = ran.text.partition("= explained =")
        assert found, ran.text
        for line in rest.splitlines()[1:]:
            if line.startswith("EXPLAINED "):
                rows = tests.setdefault(line.removeprefix("EXPLAINED test_it.py::"), {})
            elif line.startswith("  "):
                label = line[2:12].strip() or label
                rows.setdefault(label, []).append(line[12:])
            elif line:
                break
        assert set(ran.report["explained"]) == {f"test_it.py::{test}" for test in tests}
        return tests

    return explained


@pytest.mark.parametrize("workers", [(), ("-p", "xdist", "-n", "1")], ids=["one process", "xdist"])
def test_settings_suspects_and_findings_are_told(explained, workers):
    """Marker over option over ini over default, each named; each suspect with its owner and what became of it."""
    if workers:
        pytest.importorskip("xdist")
    rows = explained("test_it.py::test_all", *workers)["test_all"]
    assert rows["settings"] == [
        "leakguard = True, from the command line (--leakguard)",
        "leakguard_probes = default, from the default",
        "leakguard_action = warn, from the environment (PYTEST_ADDOPTS, --leakguard-action); "
        "over fail from the default",
        "leakguard_grace = 0.05, from @pytest.mark.no_leaks; over 0.1 from tox.ini; over 1 from the default",
        "leakguard_late = True, from addopts of tox.ini (--leakguard-late)",
        "rule 'thread:w*' -- it waits; from @pytest.mark.allow_leaks on test_it.py::test_all",
        "rule 'fd:*data.csv' -- the vendor's; from leakguard_allow (ini file tox.ini)",
        "so: kinds fd, lock, mmap, object, process, socket, sqlite, task, temp, thread, unclosed; "
        "grace 0.05 s; 2 rules",
    ]
    suspects = rows["suspect"]
    of_test = [line for line in suspects if "; of test_it.py::test_all: " in line]
    put_off = [line for line in of_test if line.endswith("put off until 'pool' (module scope) is over")]
    assert len(put_off) == 2
    assert any("opens_when_imported.py" in line and line.endswith("no leak: nobody's") for line in suspects)
    assert any(
        line.startswith("thread: thread 'w1'") and "acquired test_it.py:23 in test_all;" in line for line in of_test
    )
    assert any(line.endswith("no leak: gone before its verdict fell due") for line in of_test)
    assert any("/dev/null" in line and ": leaked, " in line for line in of_test)
    one, other = rows["finding"]
    assert one.startswith("thread:test_it.py:test_all, leaked: ")
    assert one.endswith("a rule lets it pass; allowed: it waits")
    assert other.startswith("fd:test_it.py:leak, leaked: ")
    assert other.endswith("the action is warn: told, no failure")
    assert rows["verdict"] == ["leaked, warned"]


def test_which_tests_are_explained(explained):
    """By id without or with parameters, by a glob, all; what passes says why; nothing was left is told too."""
    assert set(explained("test_it.py::test_parametrized")) == {"test_parametrized[1]", "test_parametrized[2]"}
    assert set(explained("*[[]2]")) == {"test_parametrized[2]"}
    everything = explained("all")
    assert len(everything) == 5
    assert everything["test_clean"]["suspect"] == ["none: nothing was there at its end that was not there before"]
    assert everything["test_clean"]["verdict"] == ["no leak that counts"]
    assert everything["test_allowed_by_the_ini"]["finding"][0].endswith("a rule lets it pass; allowed: the vendor's")


def test_a_name_that_fits_no_test_is_told(pytester, alone):
    """Nothing is explained in silence."""
    pytester.makepyfile("def test_it(): pass")
    ran = alone("--leakguard-explain=test_if")
    assert "no test that ran has the id 'test_if'; -v shows the ids, 'all' explains all" in ran.text


def test_with_a_baseline(explained, pytester):
    """What the others made of a finding is what is told."""
    use = "--leakguard-baseline=b.toml"
    explained("all", use, "--leakguard-baseline-update")
    rows = explained("test_it.py::test_all", use)["test_all"]
    assert rows["finding"][1].endswith("the baseline knows it; known to the baseline")
    assert rows["verdict"] == ["no leak that counts"]


def test_the_header_tells_what_is_on(pytester, alone):
    """Kinds, which tests, action and grace, then the modes, in one line; the baseline in another."""
    pytester.makepyfile("def test_it(): pass")
    modes = ("--leakguard-confirm", "--leakguard-isolate", "--leakguard-trace", "--leakguard-repeat=2")
    ran = alone("--leakguard-probes=fd", *modes, "--leakguard-baseline=b.toml", "--leakguard-baseline-update")
    ran.result.stdout.fnmatch_lines(
        [
            "leakguard: fd; every test; action fail, grace 1 s, trace, repeat 2, confirm, isolate",
            "leakguard: baseline b.toml with 0 known leaks, to be updated",
        ]
    )
