"""`python -m pytest_leakguard diff`: what is new, gone and moved, and the exit status that a pull request goes by."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import hostile
import pytest
from documents import LEAK, OF_FIXTURE, UNKNOWN, document

from pytest_leakguard.__main__ import main
from pytest_leakguard.core.model import Finding
from pytest_leakguard.report import jsonfile
from pytest_leakguard.report.compare import compare


def at(file: str, function: str = "open_source", **changed: Any) -> Finding:
    """The leak at another place."""
    origin = replace(LEAK.origin, file=file, function=function)
    return replace(LEAK, origin=origin, fingerprint=f"fd:{file}:{function}", **changed)


def names(old: list[Finding], new: list[Finding]) -> tuple[list[str], list[str], list[tuple[str, str]], list[str]]:
    """Fingerprints: new, gone, moved, same."""
    found = compare(document(*old), document(*new))
    return (
        [group.fingerprint for group in found.new],
        [group.fingerprint for group in found.gone],
        [(before.fingerprint, after.fingerprint) for before, after in found.moved],
        [group.fingerprint for _, group in found.same],
    )


def test_new_gone_and_same_leaks_are_told_apart():
    """By fingerprint: lines, counts and tests don't matter."""
    elsewhere = replace(LEAK, origin=replace(LEAK.origin, line=99), test="tests/test_other.py::test_it", count=4)
    assert names([LEAK, UNKNOWN], [elsewhere, OF_FIXTURE]) == (
        [OF_FIXTURE.fingerprint], [UNKNOWN.fingerprint], [], [LEAK.fingerprint]
    )  # fmt: skip


def test_a_leak_in_a_renamed_file_or_function_has_moved():
    """Same kind, function and subject in another file; or the same file and subject in another function."""
    for now in (at("app/loading.py"), at("app/loader.py", "open_table")):
        assert names([LEAK], [now]) == ([], [], [(LEAK.fingerprint, now.fingerprint)], [])


def test_what_only_looks_like_a_move_is_new():
    """Two candidates, another subject, another kind, no known origin: none is guessed."""
    twice = [at("app/a.py"), at("app/b.py")]
    assert names([LEAK], twice)[:3] == ([one.fingerprint for one in twice], [LEAK.fingerprint], [])
    other = at("app/loading.py", subject="data/other.csv")
    assert names([LEAK], [other])[0] == [other.fingerprint]
    kind = at("app/loading.py", kind="socket")
    assert names([LEAK], [kind])[0] == [kind.fingerprint]
    assert names([UNKNOWN], [replace(UNKNOWN, fingerprint="fd:x")])[0] == ["fd:x"]


def test_only_leaks_count():
    """What was allowed and now fails is new; what failed and is allowed now is gone."""
    allowed = replace(LEAK, disposition="allowed")
    assert names([allowed], [LEAK])[0] == [LEAK.fingerprint]
    assert names([LEAK], [allowed])[1] == [LEAK.fingerprint]
    assert names([], [replace(LEAK, disposition=d) for d in ("late", "told", "note", "allowed")]) == ([], [], [], [])


@pytest.fixture
def diff(tmp_path, capsys):
    """Run the command over two reports; gives the status, the output and the errors."""

    def diff(old: Any, new: Any, *options: str) -> tuple[int, str, str]:
        for name, report in (("old.json", old), ("new.json", new)):
            if isinstance(report, str):
                (tmp_path / name).write_text(report, "utf-8")
            elif report is not None:
                jsonfile.write(str(tmp_path / name), report)
        status = main(["diff", str(tmp_path / "old.json"), str(tmp_path / "new.json"), *options])
        return (status, *capsys.readouterr())

    return diff


def test_the_exit_status_goes_by_the_new_leaks(diff):
    """0 without, 1 with a new one; gone and moved ones fail nothing."""
    assert diff(document(LEAK), document(LEAK, OF_FIXTURE))[0] == 1
    assert diff(document(LEAK, OF_FIXTURE), document(at("app/loading.py")))[0] == 0
    assert diff(document(), document())[0] == 0


def test_the_text_tells_where_and_what_to_do(diff):
    """Totals first; a new leak with its place, owner and fix, a moved one with both places."""
    _, text, _ = diff(document(LEAK, UNKNOWN), document(at("app/loading.py"), OF_FIXTURE))
    assert text.splitlines() == [
        "1 new, 1 gone, 1 moved, 0 as before (leaks by fingerprint)",
        "",
        "NEW thread  tests/conftest.py:21 in broker",
        "  what      thread 'broker-io', not daemon, now at app/broker.py:88 in _poll",
        "  owner     fixture 'broker' (module scope)",
        f"  fix       {OF_FIXTURE.fix}",
        "  count     1 leak in 1 test, first tests/test_loader.py::test_header",
        "",
        "MOVED fd  app/loading.py:42 in open_source",
        "  from      fd  app/loader.py:42 in open_source",
        "",
        "GONE fd  epoll",
    ]


def test_the_markdown_is_for_a_comment(diff):
    """A table of the new ones, lists of the others."""
    status, text, _ = diff(document(LEAK, UNKNOWN), document(at("app/loading.py"), OF_FIXTURE), "--format", "markdown")
    assert status == 1
    assert text.startswith("## \N{CROSS MARK} leakguard: 1 new, 1 gone, 1 moved, 0 as before")
    assert "| thread | `tests/conftest.py:21 in broker` | `fixture 'broker' (module scope)` | 1 |" in text
    assert "- `fd  app/loader.py:42 in open_source` is now `fd  app/loading.py:42 in open_source`" in text
    assert "- `fd  epoll`" in text


@pytest.mark.parametrize("form", ["text", "markdown"])
def test_hostile_names_are_harmless_in_a_difference(diff, form):
    """No control character comes out, and no line without an end."""
    status, text, _ = diff(document(), hostile.hostile(), "--format", form)
    assert status == 1
    assert all(char.isprintable() or char == "\n" for char in text)
    assert max(map(len, text.splitlines())) < 3000


@pytest.mark.parametrize(
    ("new", "words"),
    [
        (None, "No such file"),
        ("{", "no JSON"),
        ({**document(), "format_version": 2}, "format version 2; this version reads 1"),
        ({**document(), "findings": [{"kind": "fd"}]}, "make the report anew"),
    ],
    ids=["missing", "cut", "newer", "no finding"],
)
def test_what_cannot_be_compared_is_status_2(diff, new, words):
    """Neither clean nor leaking: said on the error output, nothing on the other."""
    status, text, errors = diff(document(), new)
    assert (status, text) == (2, "")
    assert words in errors
