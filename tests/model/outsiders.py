"""What others say of the same programs, without the plugin: Python's own warnings, strace, valgrind."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path

# counts the ResourceWarnings; leaves at the end without closing anything, so that others see what is open
CONFTEST = """
import os, pathlib

warned = 0


def pytest_warning_recorded(warning_message):
    global warned
    warned += warning_message.category is ResourceWarning


def pytest_unconfigure():
    pathlib.Path("warned").write_text(str(warned))
    os._exit(0)
"""
PYTEST = ("-X", "dev", "-m", "pytest", "-q", "-p", "no:cacheprovider", "-p", "no:unraisableexception", "-p",
          "no:threadexception", "-p", "no:faulthandler", "-W", "always::ResourceWarning", "--capture=no")  # fmt: skip


def run(folder: Path, files: dict[str, str], under: Sequence[str] = (), seconds: int = 300) -> str:
    """Run the project, under another program if one is named; gives what that wrote to stderr."""
    for name, text in {**files, "conftest.py": CONFTEST}.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text, "utf-8")
    ran = subprocess.run(
        [*under, sys.executable, *PYTEST],
        cwd=folder,
        env={**os.environ, "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1", "PYTHONMALLOC": "malloc"},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=seconds,
        check=False,
    )
    assert (folder / "warned").exists(), ran.stdout + ran.stderr
    return ran.stderr


def warnings_of(folder: Path) -> int:
    """How many ResourceWarnings came in the last run there."""
    return int((folder / "warned").read_text())


STRACE = ("strace", "-f", "-qq", "-s", "8", "-e", "trace=desc,network,process,memfd_create", "-e", "signal=none", "-o")
_CALL = re.compile(r"^(\d+) +(\w+)\((.*)\) += (-?\d+)")
_OPENS = {"open", "openat", "openat2", "creat", "socket", "accept", "accept4", "dup", "epoll_create", "epoll_create1",
          "eventfd2", "memfd_create", "timerfd_create", "inotify_init1", "pidfd_open"}  # fmt: skip
_TWO = {"pipe", "pipe2", "socketpair"}
_BOTH = re.compile(r"\[(\d+), (\d+)\]")


def calls(lines: Iterable[str]) -> list[tuple[int, str, str, int]]:
    """(thread, name, arguments, result) of each call in a log of strace, in the order in which they ended."""
    begun: dict[str, str] = {}
    found = []
    for line in lines:
        pid = line.partition(" ")[0]
        if line.rstrip().endswith("<unfinished ...>"):
            begun[pid] = line.rpartition(" <unfinished")[0]
            continue
        if " resumed>" in line:
            line = begun.pop(pid, pid + " ") + line.partition(" resumed>")[2]
        match = _CALL.match(line)
        if match:
            found.append((int(match[1]), match[2], match[3], int(match[4])))
    return found


def open_at_the_end(log: Path) -> set[int]:
    """The descriptors above 2 that the traced process, with all its threads, had open when it ended."""
    lines = log.read_text("utf-8", "replace").splitlines()
    traced = calls(lines)
    threads = {int(lines[0].partition(" ")[0])}
    threads |= {result for _, name, args, result in traced if name.startswith("clone") and "CLONE_FILES" in args}
    table: set[int] = set()
    for thread, name, args, result in traced:
        if thread not in threads or result < 0:
            continue
        if name in _OPENS or (name == "fcntl" and "F_DUPFD" in args) or name in ("dup2", "dup3"):
            table.add(result)
        elif name in _TWO:
            pair = _BOTH.search(args)
            assert pair, args
            table.update(map(int, pair.groups()))
        elif name == "close":
            table.discard(int(args.partition("<")[0]))
    return {number for number in table if number > 2}


VALGRIND = ("valgrind", "--tool=none", "--track-fds=yes", "--trace-children=no")


def open_by_valgrind(text: str) -> int:
    """How many valgrind found open at the end, those that it was started with left out."""
    reports = re.split(r"(?m)^==(\d+)== FILE DESCRIPTORS: (\d+) open.*$", text)
    main = re.match(r"==(\d+)==", text)
    assert main, text[:500]
    last = [index for index in range(1, len(reports), 3) if reports[index] == main[1]][-1]
    mine = [line for line in reports[last + 2].splitlines() if line.startswith(f"=={main[1]}==")]
    opened = sum(bool(re.search(r"Open (file|AF_\w+ socket|\w+ ?socket)", line)) for line in mine)
    inherited = sum("<inherited from parent>" in line for line in mine)
    return opened - inherited
