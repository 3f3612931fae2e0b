"""A baseline in real runs: adopted, kept, shrunk; and refused when it can't be read."""

from __future__ import annotations

import re
import textwrap

import pytest

from pytest_leakguard.core.baseline_text import parse

FILE = "leaks.toml"
USE = f"--leakguard-baseline={FILE}"
UPDATE = "--leakguard-baseline-update"
QUICK = "--leakguard-grace=0"

SUITE = """
import os
import socket
import threading

import pytest

KEPT = []

def leak():
    KEPT.append(os.open(os.devnull, os.O_RDONLY))

class Pool:
    def connect(self):
        KEPT.append(socket.socket())

@pytest.fixture(scope="module")
def store():
    leak()
    yield

@pytest.mark.parametrize("number", [1, 2, 3])
def test_parametrized(number):
    leak()

def test_method():
    Pool().connect()

def test_thread():
    threading.Thread(target=threading.Event().wait, name="waits", daemon=True).start()

def test_store(store):
    pass

def test_native():
    # no event tells of it: known by the test and what it is
    KEPT.append(os.dup(os.open(os.devnull, os.O_RDONLY)))

def test_clean(tmp_path):
    open(tmp_path / "x", "w").close()
"""


def entries(pytester):
    return {entry.fingerprint: entry for entry in parse((pytester.path / FILE).read_text("utf-8"), FILE).entries}


def dispositions(run) -> set[str]:
    return {finding["disposition"] for finding in run.report["findings"]}


@pytest.fixture
def adopted(pytester, alone):
    """The suite with its baseline written, and a function that runs it against that."""
    pytester.makepyfile(test_it=SUITE)
    written = alone(QUICK, USE, UPDATE)
    assert written.result.ret == 0
    assert dispositions(written) == {"known"}
    written.result.stdout.fnmatch_lines([f"leakguard: baseline {FILE} written: 5 new, 0 gone, 0 seen less often"])
    return lambda *args, **options: alone(QUICK, USE, *args, **options)


def is_green(run) -> None:
    assert run.result.ret == 0, run.text
    assert dispositions(run) == {"known"}, run.text
    assert run.report["baseline"]["new"] == []
    assert "LEAKED" not in run.text


def test_a_suite_that_leaks_is_green_and_guarded(pytester, adopted):
    """Known leaks pass and are counted; head and closing line say so; one more of them, or another one, fails."""
    again = adopted()
    is_green(again)
    again.result.stdout.fnmatch_lines(
        [f"leakguard: baseline {FILE} with 5 known leaks", "leakguard: 8 tests, 0 leaks, 8 known, *"]
    )
    again.result.assert_outcomes(passed=8)
    assert again.report["baseline"] == {
        "file": FILE, "entries": 5, "known": 8, "new": [], "gone": [], "fewer": [],
    }  # fmt: skip
    assert again.report["summary"]["known"] == 8
    pytester.makepyfile(
        test_it=SUITE + "\ndef test_one_more():\n    leak()\n\ndef test_new():\n    KEPT.append(open(__file__))\n"
    )
    more = adopted()
    assert more.result.ret == 1
    assert [finding["test"].partition("::")[2] for finding in more.findings] == ["test_store", "test_new"]
    assert more.findings[0]["notes"] == [
        "the baseline knows 4 of these, and there are more: any of them may be the new one"
    ]
    assert more.report["baseline"]["new"] == ["fd:test_it.py:leak", "fd:test_it.py:test_new"]
    more.result.stdout.fnmatch_lines(
        ["  note      the baseline knows 4 of these, and there are more: any of them may be the new one"]
    )


def test_edits_do_not_make_known_leaks_new(pytester, adopted):
    """Lines moved, parameters renamed, tests in another order."""
    head, _, rest = SUITE.partition("KEPT = []")
    moved = f"{head}\n\nUNUSED = 1\n\n\nKEPT = []\n{rest}".replace("[1, 2, 3]", "['one', 'two', 'x/y[z]']")
    tests = re.split(r"(?=^@pytest.mark|^def test_)", moved, flags=re.MULTILINE)
    assert len(tests) > 4
    pytester.makepyfile(test_it="".join([tests[0], tests[1] + tests[2], *reversed(tests[3:])]))
    is_green(adopted())


def test_workers_and_random_order_make_none_new_either(pytester, adopted):
    """The controller compares: with -n 2 and with every order the baseline of a plain run holds, and the other way."""
    pytest.importorskip("xdist")
    pytest.importorskip("pytest_randomly")
    before = (pytester.path / FILE).read_text("utf-8")
    is_green(adopted("-p", "xdist", "-n", "2"))
    is_green(adopted("-p", "xdist", "-n", "2", UPDATE))
    assert (pytester.path / FILE).read_text("utf-8") == before
    (pytester.path / "conftest.py").write_text(
        "def pytest_collection_modifyitems(items):\n    import random\n    random.Random(4).shuffle(items)\n"
    )
    is_green(adopted())
    is_green(adopted(UPDATE))
    assert (pytester.path / FILE).read_text("utf-8") == before


def test_workers_tell_what_is_new_and_what_is_gone(pytester, adopted):
    """Under xdist a new leak fails and a gone one is listed as without it."""
    pytest.importorskip("xdist")
    changed = SUITE.replace("Pool().connect()", "pass").replace(
        "def test_clean(tmp_path):", "def test_clean(tmp_path):\n    KEPT.append(open(__file__))"
    )
    pytester.makepyfile(test_it=changed)
    ran = adopted("-p", "xdist", "-n", "2")
    assert [(finding["test"], finding["disposition"]) for finding in ran.findings] == [
        ("test_it.py::test_clean", "fails")
    ]
    (gone,) = ran.report["baseline"]["gone"]
    assert gone.startswith("socket:test_it.py:")


def test_what_is_gone_is_listed_and_an_update_takes_it_out(pytester, adopted):
    """Listed with its line, no failure; with strict a failure; the update shrinks the file and keeps the rest."""
    text = (pytester.path / FILE).read_text("utf-8")
    text = text.replace(
        '[[leak]]\nfingerprint = "thread', '# ours\n[[leak]]\nreason = "they wait"\nfingerprint = "thread'
    )
    (pytester.path / FILE).write_text(text, "utf-8")
    pytester.makepyfile(test_it=SUITE.replace("Pool().connect()", "pass").replace("[1, 2, 3]", "[1]"))
    gone = next(name for name in entries(pytester) if name.startswith("socket:"))
    line = entries(pytester)[gone].line
    told = adopted()
    assert told.result.ret == 0
    told.result.stdout.fnmatch_lines(
        [
            f"leakguard: gone from the suite, but still in {FILE}:{line}: {gone}",
            f"leakguard: 1 of the leaks in {FILE} is seen less often now",
            f"leakguard: {UPDATE} takes out of {FILE} what is gone",
        ]
    )
    assert told.report["baseline"]["gone"] == [gone]
    assert told.report["baseline"]["fewer"] == ["fd:test_it.py:leak"]
    strict = adopted("--leakguard-baseline-strict")
    assert strict.result.ret == 1
    assert strict.findings == []
    assert adopted(UPDATE, "--leakguard-baseline-strict").result.ret == 0
    left = entries(pytester)
    assert gone not in left
    assert left["fd:test_it.py:leak"].count == 2
    (thread,) = (entry for name, entry in left.items() if name.startswith("thread"))
    assert (thread.reason, thread.comments) == ("they wait", ("# ours",))
    is_green(adopted("--leakguard-baseline-strict"))


def test_a_part_of_the_tests_says_nothing_about_the_rest(pytester, adopted):
    """-k, one id, -x, --deselect, --ignore, a failing test: nothing is called gone, nothing is taken out."""
    pytester.makepyfile(test_it=SUITE.replace("Pool().connect()", "assert not 'own failure'"))
    pytester.makepyfile(test_other="def test_other(): pass")
    before = (pytester.path / FILE).read_text("utf-8")
    for args in (
        ("-k", "test_clean"),
        ("test_it.py::test_clean",),
        ("test_other.py",),
        ("-x", "test_it.py"),
        ("--deselect", "test_it.py::test_parametrized"),
        ("--ignore", "test_it.py"),
        ("-k", "nothing_at_all"),
    ):
        ran = adopted(UPDATE, *args)
        assert ran.report["baseline"]["gone"] == [], args
        assert (pytester.path / FILE).read_text("utf-8") == before, args
    # the one test that would tell did not get to its leak
    assert adopted("--leakguard-baseline-strict").report["baseline"]["gone"] == []


def test_what_a_shared_fixture_leaves_is_gone_when_all_that_may_use_it_ran(pytester, alone):
    """A file that can't be imported may have had the test that would tell; a test that is skipped has none."""
    fixture = "import os, pytest\n\n@pytest.fixture(scope='session')\ndef store():\n    {}\n"
    pytester.makeconftest(fixture.format("os.dup(0)"))
    pytester.makepyfile(
        test_other="import pytest\n\ndef test_one(): pass\n\n@pytest.mark.skip\ndef test_skipped(): pass",
        test_uses="def test_it(store): pass",
    )
    assert dispositions(alone(QUICK, USE, UPDATE)) == {"known"}
    uses = pytester.path / "test_uses.py"
    uses.write_text("raise OSError\n")
    broken = alone(QUICK, USE, "--continue-on-collection-errors")
    broken.result.assert_outcomes(passed=1, skipped=1, errors=1)
    assert broken.report["baseline"]["gone"] == []
    uses.write_text("def test_it(store): pass\n")
    pytester.makeconftest(fixture.format("pass"))
    assert len(alone(QUICK, USE).report["baseline"]["gone"]) == 1


def test_lf_is_a_part_too(pytester, adopted, monkeypatch):
    """--lf leaves out whole files without a word."""
    pytester.makepyfile(test_it=SUITE.replace("Pool().connect()", "pass"), test_fails="def test_fails(): assert 0")
    monkeypatch.setenv("PYTEST_DISABLE_PLUGIN_AUTOLOAD", "1")
    options = ("-p", "leakguard", "--leakguard", QUICK, USE, "--leakguard-baseline-strict")
    first = pytester.runpytest(*options)
    assert "gone from the suite" in first.stdout.str()
    again = pytester.runpytest(*options, "--lf")
    assert "run-last-failure: rerun previous 1 failure" in again.stdout.str()
    assert "gone from the suite" not in again.stdout.str()


def test_only_marked_tests_say_nothing_about_the_others(pytester, adopted):
    """Without --leakguard only marked tests are checked: known leaks of theirs pass, nothing is gone or written."""
    pytester.makepyfile(test_it=SUITE.replace("def test_method", "@pytest.mark.no_leaks\ndef test_method"))
    before = (pytester.path / FILE).read_text("utf-8")
    ran = adopted(flag=())
    is_green(ran)
    assert ran.report["baseline"]["gone"] == []
    refused = adopted(UPDATE, flag=())
    refused.result.stdout.fnmatch_lines([f"leakguard: baseline {FILE} not written: *"])
    assert (pytester.path / FILE).read_text("utf-8") == before


def test_an_expired_entry_fails_with_its_date(pytester, adopted):
    """Also in an update: only a person moves a date."""
    text = (pytester.path / FILE).read_text("utf-8")
    (pytester.path / FILE).write_text(text.replace("[[leak]]", "[[leak]]\nexpires = 2020-02-02"), "utf-8")
    for args in ((), (UPDATE,)):
        ran = adopted(*args)
        assert ran.result.ret == 1
        assert len(ran.findings) >= 5
        note = "known to the baseline, but only until 2020-02-02: fix it, or give it a later date there"
        assert all(note in finding["notes"] for finding in ran.findings)
    assert {str(entry.expires) for entry in entries(pytester).values()} == {"2020-02-02"}


def test_actions_and_a_file_of_the_ini(pytester, alone, monkeypatch):
    """The ini file's path is relative to it, from any folder; with warn and report new ones don't fail."""
    pytester.makepyfile(**{"sub/test_it": SUITE})
    pytester.makeini(f"[pytest]\nleakguard_baseline = known/{FILE}\n")
    (pytester.path / "known").mkdir()
    assert alone(QUICK, UPDATE).result.ret == 0
    assert (pytester.path / "known" / FILE).exists()
    pytester.makepyfile(**{"sub/test_it": SUITE + "\ndef test_new():\n    KEPT.append(open(__file__))\n"})
    with monkeypatch.context() as patch:
        patch.chdir(pytester.path / "sub")
        for action, seen in (("fail", "fails"), ("warn", "warned"), ("report", "fails")):
            ran = alone(
                QUICK, f"--leakguard-action={action}", f"--rootdir={pytester.path}", f"-c{pytester.path}/tox.ini"
            )
            assert dispositions(ran) == {"known", seen}
            assert ran.result.ret == (1 if action == "fail" else 0)


def test_what_a_fault_shows_is_known_too(pytester, alone):
    """A sweep's findings are written and pass; without the sweep they are not called gone."""
    pytester.makepyfile(
        app="""
        def pair(one, other):
            first = open(one, "w")
            second = open(other, "w")
            second.close()
            first.close()
        """,
        test_it="""
        import app

        def test_pair(tmp_path):
            app.pair(tmp_path / "one", tmp_path / "other")
        """,
    )
    sweep = ("--leakguard-faults", "--leakguard-fault-families=acquire")
    first = alone(QUICK, USE, UPDATE, *sweep)
    assert first.result.ret == 0
    assert dispositions(first) == {"known"}
    assert {entry.needs for entry in entries(pytester).values()} == {"faults"}
    again = alone(QUICK, USE, *sweep)
    assert again.result.ret == 0
    assert again.report["baseline"]["gone"] == []
    plain = alone(QUICK, USE)
    assert plain.report["baseline"]["gone"] == []
    pytester.makepyfile(app="def pair(one, other):\n    pass\n")
    fixed = alone(QUICK, USE, *sweep)
    assert set(fixed.report["baseline"]["gone"]) == set(entries(pytester))


@pytest.mark.parametrize(
    ("args", "text", "says"),
    [
        ([USE], None, [f"*--leakguard-baseline: there is no file '{FILE}'. Run once with {UPDATE}*"]),
        (["--leakguard-baseline=."], None, ["*--leakguard-baseline: '.' is a folder. Allowed: a file.*"]),
        (["--leakguard-baseline="], None, ["*--leakguard-baseline: empty value.*"]),
        ([UPDATE], None, [f"*{UPDATE}: no baseline is named. Add --leakguard-baseline FILE*"]),
        (["--leakguard-baseline-strict"], None, ["*--leakguard-baseline-strict: no baseline is named.*"]),
        ([USE], "[[leak]]\ncuont = 1\n", [f"*{FILE}, line 2: unknown name 'cuont'; did you mean 'count'?*"]),
        ([USE, "-n2", "-pxdist"], "[[leak]]\ncuont = 1\n", [f"*{FILE}, line 2: unknown name 'cuont'*"]),
    ],
)
def test_what_can_not_be_used_is_refused(pytester, monkeypatch, args, text, says):
    """A usage error before any test runs: what, where, and what to do."""
    monkeypatch.setenv("PYTEST_DISABLE_PLUGIN_AUTOLOAD", "1")
    pytester.makepyfile("def test_it(): pass")
    if text is not None:
        (pytester.path / FILE).write_text(text, "utf-8")
    result = pytester.runpytest("-p", "leakguard", "--leakguard", *args)
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines(says)
    assert "Traceback" not in result.stderr.str()


def test_the_order_of_a_file_is_that_of_the_fingerprints(pytester, adopted):
    """So that two branches write the same leaks in the same places."""
    text = (pytester.path / FILE).read_text("utf-8")
    names = re.findall(r'^fingerprint = "(.*)"$', text, re.MULTILINE)
    assert names == sorted(names)
    assert textwrap.dedent(text) == text
    assert text.endswith("]\n")


def test_a_known_leak_is_not_searched_for_its_holder(pytester, alone):
    """That takes time for each, and nobody asks who holds what is known; a new one is searched for."""
    pytester.makepyfile("KEPT = []\n\ndef test_old():\n    KEPT.append(open(__file__))\n")
    alone(QUICK, USE, UPDATE)
    with open("test_a_known_leak_is_not_searched_for_its_holder.py", "a") as file:
        file.write("\ndef test_new():\n    KEPT.append(open(__file__))\n")
    ran = alone(QUICK, USE)
    held = {finding["disposition"]: finding["held"] for finding in ran.report["findings"]}
    assert held["known"] == {
        "chain": [],
        "graph": "",
        "reason": "not searched: the baseline knows leaks with this origin",
    }
    assert any("KEPT" in part for part in held["fails"]["chain"])
