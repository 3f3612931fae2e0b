"""The baseline as text: what is written is read again, what a person adds survives, what is wrong is named."""

from __future__ import annotations

import difflib
import subprocess
import sys
import textwrap
from datetime import date

import pytest

from pytest_leakguard.core.baseline_text import HEAD, BadBaseline, BaselineText, Entry, parse, render

ODD = 'fd:a b/"quoted"\\back:f\n\t\x7f\x1b[31m\u2028é\U000e0001\''
ENTRIES = (
    Entry(fingerprint="fd:app/loader.py:open_source", count=3, tests=("t.py::test_a", "t.py::test_b")),
    Entry(
        fingerprint="socket:app/pool.py:Pool.connect",
        tests=("t.py",),
        reason="see #12",
        expires=date(2027, 1, 31),
        comments=("# until the rewrite",),
    ),
    Entry(fingerprint=ODD, count=12, needs="faults"),
)


def without_lines(text: BaselineText) -> list[Entry]:
    from dataclasses import replace

    return [replace(entry, line=0) for entry in text.entries]


def test_what_is_written_is_read_again():
    """Every field, odd characters included; the order is that of the fingerprints, whatever comes in."""
    text = render(HEAD, ENTRIES)
    read = parse(text, "b.toml")
    assert sorted(without_lines(read), key=str) == sorted(ENTRIES, key=str)
    assert read.head == HEAD
    assert [entry.fingerprint for entry in read.entries] == sorted(entry.fingerprint for entry in ENTRIES)
    assert render(read.head, read.entries) == render(HEAD, reversed(ENTRIES)) == text
    assert all(ord(char) >= 32 or char == "\n" for char in text)
    assert "\\t\\u007f\\u001b[31m\\u2028é\\U000e0001'" in text


def test_a_long_list_is_read_like_a_short_one():
    """Hundreds of blocks."""
    entries = [Entry(fingerprint=f"fd:m{number:03}.py:f", tests=("t.py", "u.py")) for number in range(300)]
    entries.append(Entry(fingerprint=f"temp:{'x' * 400}"))
    assert without_lines(parse(render(HEAD, entries), "b.toml")) == entries


def test_a_name_that_utf8_cannot_hold_is_written_with_escapes():
    """A file name with bytes of another encoding."""
    render(HEAD, [Entry(fingerprint="fd:a\udcff.py:f")]).encode("utf-8")


@pytest.mark.skipif(sys.version_info < (3, 11), reason="the standard library reads TOML since 3.11")
def test_it_is_toml():
    """Editors and other programs read it too."""
    import tomllib

    blocks = tomllib.loads(render(HEAD, ENTRIES))["leak"]
    assert {block["fingerprint"] for block in blocks} == {entry.fingerprint for entry in ENTRIES}
    (block,) = (block for block in blocks if "expires" in block)
    assert block == {
        "fingerprint": "socket:app/pool.py:Pool.connect",
        "count": 1,
        "tests": ["t.py"],
        "reason": "see #12",
        "expires": date(2027, 1, 31),
    }


def test_what_a_person_writes_is_read():
    """Comments anywhere, single quotes, short lists, empty lines; comments stay with their block, or at the head."""
    text = textwrap.dedent(
        """
        # ours

        # a word on the first
        [[leak]]  # beside
        fingerprint = 'fd:a.py:f'
        tests = ["t.py::test_a", "t.py::test_b"] # both

        reason = "r" # why
        [[leak]]
        # inside
        fingerprint = "fd:b.py:g"
        tests = [
          "x.py", # there
          'y.py'
        ]
        count=2
        # at the end
        """
    )
    read = parse(text, "b.toml")
    assert read.head == ("# ours",)
    one, two = read.entries
    assert one.comments == ("# a word on the first", "# beside", "# both", "# why")
    assert (one.fingerprint, one.reason, one.tests) == ("fd:a.py:f", "r", ("t.py::test_a", "t.py::test_b"))
    assert two.comments == ("# inside", "# there", "# at the end")
    assert (two.count, two.tests, two.line) == (2, ("x.py", "y.py"), 10)
    again = parse(render(read.head, read.entries), "b.toml")
    assert (again.head, without_lines(again)) == (read.head, without_lines(read))


def test_a_comment_after_a_gap_stays_with_its_block():
    """With the one that its next value belongs to, or the last one; without a gap with the one above."""
    text = BLOCK + '# below\n[[leak]]\nfingerprint = "fd:b.py:g"\n\n# inside\ncount = 2\n\n# at the end\n'
    one, two = parse(text, "b.toml").entries
    assert (one.comments, two.comments) == (("# below",), ("# inside", "# at the end"))


def test_escapes_are_as_short_as_they_can_be():
    """Four digits as far as they go, then eight; both are read."""
    text = render((), [Entry(fingerprint="fd:\uffff\U0010ffff\U00010000")])
    assert 'fingerprint = "fd:\\uffff\\U0010ffff\U00010000"' in text
    (entry,) = parse(text, "b.toml").entries
    assert entry.fingerprint == "fd:\uffff\U0010ffff\U00010000"


def test_nothing_is_a_baseline_too():
    """An empty file, and one with comments only."""
    assert parse("", "b") == BaselineText()
    assert parse("# a\n\n# b\n", "b").head == ("# a", "", "# b")


BLOCK = '[[leak]]\nfingerprint = "fd:a.py:f"\n'


@pytest.mark.parametrize(
    ("text", "line", "says"),
    [
        ("[leak]\n", 1, "'[' can't begin a line. Allowed: [[leak]]"),
        ("[[leaks]]\n", 1, "unknown table [[leaks]]. Allowed: [[leak]]."),
        ("[[a]]\n", 1, "unknown table [[a]]. Allowed: [[leak]]."),
        ("2027-01-31\n", 1, "'2027-01-31' can't begin a line."),
        ("count = 3\n", 1, "'count' stands in no block. Allowed: a line [[leak]] above it."),
        ("[[leak]]\ncount = 3\n", 1, "a block without a fingerprint. Allowed: fingerprint ="),
        (BLOCK + "cuont = 3\n", 3, "unknown name 'cuont'; did you mean 'count'? Known: fingerprint, count,"),
        (BLOCK + "count = 0\n", 3, "bad count 0. Allowed: a whole number, 1 or more"),
        (BLOCK + 'count = "3"\n', 3, "'\"3\"' where a whole number, 1 or more, is expected."),
        (BLOCK + "count 3\n", 3, "'3' where '=' is expected."),
        (BLOCK + "count = 3 4\n", 3, "'4' after the value of 'count'. Allowed: one value a line."),
        (BLOCK + "count = 3 2027-01-31\n", 3, "'2027-01-31' after the value of 'count'. Allowed: one value a line."),
        (BLOCK + "count = # three\n", 3, "'# three' where a whole number, 1 or more, is expected."),
        (BLOCK + "count = 3\ncount = 3\n", 4, "'count' is given twice in one block."),
        (BLOCK + "expires = 2027-02-30\n", 3, "bad date 2027-02-30: "),
        (BLOCK + 'expires = "2027-01-31"\n', 3, "'\"2027-01-31\"' where a date as 2027-01-31, without quotes,"),
        (BLOCK + "expires = soon\n", 3, "'soon' where a date"),
        (BLOCK + "reason = because\n", 3, "'because' where a string in double quotes is expected."),
        (BLOCK + 'reason = "because\n', 3, "can't be read: '\"because'. Allowed: [[leak]], `name = value`"),
        (BLOCK + 'reason = "\\q"\n', 3, 'bad string "\\q": '),
        (BLOCK + 'reason = "\\U00110000"\n', 3, 'bad string "\\U00110000": '),
        (BLOCK + 'reason = "\\UFFFFFFFF"\n', 3, 'bad string "\\UFFFFFFFF": '),
        (BLOCK + "reason =\n", 3, "the end where a string in double quotes is expected."),
        (BLOCK + 'needs = "fault"\n', 3, "bad needs 'fault'; did you mean 'faults'? Allowed: faults, repeat."),
        (BLOCK + "tests = [\n", 4, "a list without its end."),
        (BLOCK + 'tests = ["a" "b"]\n', 3, "'\"b\"' in a list. Allowed: strings in double quotes, separated by commas"),
        (BLOCK + "tests = [\"a\" 'b']\n", 3, "\"'b'\" in a list."),
        (BLOCK + 'tests = ["a" 3]\n', 3, "'3' in a list."),
        (BLOCK + 'tests = ["a" b]\n', 3, "'b' in a list."),
        (BLOCK + 'tests = ["a",, "b"]\n', 3, "',' in a list."),
        (BLOCK + "\n" + BLOCK, 4, "fingerprint 'fd:a.py:f' stands in line 1 too. Keep one block"),
        (BLOCK + "<<<<<<< HEAD\n", 3, "a merge conflict that is not resolved: '<<<<<<< HEAD'."),
        (BLOCK + "=======\n", 3, "a merge conflict that is not resolved"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_named_with_its_line(text, line, says):
    """File, line, what stands there and what is allowed."""
    with pytest.raises(BadBaseline) as caught:
        parse(text, "leaks.toml")
    assert str(caught.value).startswith(f"leaks.toml, line {line}: {says}")


@pytest.fixture
def git(tmp_path):
    """Runs git in a folder of its own."""

    def git(*args: str, ok: bool = True) -> subprocess.CompletedProcess[str]:
        who = ("-c", "user.name=a", "-c", "user.email=a@b.invalid", "-c", "init.defaultBranch=main")
        ran = subprocess.run(["git", *who, *args], cwd=tmp_path, capture_output=True, text=True, check=False)
        assert not ok or ran.returncode == 0, ran.stdout + ran.stderr
        return ran

    try:
        git("init", "-q")
    except FileNotFoundError:
        pytest.skip("git is not installed")
    return git


def test_two_branches_that_change_neighbours_merge(git, tmp_path):
    """One lowers a count and adds a leak, the other takes a neighbour out and adds one elsewhere: no conflict."""
    file = tmp_path / "b.toml"
    names = [f"fd:{letter}.py:f" for letter in "bcdf"]
    start = {name: Entry(fingerprint=name, count=3, tests=("t.py",)) for name in names}

    def commit(entries, message):
        file.write_text(render(HEAD, entries), "utf-8")
        git("add", "-A")
        git("commit", "-q", "-m", message)

    commit(start.values(), "start")
    git("checkout", "-q", "-b", "other")
    ours = {**start, "fd:a.py:f": Entry(fingerprint="fd:a.py:f", count=1)}
    ours["fd:c.py:f"] = Entry(fingerprint="fd:c.py:f", count=2, tests=("t.py",))
    commit(ours.values(), "ours")
    git("checkout", "-q", "-")
    theirs = {name: entry for name, entry in start.items() if name != "fd:d.py:f"}
    theirs["fd:g.py:f"] = Entry(fingerprint="fd:g.py:f", reason="new")
    commit(theirs.values(), "theirs")
    git("merge", "-q", "other", "-m", "merge")
    merged = {**ours, "fd:g.py:f": theirs["fd:g.py:f"]}
    del merged["fd:d.py:f"]
    expected = render(HEAD, merged.values())
    assert not list(difflib.unified_diff(expected.splitlines(), file.read_text("utf-8").splitlines()))
