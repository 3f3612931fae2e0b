"""The twins: the same tiny test written leaky and clean, for each kind, owner scope and phase. Plain data.

`tree` makes the projects that hold them; `ROWS` says what is expected of each.
"""

from __future__ import annotations

import textwrap
import xml.etree.ElementTree as ET
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, kw_only=True)
class Kind:
    """How one kind is acquired, released and lost.

    Attributes:
        acquire: lines that end with `it` bound; the one that acquires ends with `#`.
        release: a line that releases `it`.
        lose: a line that makes sure that `it` is left behind.
        verdict: of the leak.
        needs: a fixture without which the kind can't be had.
        tells: the kind of the finding, where that is not the name of the entry.
    """

    acquire: str
    release: str
    lose: str = "KEPT.append(it)"
    verdict: str = "leaked"
    needs: str = ""
    tells: str = ""


KINDS = {
    "fd": Kind(acquire="it = open(DATA / 'ROW.txt') #", release="it.close()"),
    "socket": Kind(acquire="it = socket.create_server(('127.0.0.1', 0)) #", release="it.close()"),
    "thread": Kind(
        acquire="it = threading.Timer(600, int)\nit.daemon = True\nit.start() #",
        release="it.cancel(), it.join()",
    ),
    "process": Kind(
        acquire="it = subprocess.Popen([sys.executable, '-S', '-c', 'import sys; sys.stdin.read()'], stdin=-1) #",
        release="it.communicate()",
    ),
    "task": Kind(
        acquire="it = LOOP.create_task(asyncio.sleep(600)) #",
        release="it.cancel(), it.get_loop().run_until_complete(asyncio.wait([it]))",
    ),
    "temp": Kind(acquire="it = tempfile.mkdtemp() #", release="os.rmdir(it)"),
    "unclosed": Kind(
        acquire="it = open(DATA / 'ROW.txt') #", release="it.close()", lose="it = None", verdict="unclosed"
    ),
    "mmap": Kind(acquire="it = mmap.mmap(-1, 4096) #", release="it.close()"),
    "mmap_file": Kind(
        acquire="with open(DATA / 'ROW.txt', 'rb+') as file:\n    it = mmap.mmap(file.fileno(), 0) #",
        release="it.close()", tells="mmap",
    ),
    "shm": Kind(acquire="it = shared_memory(create=True, size=99) #", release="it.close(), it.unlink()", tells="mmap"),
    "shm_name": Kind(
        acquire="it = shared_memory(create=True, size=99) #\nit.close()", release="it.unlink()", tells="mmap",
    ),
    "sqlite": Kind(acquire="it = sqlite3.connect(DATA / 'ROW.txt') #", release="it.close()"),
    "sqlite_memory": Kind(
        acquire="it = sqlite3.connect(':memory:') #\nit.execute('select 1')", release="it.close()", tells="sqlite",
    ),
    "executor": Kind(
        acquire="it = ThreadPoolExecutor(2) #\nit.submit(int).result()", release="it.shutdown()", tells="thread"
    ),
    "executor_of_processes": Kind(
        acquire="it = ProcessPoolExecutor(1, get_context('fork')) #\nit.submit(int).result()",
        release="it.shutdown()", tells="process",
    ),
    "pool": Kind(
        acquire="it = get_context('fork').Pool(1) #\nit.apply(int)", release="it.close(), it.join()", tells="process",
    ),
    "lock": Kind(
        acquire="it = track_lock(threading.Lock(), wrap=True)\nit.acquire() #", release="it.release()"
    ),
    "object": Kind(
        acquire="it = leak_check.track(Thing()) #", release="it = None", needs="leak_check"
    ),
}  # fmt: skip

PHASES = ("setup", "call", "teardown")

# scope -> the file with the fixtures, the file with the tests
SCOPES = {
    "function": ("test_function.py", "test_function.py"),
    "class": ("test_class.py", "test_class.py"),
    "module": ("test_module.py", "test_module.py"),
    "package": ("pkg/conftest.py", "pkg/test_package.py"),
    "session": ("conftest.py", "test_session.py"),
}

HEAD = """
import asyncio
import mmap
import os
import pathlib
import socket
import sqlite3
import subprocess
import sys
import tempfile
import threading
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from multiprocessing import get_context
from multiprocessing.shared_memory import SharedMemory as shared_memory

import pytest
from pytest_leakguard import track_lock

DATA = pathlib.Path(os.environ["TWINS_DATA"])
KEPT = []
LOOP = asyncio.new_event_loop()


class Thing:
    pass
"""

# {acquire}, {lose} and so on stand for the lines of the kind, {fixture} for the fixture's name
FIXTURES = {
    "setup": """
@pytest.fixture(scope="{scope}")
def {fixture}({needs}):
    {acquire}
    yield
    {end}
""",
    # what a test hands over: `lose` on each, or released
    "call": """
@pytest.fixture(scope="{scope}")
def {fixture}():
    held = []
    yield held
    while held:
        it = held.pop()
        {end}
""",
    "teardown": """
@pytest.fixture(scope="{scope}")
def {fixture}({needs}):
    yield
    {acquire}
    {end}
""",
}

TESTS = {
    "setup": """
def {test}({me}{fixture}):
    pass
""",
    "call": """
def {test}({me}{fixture}{and_needs}):
    {acquire}
    {fixture}.append(it)
""",
    "plain": """
def {test}({me}{needs}):
    {acquire}
    {end}
""",
}

# the second user of a wider fixture, which is not at fault
AGAIN = """
def {test}_again({me}{fixture}):
    pass
"""


@dataclass(frozen=True, kw_only=True)
class Row:
    """One twin.

    Attributes:
        given: "plain" where the test itself acquires and keeps, without a fixture.
    """

    kind: str
    scope: str
    phase: str
    leaky: bool
    given: str = "fixture"

    @property
    def name(self) -> str:
        """Unique, and fit for an identifier."""
        plain = "_plain" if self.given == "plain" else ""
        return f"{self.kind}_{self.scope}_{self.phase}{plain}_{'leaky' if self.leaky else 'clean'}"

    @property
    def test(self) -> str:
        """The id of the test that is the first user of the fixture, or that acquires."""
        in_class = f"Test_{self.name}::" if self.scope == "class" else ""
        return f"{SCOPES[self.scope][1]}::{in_class}test_{self.name}"

    @property
    def file(self) -> str:
        """Where the line stands that acquires."""
        return SCOPES[self.scope][0 if self.phase != "call" else 1]

    @property
    def function(self) -> str:
        """The function around that line."""
        return f"test_{self.name}" if self.phase == "call" else f"fixture_{self.name}"

    @property
    def owner(self) -> dict[str, str]:
        """What the report must say of the owner."""
        if self.scope == "function" or self.phase == "call":
            return {"kind": "test", "scope": "function", "name": self.test}
        return {"kind": "fixture", "scope": self.scope, "name": f"fixture_{self.name}"}

    def fixture_source(self) -> str:
        """The fixture, or nothing."""
        return "" if self.given == "plain" else self._fill(FIXTURES[self.phase])

    def test_source(self) -> str:
        """The test, in a class of its own where the scope is a class."""
        template = TESTS["plain" if self.given == "plain" else "call" if self.phase == "call" else "setup"]
        if self.scope != "function":
            template += AGAIN
        if self.scope != "class":
            return self._fill(template)
        return f"\nclass Test_{self.name}:" + textwrap.indent(self._fill(template), "    ")

    @property
    def lines(self) -> Kind:
        """The lines that it is made of."""
        return KINDS[self.kind]

    def _fill(self, template: str) -> str:
        kind = self.lines
        lines = {
            "{acquire}": kind.acquire.replace("#", f"# {self.name}").replace("ROW", self.name),
            "{end}": kind.lose if self.leaky else kind.release,
            "{and_needs}": kind.needs and f", {kind.needs}",
            "{needs}": kind.needs,
            "{fixture}": f"fixture_{self.name}",
            "{test}": f"test_{self.name}",
            "{scope}": self.scope,
            "{me}": "self, " if self.scope == "class" else "",
        }
        filled = []
        for line in template.splitlines():
            indent = line[: len(line) - len(line.lstrip())]
            for sign, text in lines.items():
                line = line.replace(sign, text.replace("\n", f"\n{indent}"))
            filled.append(line)
        return "\n".join(filled) + "\n"


def _rows() -> Iterator[Row]:
    for kind in KINDS:
        for scope in SCOPES:
            for phase in PHASES:
                if KINDS[kind].needs and scope != "function" and phase != "call":
                    continue  # a wider fixture can't ask for a fixture of the test
                for leaky in (True, False):
                    yield Row(kind=kind, scope=scope, phase=phase, leaky=leaky)
        for leaky in (True, False):
            yield Row(kind=kind, scope="function", phase="call", leaky=leaky, given="plain")


ROWS = tuple(_rows())


FORKING = ("executor_of_processes", "pool")
"""What forks: apart from the rest, whose pipes and threads the children would take with them."""


def tree(rows: Iterable[Row]) -> dict[str, str]:
    """A project with some of the rows: relative path -> text."""
    files = {path: HEAD for pair in SCOPES.values() for path in pair}
    for row in rows:
        fixtures, tests = SCOPES[row.scope]
        files[fixtures] += row.fixture_source()
        files[tests] += row.test_source()
    return {"pytest.ini": "[pytest]\n", "pkg/__init__.py": "", **files}


def line_marked(text: str, mark: str) -> int:
    """The number of the one line that ends with the comment `mark`."""
    (number,) = (n for n, line in enumerate(text.splitlines(), 1) if line.endswith(f"# {mark}"))
    return number


def junit_errors(file: Path) -> dict[str, str]:
    """Name of a test -> what JUnit XML has as its errors."""
    found: dict[str, str] = {}
    for case in ET.parse(file).getroot().iter("testcase"):
        for error in case.iter("error"):
            name = str(case.get("name"))
            found[name] = found.get(name, "") + (error.text or "")
    return found
