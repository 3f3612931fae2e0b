"""Twins of the kind `task`: what is left x runner x owner scope x phase, leaky and clean. Plain data.

`tree()` is the project that holds them all; `ROWS` says what is expected of each.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

HEAD = """
import asyncio
import contextlib
import unittest

import pytest

KEPT = []


async def worker():
    await asyncio.sleep(600)


async def quick():
    pass


async def ticker():
    yield 1
    yield 2


async def end(task):
    task.cancel()
    await asyncio.wait([task])
"""


@dataclass(frozen=True, kw_only=True)
class What:
    """How one sort of work is begun, ended and left; as `Kind` in twins.py."""

    acquire: str
    release: str
    lose: str = "KEPT.append(it)"


WHATS = {
    "task": What(acquire="it = asyncio.create_task(worker()) #", release="await end(it)"),
    "asyncgen": What(acquire="it = ticker()\nawait it.__anext__() #", release="await it.aclose()"),
    "coroutine": What(acquire="it = quick() #", release="await it", lose="it = None"),
}

# runner -> file, then by phase the code; {acquire}, {end}, {name}, {scope} are filled in
RUN = {
    "setup": """
@pytest.fixture(scope="{scope}")
def fixture_{name}():
    async def main():
        {acquire}
        {end}
    asyncio.run(main())
    yield

def test_{name}(fixture_{name}):
    pass
""",
    "call": """
def test_{name}():
    async def main():
        {acquire}
        {end}
    asyncio.run(main())
""",
    "teardown": """
@pytest.fixture(scope="{scope}")
def fixture_{name}():
    yield
    async def main():
        {acquire}
        {end}
    asyncio.run(main())

def test_{name}(fixture_{name}):
    pass
""",
}
ASYNCIO = {
    "setup": """
@pytest_asyncio.fixture(scope="{scope}", loop_scope="{scope}")
async def fixture_{name}():
    {acquire}
    yield
    {end}

@pytest.mark.asyncio(loop_scope="{scope}")
async def test_{name}(fixture_{name}):
    await asyncio.sleep(0)
""",
    "call": """
@pytest.mark.asyncio(loop_scope="{scope}")
async def test_{name}():
    {acquire}
    await asyncio.sleep(0)
    {end}
""",
    "teardown": """
@pytest_asyncio.fixture(scope="{scope}", loop_scope="{scope}")
async def fixture_{name}():
    yield
    {acquire}
    {end}

@pytest.mark.asyncio(loop_scope="{scope}")
async def test_{name}(fixture_{name}):
    await asyncio.sleep(0)
""",
    # begun by the test, handed to a wider fixture that ends it or does not
    "handed": """
@pytest_asyncio.fixture(scope="{scope}", loop_scope="{scope}")
async def fixture_{name}():
    held = []
    yield held
    for it in held:
        {end}

@pytest.mark.asyncio(loop_scope="{scope}")
async def test_{name}(fixture_{name}):
    {acquire}
    fixture_{name}.append(it)
""",
}
ANYIO = {
    phase: text.replace("@pytest_asyncio.fixture", "@pytest.fixture")
    .replace(', loop_scope="{scope}"', "")
    .replace('@pytest.mark.asyncio(loop_scope="{scope}")', "@pytest.mark.anyio")
    .replace("async def fixture_{name}():", "async def fixture_{name}(anyio_backend):")
    for phase, text in ASYNCIO.items()
}  # fmt: skip
UNITTEST = {
    "setup": """
class Test_{name}(unittest.IsolatedAsyncioTestCase):
    async def asyncSetUp(self):
        {acquire}
        self.it = it

    async def asyncTearDown(self):
        it = self.it
        {end}

    async def test_{name}(self):
        await asyncio.sleep(0)
""",
    "call": """
class Test_{name}(unittest.IsolatedAsyncioTestCase):
    async def test_{name}(self):
        {acquire}
        {end}
""",
    "teardown": """
class Test_{name}(unittest.IsolatedAsyncioTestCase):
    async def asyncTearDown(self):
        {acquire}
        {end}

    async def test_{name}(self):
        await asyncio.sleep(0)
""",
}
TRIO = {
    "call": """
def test_{name}():
    async def main():
        {acquire}
        {end}
    trio.run(main)
""",
}

RUNNERS = {"run": RUN, "asyncio": ASYNCIO, "anyio": ANYIO, "unittest": UNITTEST, "trio": TRIO}
IMPORTS = {"asyncio": "import pytest_asyncio\n", "trio": "import trio\n"}
CONFTEST = """
import pytest

@pytest.fixture(scope="session")
def anyio_backend():
    return "asyncio"
"""


@dataclass(frozen=True, kw_only=True)
class Row:
    """One twin."""

    what: str
    runner: str
    scope: str
    phase: str
    leaky: bool

    @property
    def name(self) -> str:
        """Unique, and fit for an identifier."""
        return f"{self.what}_{self.runner}_{self.scope}_{self.phase}_{'leaky' if self.leaky else 'clean'}"

    @property
    def file(self) -> str:
        """Where the twin stands."""
        return f"test_{self.runner}.py"

    @property
    def test(self) -> str:
        """The id of the test."""
        in_class = f"Test_{self.name}::" if self.runner == "unittest" else ""
        return f"{self.file}::{in_class}test_{self.name}"

    @property
    def told_phase(self) -> str:
        """The phase that pytest sees: unittest runs all of it in one, and a coroutine is told when it is dropped."""
        return "call" if self.runner == "unittest" or self.phase == "handed" else self.phase

    @property
    def owner(self) -> dict[str, str]:
        """What the report must say of the owner."""
        if self.scope == "function" or self.phase in ("call", "handed"):
            return {"kind": "test", "scope": "function", "name": self.test}
        return {"kind": "fixture", "scope": self.scope, "name": f"fixture_{self.name}"}

    def source(self) -> str:
        """The fixture and the test."""
        what = WHATS[self.what]
        lines = {
            "{acquire}": what.acquire.replace("#", f"# {self.name}"),
            "{end}": what.lose if self.leaky else what.release,
            "{name}": self.name,
            "{scope}": self.scope,
        }
        filled = []
        for line in RUNNERS[self.runner][self.phase].splitlines():
            indent = line[: len(line) - len(line.lstrip())]
            for sign, text in lines.items():
                line = line.replace(sign, text.replace("\n", f"\n{indent}"))
            filled.append(line)
        return "\n".join(filled) + "\n"


def _rows() -> Iterator[Row]:
    for runner, phases in RUNNERS.items():
        for what in WHATS:
            if runner == "trio" and what == "task":
                continue  # a nursery leaves none
            for phase in phases:
                if what == "coroutine" and phase != "call":
                    continue  # it is told where it is dropped, not where it is made
                wide = ("module", "session") if runner in ("asyncio", "anyio") else ("module",)
                if runner == "unittest" or (phase == "call" and runner != "asyncio"):
                    scopes: tuple[str, ...] = ("function",)
                else:
                    scopes = wide if phase == "handed" else ("function", *wide)
                for scope in scopes:
                    for leaky in (True, False):
                        yield Row(what=what, runner=runner, scope=scope, phase=phase, leaky=leaky)


ROWS = tuple(_rows())


def tree() -> dict[str, str]:
    """The project: relative path -> text."""
    files = {f"test_{runner}.py": IMPORTS.get(runner, "") + HEAD for runner in RUNNERS}
    for row in ROWS:
        files[row.file] += row.source()
    return {"pytest.ini": "[pytest]\nasyncio_mode = strict\n", "conftest.py": CONFTEST, **files}
