"""What a process was going to remove, written down where the next one finds it.

The name of a journal says whose it is: process id and start time, so that a
number that was given to another process since is not mistaken for the old
one. While its process lives, it also holds a lock on the file: that is seen
across containers too, where process ids are not.
"""

from __future__ import annotations

import os
import re
import secrets
import stat
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

if sys.platform != "win32":
    import fcntl

NAME = re.compile(r"\.(?P<prefix>.+)\.(?P<pid>\d+)-(?P<start>[\w.-]+)\.[0-9a-f]{16}\.journal")


def start_time(pid: int) -> str | None:
    """When a process began, in words that no two processes of one number share; None when there is no such process.

    Raises:
        OSError: this can't be told here.
    """
    if sys.platform == "linux":
        try:
            status = Path(f"/proc/{pid}/stat").read_text("ascii", "replace")
        except (FileNotFoundError, ProcessLookupError):
            return None
        # the name of the program, in parentheses, may hold anything
        fields = status.rpartition(")")[2].split()
        if fields[0] in "ZX":
            return None  # ended, and not yet waited for
        ticks = fields[19]
        boot = Path("/proc/sys/kernel/random/boot_id").read_text("ascii").strip()
        return f"{boot}.{ticks}"
    told = subprocess.run(["ps", "-o", "lstart=", "-p", str(pid)], capture_output=True, text=True, check=False)
    return re.sub(r"\W+", "-", told.stdout.strip()) or None


class Journal:
    """The journal of this process and one manager. Each line is a name in the folder; a line `-name` takes it back.

    Args:
        folder: where the named things are, and the journal beside them.
        prefix: with which every name begins; no other name is ever touched.
    """

    def __init__(self, folder: Path, prefix: str) -> None:
        token = secrets.token_hex(8)
        self.path = folder / f".{prefix}.{os.getpid()}-{start_time(os.getpid())}.{token}.journal"
        self._fd = -1

    def open(self) -> None:
        """Make the file, for this user only, and lock it."""
        self._fd = os.open(self.path, os.O_CREAT | os.O_EXCL | os.O_WRONLY | os.O_APPEND | os.O_CLOEXEC, 0o600)
        _lock(self._fd)

    def write(self, name: str) -> None:
        """Add one line, in one write: a process that is killed leaves whole lines."""
        os.write(self._fd, f"{name}\n".encode())

    def close(self, *, remove: bool) -> None:
        """Give it up; left in place when something in it could not be removed."""
        try:
            if remove:
                self.path.unlink(missing_ok=True)
        finally:
            fd, self._fd = self._fd, -1
            if fd != -1:
                os.close(fd)


def _lock(fd: int) -> bool:
    """Lock it, or tell that another process has; True where there are no locks."""
    if sys.platform == "win32":
        return True
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _is_dead(pid: int, start: str) -> bool:
    try:
        return start_time(pid) != start
    except OSError:
        return False


class Orphan:
    """A journal whose process is dead, locked for us while its things are removed."""

    def __init__(self, path: Path, prefix: str) -> None:
        self.path = path
        self._prefix = prefix
        self._fd = -1

    def claim(self) -> bool:
        """Take it, unless its process lives, another process is at it, or it is not ours to believe."""
        match = NAME.fullmatch(self.path.name)
        if match is None or match["prefix"] != self._prefix or not _is_dead(int(match["pid"]), match["start"]):
            return False
        try:
            self._fd = os.open(self.path, os.O_RDWR | os.O_CLOEXEC | getattr(os, "O_NOFOLLOW", 0))
        except OSError:
            return False
        told = os.fstat(self._fd)
        # a journal of another user could name files of ours; one without links was removed while we waited
        is_ours = not hasattr(os, "getuid") or told.st_uid == os.getuid()
        return is_ours and stat.S_ISREG(told.st_mode) and told.st_nlink > 0 and _lock(self._fd)

    def names(self) -> Iterator[str]:
        """What is to be removed: names with our prefix, and no path."""
        text = b""
        os.lseek(self._fd, 0, os.SEEK_SET)
        while part := os.read(self._fd, 65536):
            text += part
        left: dict[str, None] = {}
        for line in text.decode("utf-8", "surrogateescape").split("\n")[:-1]:
            if line.startswith("-"):
                left.pop(line[1:], None)
            elif line.startswith(self._prefix) and "/" not in line and os.sep not in line:
                left[line] = None
        yield from left

    def close(self) -> None:
        """Unlock it."""
        fd, self._fd = self._fd, -1
        if fd != -1:
            os.close(fd)


def orphans(folder: Path, prefix: str) -> Iterator[Orphan]:
    """The journals of this prefix in a folder; each is to be claimed."""
    for path in sorted(folder.glob(f".{_escaped(prefix)}.*.journal")):
        yield Orphan(path, prefix)


def _escaped(prefix: str) -> str:
    return re.sub(r"([*?[])", r"[\1]", prefix)
