"""The markers no_leaks and allow_leaks: where they may stand, what they change, and what becomes of unused ones."""

from __future__ import annotations

import json

LEAK = """
import socket
import threading

import pytest

KEPT = []


def leak(tmp_path):
    KEPT.append(open(tmp_path / "a", "w"))
"""


def by_test(findings) -> dict[str, list[str]]:
    """Test (without its file) -> kinds told of it."""
    told: dict[str, list[str]] = {}
    for finding in findings:
        told.setdefault(finding["test"].partition("::")[2], []).append(finding["kind"])
    return told


def test_without_the_flag_only_marked_tests_are_checked(alone, pytester):
    """On a function, a class, a base class, a parameter, an outer class and in pytestmark; nothing else is judged."""
    pytester.makepyfile(
        test_some=LEAK
        + """
def test_not_marked(tmp_path): leak(tmp_path)

@pytest.mark.no_leaks
def test_marked(tmp_path): leak(tmp_path)

@pytest.mark.no_leaks()
def test_marked_with_brackets(tmp_path): leak(tmp_path)

@pytest.mark.no_leaks
def test_marked_and_clean(tmp_path):
    with open(tmp_path / "a", "w"): pass

def test_not_marked_again(tmp_path): leak(tmp_path)

@pytest.mark.no_leaks
class TestMarked:
    def test_it(self, tmp_path): leak(tmp_path)

    class TestInner:
        def test_it(self, tmp_path): leak(tmp_path)

class TestHeir(TestMarked):
    pass

class TestNotMarked:
    def test_it(self, tmp_path): leak(tmp_path)

    @pytest.mark.no_leaks
    def test_one(self, tmp_path): leak(tmp_path)

@pytest.mark.parametrize("n", [1, pytest.param(2, marks=pytest.mark.no_leaks)])
def test_parameter(tmp_path, n): leak(tmp_path)
""",
        test_all=LEAK
        + """
pytestmark = pytest.mark.no_leaks

def test_in_a_marked_module(tmp_path): leak(tmp_path)

class TestIt:
    def test_it(self, tmp_path): leak(tmp_path)
""",
    )
    ran = alone(flag=())
    assert by_test(ran.findings) == {
        test: ["fd"]
        for test in (
            "test_in_a_marked_module",
            "TestIt::test_it",
            "test_marked",
            "test_marked_with_brackets",
            "TestMarked::test_it",
            "TestMarked::TestInner::test_it",
            "TestHeir::test_it",
            "TestHeir::TestInner::test_it",
            "TestNotMarked::test_one",
            "test_parameter[2]",
        )
    }
    assert ran.report["summary"]["tests"] == 11
    assert ran.result.ret == 1
    ran.result.stdout.fnmatch_lines(["*15 passed, 10 leaked*"])


def test_what_an_unmarked_test_left_is_nobodys(alone, pytester):
    """A marked test after a leaky one that is not checked is not blamed for what was there before, nor collected."""
    pytester.makepyfile(
        LEAK
        + """
def test_leaky(tmp_path): leak(tmp_path)

@pytest.mark.no_leaks
def test_clean(): pass

def test_leaky_again(tmp_path):
    leak(tmp_path)
    cycle = [open(tmp_path / "b", "w")]
    cycle.append(cycle)

@pytest.mark.no_leaks
def test_clean_again(tmp_path):
    with open(tmp_path / "a", "w"): pass
"""
    )
    ran = alone(flag=())
    assert ran.report["findings"] == []
    assert ran.result.ret == 0
    ran.result.assert_outcomes(passed=4)


def test_no_marked_test_means_nothing_is_watched(pytester, monkeypatch):
    """Without flag, marker and fixture there is no header, no closing line and no report."""
    monkeypatch.setenv("PYTEST_DISABLE_PLUGIN_AUTOLOAD", "1")
    pytester.makepyfile(LEAK + "def test_leaky(tmp_path): leak(tmp_path)")
    result = pytester.runpytest("-p", "leakguard", "-v")
    assert result.ret == 0
    assert [line for line in result.outlines if line.startswith("leakguard")] == []


def test_arguments_of_no_leaks(alone, pytester):
    """Kinds replace, add extends, allow lets pass, grace waits: each for its test alone, with the flag or without."""
    pytester.makepyfile(
        LEAK
        + """
def both(tmp_path):
    leak(tmp_path)
    KEPT.append(socket.socket())

@pytest.mark.no_leaks("socket")
def test_one_kind(tmp_path): both(tmp_path)

@pytest.mark.no_leaks("thread", "process")
def test_other_kinds(tmp_path): both(tmp_path)

@pytest.mark.no_leaks("thread", add=["fd"])
def test_added_kind(tmp_path): both(tmp_path)

@pytest.mark.no_leaks("-socket")
def test_without_a_kind(tmp_path): both(tmp_path)

@pytest.mark.no_leaks(allow="fd:*/a -- the library keeps it")
def test_allowed(tmp_path): both(tmp_path)

@pytest.mark.no_leaks(allow=["fd:*/b -- another one"])
def test_allowed_in_vain(tmp_path): leak(tmp_path)

@pytest.mark.no_leaks(grace=5)
def test_patient():
    threading.Timer(0.1, int).start()

@pytest.mark.no_leaks(grace=0)
def test_impatient():
    go_on = threading.Event()
    thread = threading.Thread(target=go_on.wait, args=(5,), daemon=True)
    thread.start()
    KEPT.append(go_on)
"""
    )
    for flag in ((), ("--leakguard", "--leakguard-grace=0.05")):
        ran = alone(flag=flag)
        assert by_test(ran.findings) == {
            "test_one_kind": ["socket"],
            "test_added_kind": ["fd"],
            "test_without_a_kind": ["fd"],
            "test_allowed": ["socket"],
            "test_allowed_in_vain": ["fd"],
            "test_impatient": ["thread"],
        }
        (allowed,) = (finding for finding in ran.report["findings"] if finding["disposition"] == "allowed")
        assert (allowed["test"].partition("::")[2], allowed["kind"]) == ("test_allowed", "fd")
        assert allowed["notes"] == ["allowed: the library keeps it"]
        (impatient,) = ran.of("test_impatient")
        assert "1 look in" in impatient["due"]


def test_a_marked_test_that_fails_keeps_its_failure(alone, pytester):
    """Failed and xfailed marked tests keep their outcome, with the leak as a note; a skipped one has none to keep."""
    pytester.makepyfile(
        LEAK
        + """
pytestmark = pytest.mark.no_leaks

def test_fails(tmp_path):
    leak(tmp_path)
    assert 0

@pytest.mark.xfail(strict=True)
def test_xfails(tmp_path):
    leak(tmp_path)
    assert 0

def test_skips(tmp_path):
    leak(tmp_path)
    pytest.skip("in the call")
"""
    )
    ran = alone(flag=())
    told = {f["test"].partition("::")[2]: f["disposition"] for f in ran.report["findings"]}
    assert told == {"test_fails": "note", "test_xfails": "note", "test_skips": "fails"}
    assert ran.report["summary"]["notes"] == 2


def test_a_marker_added_by_a_conftest_counts(alone, pytester):
    """Plugins mark tests while they are collected; a bad marker that comes only during the run is told, not fatal."""
    pytester.makeconftest(
        """
        import pytest

        def pytest_collection_modifyitems(items):
            for item in items:
                item.add_marker(pytest.mark.no_leaks("fd"))
        """
    )
    pytester.makepyfile(
        LEAK
        + """
def test_leaky(tmp_path): leak(tmp_path)

def test_adds_a_bad_one(tmp_path, request):
    leak(tmp_path)
    request.node.add_marker(pytest.mark.no_leaks("fsd"), append=False)
"""
    )
    ran = alone(flag=(), errors=True)
    assert ran.report["summary"]["tests"] == 2
    assert by_test(ran.findings)["test_leaky"] == ["fd"]
    (error,) = ran.report["errors"]
    assert "unknown kind 'fsd'" in error
    assert "test_adds_a_bad_one" in error


ALLOWED = (
    LEAK
    + """
@pytest.mark.allow_leaks("fd:*/a", reason="the library keeps it")
def test_used(tmp_path): leak(tmp_path)

@pytest.mark.allow_leaks("fd:*/never", reason="long gone")
def test_unused(tmp_path): leak(tmp_path)

@pytest.mark.allow_leaks("socket:*", reason="another kind")
def test_other_kind(tmp_path): leak(tmp_path)

@pytest.mark.allow_leaks("*:*", reason="anything goes")
def test_any_kind(tmp_path):
    leak(tmp_path)
    KEPT.append(socket.socket())

@pytest.mark.allow_leaks("fd:*/a", reason="it is the whole class")
class TestIt:
    def test_leaky(self, tmp_path): leak(tmp_path)
    def test_clean(self): pass

@pytest.mark.allow_leaks("fd:*/a", reason="it is flaky")
@pytest.mark.parametrize("n", range(3))
def test_sometimes(tmp_path, n):
    if n == 1:
        leak(tmp_path)

@pytest.mark.allow_leaks("fd:*/a", reason="never reached")
def test_fails_first():
    assert 0

@pytest.mark.allow_leaks("fd:*/a", reason="never reached")
def test_skips():
    pytest.skip("not today")

def test_after(): pass
"""
)


def test_allowed_leaks_are_counted_and_fail_nothing(alone, pytester):
    """A leak that a marker lets pass is in the report as allowed, once, and in the closing line; others fail."""
    pytester.makepyfile(ALLOWED)
    ran = alone()
    assert by_test(ran.findings) == {"test_unused": ["fd"], "test_other_kind": ["fd"]}
    allowed = [finding for finding in ran.report["findings"] if finding["disposition"] == "allowed"]
    assert by_test(allowed) == {
        "test_used": ["fd"],
        "test_any_kind": ["fd", "socket"],
        "TestIt::test_leaky": ["fd"],
        "test_sometimes[1]": ["fd"],
    }
    assert [finding["notes"] for finding in allowed[:2]] == [
        ["allowed: the library keeps it"],
        ["allowed: anything goes"],
    ]
    assert (ran.report["summary"]["allowed"], ran.report["summary"]["leaks"]) == (5, 2)
    ran.result.stdout.fnmatch_lines(["leakguard: 12 tests, 2 leaks, 5 allowed, *"])
    ran.result.stdout.no_fnmatch_line("*LEAK*the library keeps it*")


def test_unused_allow_marks_are_listed(alone, pytester):
    """What matched nothing is told in the summary and in the report; not where the test failed or was skipped."""
    pytester.makepyfile(test_it=ALLOWED)
    ran = alone()
    expected = [
        ("fd:*/never", "@pytest.mark.allow_leaks on test_it.py::test_unused"),
        ("socket:*", "@pytest.mark.allow_leaks on test_it.py::test_other_kind"),
    ]
    assert [(unused["rule"], unused["source"]) for unused in ran.report["unused_allows"]] == expected
    shown = [line for line in ran.result.outlines if "hides nothing any more" in line]
    assert shown == [f"leakguard: allow rule {rule!r} hides nothing any more: {source}" for rule, source in expected]


def test_unused_rules_of_the_ini_file_and_of_no_leaks_are_listed_too(alone, pytester):
    """Every rule that the user wrote is told when it matched nothing; those of plugins are not the user's."""
    pytester.makeini("[pytest]\nleakguard_allow =\n  fd:*/a -- needed\n  fd:*/never -- long gone\n")
    pytester.makeconftest("def pytest_leakguard_allow():\n    return ['fd:*/of-a-plugin -- its own business']")
    pytester.makepyfile(
        test_it=LEAK
        + """
@pytest.mark.no_leaks(allow="fd:*/not-here -- of the marker")
def test_it(tmp_path): leak(tmp_path)
"""
    )
    ran = alone()
    assert ran.findings == []
    assert [(unused["rule"], unused["source"]) for unused in ran.report["unused_allows"]] == [
        ("fd:*/never", "leakguard_allow (ini file tox.ini)"),
        ("fd:*/not-here", "@pytest.mark.no_leaks on test_it.py::test_it"),
    ]


def test_an_allowed_leak_is_blamed_once(alone, pytester):
    """It joins what is known: a later test without the mark hears nothing of it, also when it is closed there."""
    pytester.makepyfile(
        LEAK
        + """
@pytest.mark.allow_leaks("fd:*", reason="r")
def test_one(tmp_path): leak(tmp_path)

def test_two(tmp_path):
    with open(tmp_path / "b", "w"): pass

def test_three():
    KEPT.pop()

def test_four(): pass
"""
    )
    ran = alone()
    assert [finding["disposition"] for finding in ran.report["findings"]] == ["allowed"]
    ran.result.assert_outcomes(passed=4)


def test_allow_leaks_does_not_reach_the_fixtures_of_others(alone, pytester):
    """A leak of a wider fixture is not the test's: its mark lets it not pass, a rule of the ini file does."""
    source = (
        LEAK
        + """
@pytest.fixture(scope="module")
def wide(tmp_path_factory):
    leak(tmp_path_factory.mktemp("wide"))
    yield

@pytest.mark.allow_leaks("fd:*/a", reason="r")
def test_it(wide): pass
"""
    )
    pytester.makepyfile(source)
    (told,) = alone().findings
    assert told["owner"]["kind"] == "fixture"
    pytester.makeini("[pytest]\nleakguard_allow = fd:*/a -- r\n")
    assert alone().findings == []


def test_the_suggested_line_is_accepted(alone, pytester):
    """What the report offers to copy lets the same leaks pass in the next run: as a marker and as an ini line."""
    pytester.makeconftest(
        """
        import socket, tempfile, threading, pytest
        KEPT = []

        @pytest.fixture(scope="module")
        def wide(tmp_path_factory):
            yield KEPT.append(open(tmp_path_factory.mktemp("wide") / "w[1].txt", "w"))
        """
    )
    source = """
        import os, socket, tempfile, threading, pytest
        from conftest import KEPT

        @pytest.mark.parametrize("kind", ["fd", "socket", "thread", "temp", "unclosed"])
        def test_leaky(kind, tmp_path, wide):
            if kind == "fd":
                KEPT.append(open(tmp_path / 'a"*[x]?.txt', "w"))
            elif kind == "socket":
                KEPT.append(socket.create_server(("127.0.0.1", 0)))
            elif kind == "thread":
                KEPT.append(threading.Timer(600, int))
                KEPT[-1].daemon, KEPT[-1].name = True, "poller (1)"
                KEPT[-1].start()
            elif kind == "temp":
                number, path = tempfile.mkstemp(".csv", dir=os.environ["STRAY"])
                os.close(number)
            else:
                open(tmp_path / "dropped.txt", "w")
        """
    stray = pytester.mkdir("stray")
    pytester._monkeypatch.setenv("STRAY", str(stray))
    file = pytester.makepyfile(source)
    first = alone("--leakguard-grace=0.05")
    assert sorted(finding["kind"] for finding in first.findings) == ["fd", "fd", "socket", "temp", "thread", "unclosed"]
    marks = [f["allow"] for f in first.findings if f["owner"]["kind"] == "test"]
    (line,) = (f["allow"] for f in first.findings if f["owner"]["kind"] == "fixture")
    assert all(mark.startswith("@pytest.mark.allow_leaks(") for mark in marks)
    text = file.read_text().replace("@pytest.mark.parametrize", "\n".join([*marks, "@pytest.mark.parametrize"]))
    file.write_text(text)
    pytester.makeini(f"[pytest]\n{line.removeprefix('in the ini file: ').replace('<reason>', 'kept')}\n")
    second = alone("--leakguard-grace=0.05")
    assert second.findings == []
    assert second.report["summary"]["allowed"] == 6
    assert second.report["unused_allows"] == []
    assert json.dumps(second.report)  # plain data all the way
