"""What was changed last, as git tells it. Where there is no git, nothing was."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass, field

from pytest_leakguard.faults.source import function_at

SECONDS = 5.0
"""A repository that takes longer to tell is not waited for."""

_FILE = re.compile(r"^\+\+\+ b/(.*)$")
_HUNK = re.compile(r"^@@ -\S+ \+(\d+)(?:,(\d+))? @@")
_EVERYTHING = range(1, 1 << 30)


@dataclass(frozen=True, slots=True)
class Changes:
    """Changed lines.

    Attributes:
        root: the folder that paths are relative to.
        lines: path -> ranges of lines as they are numbered now.
    """

    root: str
    lines: Mapping[str, list[range]] = field(default_factory=dict)

    def touch(self, path: str, line: int) -> bool:
        """Whether the function that holds that line was changed."""
        ranges = self.lines.get(path)
        if not ranges:
            return False
        found = function_at(os.path.join(self.root, path), line)
        first, last = line, line
        if found is not None:
            first, last = getattr(found[1], "lineno", line), getattr(found[1], "end_lineno", None) or line
        return any(one.start <= last and first < one.stop for one in ranges)


def changes_of(root: str) -> Changes:
    """What is not committed yet; else what the last commit changed."""
    if shutil.which("git") is None:
        return Changes(root)
    found = parse(_git(root, "diff", "HEAD", *_PLAIN))
    for name in _git(root, "ls-files", "--others", "--exclude-standard", "-z").split("\0"):
        if name.endswith(".py"):
            found[name] = [_EVERYTHING]
    return Changes(root, found or parse(_git(root, "diff", "HEAD~1", "HEAD", *_PLAIN)))


_PLAIN = (
    "--unified=0", "--relative", "--no-color", "--no-ext-diff", "--no-textconv", "--src-prefix=a/", "--dst-prefix=b/",
)  # fmt: skip


def parse(diff: str) -> dict[str, list[range]]:
    """Path -> changed lines, from a diff without context; where lines were only taken out, their neighbours."""
    found: dict[str, list[range]] = {}
    path = ""
    for line in diff.splitlines():
        if match := _FILE.match(line):
            path = match[1].rstrip("\t")
        elif path and (match := _HUNK.match(line)):
            first, count = int(match[1]), int(match[2] or 1)
            found.setdefault(path, []).append(range(first, first + (count or 2)))
    return found


def _git(root: str, *words: str) -> str:
    """What a git command prints; nothing when it fails, as outside a repository."""
    environment = {**os.environ, "GIT_OPTIONAL_LOCKS": "0"}
    try:
        done = subprocess.run(
            ["git", "-c", "core.quotepath=off", *words], cwd=root, env=environment, stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, timeout=SECONDS, check=False,
        )  # fmt: skip
    except (OSError, subprocess.SubprocessError):
        return ""
    return done.stdout.decode("utf-8", "replace") if done.returncode == 0 else ""
