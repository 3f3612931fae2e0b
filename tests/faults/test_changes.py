"""What was changed last, as git tells it."""

from __future__ import annotations

import os
import shutil
import subprocess

import pytest

from pytest_leakguard.faults import changes
from pytest_leakguard.faults.changes import Changes, changes_of, parse

CODE = "def first():\n    return 1\n\n\ndef second():\n    a = 1\n    return a\n"
needs_git = pytest.mark.skipif(shutil.which("git") is None, reason="needs git")


def git(folder, *words: str) -> None:
    """Run git with an author of its own."""
    who = ["-c", "user.name=n", "-c", "user.email=e", "-c", "commit.gpgsign=false"]
    subprocess.run(["git", *who, *words], cwd=folder, check=True, stdout=subprocess.DEVNULL)


def test_a_function_is_changed_when_any_line_of_it_is(tmp_path):
    """Its other lines too; a function beside it is not."""
    (tmp_path / "code.py").write_text(CODE)
    changed = Changes(str(tmp_path), {"code.py": [range(6, 7)]})
    assert [changed.touch("code.py", line) for line in (2, 6, 7)] == [False, True, True]
    assert not changed.touch("other.py", 6)


def test_changed_lines_are_read_from_a_diff():
    """As they are numbered now; where lines were only taken out, their neighbours."""
    diff = (
        "--- a/x.py\n+++ b/x.py\n@@ -1,2 +3,4 @@ def f\n+a\n@@ -9 +12 @@\n+a\n@@ -20,3 +22,0 @@\n-a\n+++ b/y z.py\t\n"
    )
    assert parse(diff) == {"x.py": [range(3, 7), range(12, 13), range(22, 24)]}


@needs_git
def test_what_is_not_committed_counts_as_changed_then_the_last_commit(tmp_path):
    """New files too; after a commit, what that one changed; in a folder below the repository's own."""
    root = tmp_path / "below"
    root.mkdir()
    git(tmp_path, "init", "-q")
    (root / "code.py").write_text(CODE)
    git(tmp_path, "add", "-A")
    git(tmp_path, "commit", "-qm", "one")
    (root / "code.py").write_text(CODE.replace("a = 1", "a = 2"))
    (root / "new.py").write_text("x = 1\n")
    changed = changes_of(str(root))
    assert dict(changed.lines)["code.py"] == [range(6, 7)]
    assert changed.touch("new.py", 1)
    git(tmp_path, "add", "-A")
    git(tmp_path, "commit", "-qm", "two")
    assert changes_of(str(root)).touch("code.py", 6)
    assert not changes_of(str(root)).touch("code.py", 2)


def test_without_a_repository_nothing_is_changed(tmp_path, monkeypatch):
    """Nor without git; neither is an error."""
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path.parent))
    assert dict(changes_of(str(tmp_path)).lines) == {}
    monkeypatch.setenv("PATH", "")
    assert dict(changes_of(str(tmp_path)).lines) == {}


@pytest.mark.parametrize(
    ("lines", "touched"),
    [
        (range(4, 5), []),  # between the two
        (range(3, 5), []),
        (range(4, 6), [5, 6, 7]),  # the first line of the second
        (range(7, 8), [5, 6, 7]),  # its last line
        (range(8, 9), []),
        (range(2, 3), [1, 2]),
        (range(1, 1 << 30), [1, 2, 3, 4, 5, 6, 7, 8]),
    ],
)
def test_a_function_is_touched_from_its_first_line_to_its_last(lines, touched, tmp_path):
    """A line in no function is touched when it is itself changed."""
    (tmp_path / "code.py").write_text(CODE)
    changed = Changes(str(tmp_path), {"code.py": [lines]})
    own = [line for line in (3, 4, 8) if line in lines]
    assert [line for line in range(1, 9) if changed.touch("code.py", line)] == sorted({*touched, *own})


def test_one_of_several_ranges_is_enough(tmp_path):
    """And no range is none; a file that is not there has no functions, only lines."""
    changed = Changes(str(tmp_path), {"code.py": [range(9, 10), range(2, 4)], "none.py": []})
    assert [line for line in range(1, 12) if changed.touch("code.py", line)] == [2, 3, 9]
    assert not changed.touch("none.py", 2)


@needs_git
def test_only_python_files_that_are_new_count(tmp_path):
    """Others have no functions; what git is told to leave out is left out."""
    git(tmp_path, "init", "-q")
    (tmp_path / "old.py").write_text(CODE)
    git(tmp_path, "add", "-A")
    git(tmp_path, "commit", "-qm", "one")
    for name in ("new.py", "new.txt", "build.py", ".gitignore"):
        (tmp_path / name).write_text("/build.py\n")
    changed = changes_of(str(tmp_path))
    assert set(changed.lines) == {"new.py"}
    assert changed.touch("new.py", 1_000_000)


@pytest.mark.parametrize("end", ["exit 1", "exit 128", "kill -9 $$"])
def test_a_git_that_fails_tells_nothing(end, tmp_path, monkeypatch):
    """Whatever it has printed: half of a list would be wrong. Nor is a folder that is not there an error."""
    diff = "+++ b/x.py\n@@ -1 +1 @@\n"
    git = tmp_path / "git"
    monkeypatch.setenv("PATH", str(tmp_path), prepend=os.pathsep)
    for last, expected in ((end, {}), ("exit 0", {"x.py": [range(1, 2)]})):
        git.write_text(f"#!/bin/sh\nprintf '{diff}'\n{last}\n")
        git.chmod(0o755)
        assert dict(changes_of(str(tmp_path)).lines) == expected
    assert dict(changes_of(str(tmp_path / "gone")).lines) == {}


def test_a_slow_git_is_not_waited_for(tmp_path, monkeypatch):
    """A sweep begins five seconds later at worst for each of its questions; here it is given no time at all."""
    assert changes.SECONDS == 5.0
    monkeypatch.setattr(changes, "SECONDS", 0.01)
    git = tmp_path / "git"
    git.write_text("#!/bin/sh\nprintf '+++ b/x.py\\n@@ -1 +1 @@\\n'\nexec sleep 60\n")
    git.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=os.pathsep)
    assert dict(changes_of(str(tmp_path)).lines) == {}
