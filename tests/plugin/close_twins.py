"""The twins of wrong closes, for each phase and owner scope, under ``--leakguard-trace``. Plain data.

Of each pair the leaky one closes what it should not, the clean one closes the same thing rightly.
"""

from __future__ import annotations

import textwrap
from collections.abc import Iterator
from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class Kind:
    """One way to close wrongly.

    Attributes:
        acquire: binds `it`; the line that opens ends with `#opened`.
        wrong, right: lines; the wrong close ends with `#closed`, an earlier one with `#before`.
        what: a part of the words that are told.
        tells: the kind of the finding.
        names: whether the path of the file is known.
        scopes: of the owners; variants of one way need not try all.
    """

    acquire: str
    wrong: str
    right: str
    what: str
    tells: str = "fd"
    names: bool = True
    scopes: tuple[str, ...] = ("function", "module")


SCOPES = ("function", "class", "module", "package", "session")

OPEN = "it = os.open(DATA / 'ROW.txt', os.O_RDONLY) #opened"
FILE = "it = open(DATA / 'ROW.txt') #opened"
UNDER = "closed by os.close under the file object that owns it"
GONE = "gone before the file object that owns it closed it: another call had closed the number"

KINDS = {
    "twice": Kind(
        acquire=OPEN, right="os.close(it)",
        wrong="os.close(it) #before\nwith contextlib.suppress(OSError):\n    os.close(it) #closed",
        what="closed twice: there was nothing to close the second time", scopes=SCOPES,
    ),
    "twice_by_callback": Kind(
        acquire=OPEN, right="with contextlib.ExitStack() as stack:\n    stack.callback(os.close, it)",
        wrong="with contextlib.suppress(OSError), contextlib.ExitStack() as stack:\n"
        "    stack.callback(os.close, it)\n    os.close(it) #before",
        what="closed twice",
    ),
    "under_a_file": Kind(
        acquire=FILE, right="it.close()",
        wrong="os.close(it.fileno()) #closed\nwith contextlib.suppress(OSError):\n    it.close()", what=UNDER,
        scopes=SCOPES,
    ),
    "under_a_binary_file": Kind(
        acquire="it = open(DATA / 'ROW.txt', 'rb+') #opened", right="os.close(os.dup(it.fileno()))\nit.close()",
        wrong="os.close(it.fileno()) #closed\nwith contextlib.suppress(OSError):\n    it.close()", what=UNDER,
    ),
    "under_a_raw_file": Kind(
        acquire="it = open(DATA / 'ROW.txt', 'rb', buffering=0) #opened", right="it.close()",
        wrong="os.close(it.fileno()) #closed\nwith contextlib.suppress(OSError):\n    it.close()", what=UNDER,
    ),
    "under_a_socket": Kind(
        acquire="it = socket.socket() #opened", right="os.close(it.detach())",
        wrong="os.close(it.fileno()) #closed\nwith contextlib.suppress(OSError):\n    it.close()",
        what="closed by os.close under the socket object that owns it", tells="socket", names=False,
    ),
    "of_another": Kind(
        # the number of one that is closed, which was given to a file since
        acquire="old = os.open(DATA / 'ROW.txt', os.O_RDONLY)\nos.close(old) #before\n" + FILE,
        right="assert it.fileno() == old\nit.close()",
        wrong="os.close(old) #closed\nwith contextlib.suppress(OSError):\n    it.close()", what=UNDER,
    ),
    "of_another_number": Kind(
        # the same without any object: the owner finds that out when it closes
        acquire="old = os.open(DATA / 'ROW.txt', os.O_RDONLY)\nos.close(old)\n" + OPEN,
        right="assert it == old\nos.close(it)",
        wrong="os.close(old) #before\nwith contextlib.suppress(OSError):\n    os.close(it) #closed",
        what="closed twice",
    ),
    "taken_by_c": Kind(
        acquire=FILE, right="it.close()",
        wrong="os.closerange(it.fileno(), it.fileno() + 1) #before\nwith contextlib.suppress(OSError):\n"
        "    it.close() #closed",
        what=GONE, names=False, scopes=SCOPES,
    ),
    "taken_by_a_second_object": Kind(
        acquire=FILE, right="with open(it.fileno(), closefd=False):\n    pass\nit.close()",
        wrong="with open(it.fileno()):\n    pass #before\nwith contextlib.suppress(OSError):\n    it.close() #closed",
        what=GONE, names=False,
    ),
    "taken_inside_a_with": Kind(
        acquire=FILE, right="with it:\n    pass",
        wrong="with contextlib.suppress(OSError):\n    with it: #closed\n"
        "        os.closerange(it.fileno(), it.fileno() + 1) #before",
        what=GONE, names=False,
    ),
    "socket_taken": Kind(
        acquire="it = socket.socket() #opened", right="it.close()",
        wrong="socket.close(it.fileno()) #before\nwith contextlib.suppress(OSError):\n    it.close() #closed",
        what="gone before the socket object that owns it closed it", tells="socket", names=False,
    ),
}  # fmt: skip

PHASES = ("setup", "call", "teardown")
FILES = {scope: f"test_{scope}.py" for scope in SCOPES} | {"package": "pkg/test_package.py"}
FIXTURE_FILES = {**FILES, "package": "pkg/conftest.py"}

HEAD = """
import contextlib
import os
import pathlib
import socket

import pytest

DATA = pathlib.Path(os.environ["TWINS_DATA"])
"""

SETUP = """
@pytest.fixture(scope="{scope}")
def fixture_ROW():
    {acquire}
    {end}
    yield
"""
TEARDOWN = """
@pytest.fixture(scope="{scope}")
def fixture_ROW():
    yield
    {acquire}
    {end}
"""
# the test closes wrongly while the fixture is alive
ALIVE = """
@pytest.fixture(scope="{scope}")
def fixture_ROW():
    yield []
"""
TESTS = {
    "setup": "\ndef test_ROW({me}fixture_ROW):\n    pass\n",
    "call": "\ndef test_ROW({me}fixture_ROW):\n    {acquire}\n    {end}\n",
    "teardown": "\ndef test_ROW({me}fixture_ROW):\n    pass\n",
}


@dataclass(frozen=True, kw_only=True)
class Row:
    """One twin."""

    kind: str
    scope: str
    phase: str
    leaky: bool

    @property
    def name(self) -> str:
        """Unique, and fit for an identifier."""
        return f"{self.kind}_{self.scope}_{self.phase}_{'leaky' if self.leaky else 'clean'}"

    @property
    def test(self) -> str:
        """The id of the test that uses the fixture."""
        in_class = f"Test_{self.name}::" if self.scope == "class" else ""
        return f"{FILES[self.scope]}::{in_class}test_{self.name}"

    @property
    def file(self) -> str:
        """Where the wrong close stands."""
        return (FILES if self.phase == "call" else FIXTURE_FILES)[self.scope]

    @property
    def owner(self) -> dict[str, str]:
        """Of the finding."""
        if self.scope == "function" or self.phase == "call":
            return {"kind": "test", "scope": "function", "name": self.test}
        return {"kind": "fixture", "scope": self.scope, "name": f"fixture_{self.name}"}

    @property
    def sources(self) -> tuple[str, str]:
        """The fixture, and its test."""
        fixture = {"setup": SETUP, "call": ALIVE, "teardown": TEARDOWN}[self.phase]
        test = self._fill(TESTS[self.phase])
        if self.scope == "class":
            test = f"\nclass Test_{self.name}:" + textwrap.indent(test, "    ")
        return self._fill(fixture), test

    def _fill(self, template: str) -> str:
        kind = KINDS[self.kind]
        lines = {"{acquire}": kind.acquire, "{end}": kind.wrong if self.leaky else kind.right}
        filled = []
        for line in template.splitlines():
            indent = line[: len(line) - len(line.lstrip())]
            for sign, text in lines.items():
                line = line.replace(sign, text.replace("\n", f"\n{indent}"))
            filled.append(line)
        text = "\n".join(filled) + "\n"
        text = text.replace("{scope}", self.scope).replace("{me}", "self, " if self.scope == "class" else "")
        for mark in ("opened", "before", "closed"):
            text = text.replace(f"#{mark}", f"# {mark} {self.name}")
        return text.replace("ROW", self.name)


def _rows() -> Iterator[Row]:
    for kind in KINDS:
        for scope in KINDS[kind].scopes:
            for phase in PHASES:
                for leaky in (True, False):
                    yield Row(kind=kind, scope=scope, phase=phase, leaky=leaky)


ROWS = tuple(_rows())


def tree() -> dict[str, str]:
    """The project: relative path -> text."""
    files = {"pytest.ini": "[pytest]\n", "pkg/__init__.py": ""}
    for row in ROWS:
        for file, source in zip((FIXTURE_FILES[row.scope], FILES[row.scope]), row.sources, strict=True):
            files[file] = files.get(file, HEAD) + source
        files[f"data/{row.name}.txt"] = ""
    return files
