"""Rules by origin, owner and thread name, in ini files, markers, hooks and entry points; the leak beside is caught."""

from __future__ import annotations

import sys
import textwrap

import pytest

SUITE = """
import os
import threading

import pytest

KEPT = []

class Pool:
    def connect(self):
        KEPT.append(os.open(os.devnull, os.O_RDONLY))

class Other:
    def connect(self):
        KEPT.append(os.open(os.devnull, os.O_RDONLY))

    def accept(self):
        KEPT.append(os.open(os.devnull, os.O_RDONLY))

def wait(name):
    threading.Thread(target=threading.Event().wait, name=name, daemon=True).start()

@pytest.fixture(scope="module")
def broker():
    Other().accept()
    yield

def test_origin():
    Pool().connect()

def test_other_origin():
    Other().accept()

def test_other_class():
    Other().connect()

def test_thread():
    wait("poller-roof")

def test_other_thread():
    wait("roof-poller")

def test_owner(broker):
    pass
"""

RULES = """\
fd:origin=test_it.py:Pool.connect -- the pool is for ever
thread:name=poller-* -- they poll
fd:owner=broker -- as the vendor wants it"""
NEVER = "fd:origin=test_it.py:Pool.closes -- is not there"


def is_right(run) -> bool:
    told = {f["test"].partition("::")[2] for f in run.findings}
    allowed = {f["owner"]["name"].rpartition(":")[2] for f in run.report["findings"] if f["disposition"] == "allowed"}
    # Python 3.10 knows a method by its bare name only
    same_name = {"test_other_class"}
    is_qualified = sys.version_info >= (3, 11)
    return len(run.report["findings"]) == 6 and (told, allowed) == (
        {"test_other_origin", "test_other_thread"} | (same_name if is_qualified else set()),
        {"broker", "test_origin", "test_thread"} | (set() if is_qualified else same_name),
    )


def test_rules_of_the_ini_file(pytester, alone):
    """Each lets its own leak pass and the one beside it not; one that lets nothing pass is told."""
    pytester.makepyfile(test_it=SUITE)
    pytester.makeini("[pytest]\nleakguard_allow =\n" + textwrap.indent(f"{RULES}\n{NEVER}", "  "))
    ran = alone("--leakguard-grace=0")
    assert is_right(ran), ran.text
    assert [rule["rule"] for rule in ran.report["unused_allows"]] == ["fd:origin=test_it.py:Pool.closes"]


def test_shared_rules_that_let_nothing_pass_are_told_to_those_who_ask(pytester, alone):
    """With -v and with --leakguard-explain one line for all of a source, else only in the JSON report."""
    pytester.makepyfile(test_it=SUITE)
    rules = [*RULES.splitlines(), *(f"fd:/vendor/{number} -- kept" for number in range(7)), NEVER]
    pytester.makeconftest(f"def pytest_leakguard_allow():\n    return {rules!r}\n")
    line = (
        "leakguard: shared rules that let nothing pass here: 'fd:/vendor/0', 'fd:/vendor/1', 'fd:/vendor/2', "
        "'fd:/vendor/3', 'fd:/vendor/4' and 3 more; from hook pytest_leakguard_allow"
    )
    for asked in (["-v"], ["--leakguard-explain=test_it.py::test_owner"], []):
        ran = alone("--leakguard-grace=0", *asked)
        assert is_right(ran), ran.text
        assert ran.report["unused_allows"] == []
        assert len(ran.report["idle_shared_rules"]) == 8
        assert ran.result.outlines.count(line) == bool(asked)


def test_rules_of_a_hook(pytester, alone):
    """A conftest or a plugin brings the same."""
    pytester.makepyfile(test_it=SUITE)
    pytester.makeconftest(f"def pytest_leakguard_allow():\n    return {RULES.splitlines()!r}\n")
    assert is_right(alone("--leakguard-grace=0"))


def test_a_rule_of_a_marker(pytester, alone):
    """The words mean the same there."""
    mark = "@pytest.mark.allow_leaks('fd:origin=*:Pool.*', reason='r')\ndef test_origin"
    pytester.makepyfile(test_it=SUITE.replace("def test_origin", mark))
    ran = alone("--leakguard-grace=0", "-k", "origin")
    assert [f["test"].partition("::")[2] for f in ran.findings] == ["test_other_origin"]


@pytest.fixture
def package(pytester, monkeypatch):
    """Makes an installed package whose entry points name something of a module of it."""

    def package(text: str, *names: str) -> None:
        folder = pytester.mkdir("installed")
        (folder / "vendor.py").write_text(text, "utf-8")
        info = folder / "vendor-1.0.dist-info"
        info.mkdir()
        (info / "METADATA").write_text("Metadata-Version: 2.1\nName: vendor\nVersion: 1.0\n", "utf-8")
        points = "\n".join(f"{name} = vendor:{name}" for name in names)
        (info / "entry_points.txt").write_text(f"[pytest_leakguard.rules]\n{points}\n", "utf-8")
        import os

        monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(folder), os.environ.get("PYTHONPATH", "")]))

    return package


OTHERS_OFF = ["-p", "no:asyncio", "-p", "no:anyio", "-p", "no:hypothesispytest", "-p", "no:xdist", "-p", "no:timeout"]


@pytest.mark.parametrize("form", [repr(RULES.splitlines()), f"lambda: {RULES.splitlines()!r}"], ids=["list", "call"])
def test_rules_of_an_entry_point(pytester, run, package, form):
    """A package names a list of rules, or a function that gives it; nobody has to load a plugin."""
    package(f"rules = {form}\n", "rules")
    pytester.makepyfile(test_it=SUITE)
    ran = run("--leakguard-grace=0", *OTHERS_OFF)
    assert is_right(ran), ran.text


def test_a_broken_entry_point_is_told_and_the_run_goes_on(pytester, run, package):
    """No list, an unknown kind, an error, a missing name: each is one line, and the good ones hold."""
    package(
        f"good = {RULES.splitlines()!r}\nnone = None\nkind = ['fsd:x -- r']\n\ndef fails():\n    raise KeyError('x')\n",
        "good", "none", "kind", "fails", "missing",
    )  # fmt: skip
    pytester.makepyfile(test_it=SUITE)
    ran = run("--leakguard-grace=0", *OTHERS_OFF, errors=True)
    assert is_right(ran), ran.text
    where = "in the group pytest_leakguard.rules of vendor: "
    told = sorted(ran.report["errors"])
    assert len(told) == 4
    assert told[0] == f"entry point 'fails' {where}KeyError: 'x'"
    assert told[1].startswith(f"entry point 'kind' {where}unknown kind 'fsd' in 'fsd:x'; did you mean 'fd'?")
    assert told[2].startswith(f"entry point 'missing' {where}AttributeError")
    assert told[3] == f"entry point 'none' {where}TypeError: it gave None, not a list of strings"


def test_entry_points_are_plugins(pytester, alone, package):
    """Where pytest loads no plugin by itself, rules of packages are not looked for."""
    package(f"rules = {RULES.splitlines()!r}\n", "rules")
    pytester.makepyfile(test_it=SUITE)
    assert len(alone("--leakguard-grace=0").findings) == 6


def test_the_package_of_the_howto(pytester, run, monkeypatch):
    """Its rule, named by an entry point as the page shows it, lets its thread pass, and no other."""
    import os
    import re
    import shutil
    from pathlib import Path

    docs = Path(__file__).parents[2] / "docs"
    # as a package is installed: reports tell paths from there on
    installed = pytester.path / "site-packages"
    shutil.copytree(docs / "examples" / "rules", installed)
    page = (docs / "howto" / "allow-a-leak.md").read_text("utf-8")
    (group, line) = re.search(r'entry-points\."(.*?)"\]\n(.*?)\n', page).groups()
    info = pytester.mkdir("site-packages/mydb-1.0.dist-info")
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: mydb\nVersion: 1.0\n", "utf-8")
    (info / "entry_points.txt").write_text(f"[{group}]\n{line.replace(chr(34), '')}\n", "utf-8")
    path = [str(installed), os.environ.get("PYTHONPATH", "")]
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(path))
    pytester.makepyfile(
        test_it="""
        import threading
        from mydb.reaper import Reaper

        def test_kept():
            Reaper().start()

        def test_leaks():
            threading.Thread(target=threading.Event().wait, daemon=True).start()
        """
    )
    ran = run("--leakguard-grace=0", f"--rootdir={pytester.path}", *OTHERS_OFF, "test_it.py")
    assert [(f["test"].partition("::")[2], f["disposition"]) for f in ran.report["findings"]] == [
        ("test_kept", "allowed"),
        ("test_leaks", "fails"),
    ]
