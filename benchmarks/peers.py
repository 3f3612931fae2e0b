"""What leakguard and other tools tell of the same small leaks: the table of docs/explanation/other-tools.md.

    python benchmarks/peers.py                          run all, print the table
    python benchmarks/peers.py --only leakguard,pytest  some tools
    python benchmarks/peers.py --show CASE              also print all that the tools printed for one case

Needs, in the environment that runs it, this plugin and what REQUIREMENTS lists; a tool that is not there is left
out, which is said. Each tool is run with the options that find most, and each case in a process of its own: three
tests, of which the middle one leaks, or, in the last cases, does not. A cell says what the run told:

    test, line   the middle test failed, and the line that acquired was printed
    test         the middle test failed; `and others`: so did a test that did not leak
    fixture ...  the leaking fixture was named
    other test   a test failed that did not leak
    warning      nothing failed; a warning that names the middle test
    warning?     nothing failed; a warning that names another test, or none
    -            nothing was told
    n/a          the tool checks calls of plain functions, and this test is a coroutine

For a case that does not leak `-` is right, and all else a false alarm.
"""

from __future__ import annotations

import argparse
import importlib.util
import os
import re
import subprocess
import sys
import tempfile
import textwrap
import xml.etree.ElementTree as ElementTree
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))  # the plugin need not be installed
REQUIREMENTS = (
    "pytest-asyncio",
    "pytest-openfiles",
    "pytest-threadleak",
    "pyleak",
    "pytest-memray",
    "psleak",
)
SECONDS_AT_MOST = 120


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """One small suite.

    Attributes:
        name: the row of the table.
        leak: what the middle test calls as `leak(folder)`, or a fixture and the test; `# here` is at the line that
            acquires.
        kind: what leakguard calls it; empty for a suite that does not leak.
        by_fixture: the fixture `wide` leaks, not a test.
    """

    name: str
    leak: str
    kind: str
    by_fixture: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Tool:
    """A column: the modules it needs, what goes to the command line, into conftest.py and the environment.

    Attributes:
        calls_only: it checks calls of plain functions, not coroutines.
    """

    name: str
    needs: tuple[str, ...] = ()
    arguments: tuple[str, ...] = ()
    conftest: str = ""
    environ: tuple[tuple[str, str], ...] = ()
    calls_only: bool = False


CASES = (
    Case(
        name="file that stays open",
        kind="fd",
        leak="""
        def leak(folder):
            kept.append(open(folder / "station.log", "w"))  # here
        """,
    ),
    Case(
        name="descriptor without an object",
        kind="fd",
        leak="""
        def leak(folder):
            os.open(folder, os.O_RDONLY)  # here
        """,
    ),
    Case(
        name="listening socket",
        kind="socket",
        leak="""
        def leak(folder):
            kept.append(socket.create_server(("127.0.0.1", 0)))  # here
        """,
    ),
    Case(
        name="thread",
        kind="thread",
        leak="""
        def leak(folder):
            threading.Thread(target=stop.wait, name="poller").start()  # here
        """,
    ),
    Case(
        name="daemon thread",
        kind="thread",
        leak="""
        def leak(folder):
            threading.Thread(target=stop.wait, name="poller", daemon=True).start()  # here
        """,
    ),
    Case(
        name="child process",
        kind="process",
        leak="""
        def leak(folder):
            kept.append(subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE))  # here
        """,
    ),
    Case(
        name="folder in the temp folder",
        kind="temp",
        leak="""
        def leak(folder):
            tempfile.mkdtemp()  # here
        """,
    ),
    Case(
        name="asyncio task",
        kind="task",
        leak="""
        async def poll():
            await asyncio.sleep(60)

        def leak(folder):
            kept.append(asyncio.get_running_loop().create_task(poll()))  # here

        @pytest.mark.asyncio
        async def test_middle(tmp_path):
            leak(tmp_path)
            await asyncio.sleep(0)
        """,
    ),
    Case(
        name="unclosed file, dropped",
        kind="unclosed",
        leak="""
        def leak(folder):
            open(folder / "station.log", "w")  # here
        """,
    ),
    Case(
        name="unclosed file, in a cycle",
        kind="unclosed",
        leak="""
        class Station:
            def __init__(self, path):
                self.me = self
                self.log = open(path, "w")  # here

        def leak(folder):
            Station(folder / "station.log")
        """,
    ),
    Case(
        name="file of a module fixture",
        kind="fd",
        by_fixture=True,
        leak="""
        @pytest.fixture(scope="module")
        def wide(tmp_path_factory):
            kept.append(open(tmp_path_factory.mktemp("wide") / "station.log", "w"))  # here
            yield

        def leak(folder):
            pass

        @pytest.fixture(autouse=True)
        def each(wide):
            pass
        """,
    ),
    Case(
        name="memory: 2 MB in a list",
        kind="",
        leak="""
        def leak(folder):
            kept.append([str(number) for number in range(30_000)])  # here
        """,
    ),
    Case(
        name="no leak: closed by the test's fixture",
        kind="",
        leak="""
        def leak(folder):
            pass

        @pytest.fixture
        def log(tmp_path):
            files = []
            yield lambda: files.append(open(tmp_path / "station.log", "w"))  # here
            files[0].close()

        def test_middle(log):
            log()
        """,
    ),
    Case(
        name="no leak: thread of a module fixture",
        kind="",
        leak="""
        class Pool:
            def start(self):
                self.end = threading.Event()
                self.thread = threading.Thread(target=self.end.wait)
                self.thread.start()  # here

        @pytest.fixture(scope="module")
        def pool():
            pool = Pool()
            yield pool
            pool.end.set()
            pool.thread.join()

        def leak(folder):
            pass

        def test_middle(pool):
            pool.start()
        """,
    ),
)

BEFORE = """\
import asyncio, gc, os, socket, subprocess, sys, tempfile, threading
import pytest

kept = []
stop = threading.Event()


def test_before(tmp_path):
    pass

"""
MIDDLE = """
def test_middle(tmp_path):
    leak(tmp_path)

"""
AFTER = """
def test_after(tmp_path):
    gc.collect()  # as happens by itself, some time later
"""
# what would keep the process from ending is ended when all is told
CONFTEST = """\
import sys
import pytest


def pytest_unconfigure():
    case = sys.modules.get("test_case")
    case.stop.set()
    for each in case.kept:
        if hasattr(each, "kill"):
            each.kill()
            each.wait()


"""
MARK = """\
def pytest_itemcollected(item):
    if item.name == "test_middle":
        item.add_marker({mark})
"""
WRAP = """\
def wrapped(call):
    {wrap}


@pytest.hookimpl(tryfirst=True)
def pytest_pyfunc_call(pyfuncitem):
    if pyfuncitem.name != "test_middle":
        return None
    names = pyfuncitem._fixtureinfo.argnames
    wrapped(lambda: pyfuncitem.obj(**{{name: pyfuncitem.funcargs[name] for name in names}}))
    return True
"""

TRACED = (("PYTHONTRACEMALLOC", "10"),)  # so that warnings tell the line that acquired

TOOLS = (
    Tool(
        name="leakguard",
        needs=("pytest_leakguard",),
        arguments=("-p", "pytest_leakguard.plugin.entry", "--leakguard"),
    ),
    Tool(name="pytest", environ=TRACED),
    Tool(
        name="pytest, warnings are errors",
        arguments=("-W", "error::ResourceWarning", "-W", "error::pytest.PytestUnraisableExceptionWarning"),
        environ=TRACED,
    ),
    Tool(
        name="pytest-openfiles",
        needs=("pytest_openfiles", "psutil"),
        arguments=("-p", "pytest_openfiles.plugin", "--open-files"),
    ),
    Tool(name="pytest-threadleak", needs=("pytest_threadleak",), arguments=("-p", "pytest_threadleak", "--threadleak")),
    Tool(
        name="pyleak",
        needs=("pyleak",),
        arguments=("-p", "pyleak.pytest_plugin"),
        conftest=MARK.format(
            mark="pytest.mark.no_leaks(tasks=True, threads=True, blocking=False, exclude_daemon_threads=False, "
            "enable_task_creation_tracking=True)"
        ),
    ),
    Tool(
        name="pytest-memray",
        needs=("pytest_memray",),
        arguments=("-p", "pytest_memray.plugin", "--memray"),
        conftest=MARK.format(mark="pytest.mark.limit_leaks('1 MB')"),
    ),
    Tool(
        name="psleak",
        needs=("psleak",),
        calls_only=True,
        environ=(("PYTHONMALLOC", "malloc"),),  # else it skips the test
        conftest=WRAP.format(
            wrap="import psleak\n"
            "    memory = sys.modules['test_case'].memory\n"
            "    checkers = psleak.Checkers() if memory else psleak.Checkers.exclude('memory')\n"
            "    psleak.MemoryLeakTestCase('execute').execute(call, times=5, retries=3, checkers=checkers)"
        ),
    ),
    Tool(
        name="test.support",
        needs=("test.support",),
        calls_only=True,
        conftest=WRAP.format(
            wrap="from test.support import os_helper, threading_helper\n"
            "    count = os_helper.fd_count()\n"
            "    threading_helper.reap_threads(call)()\n"
            "    assert os_helper.fd_count() == count"
        ),
    ),
)


def source_of(case: Case) -> str:
    """The module of a case."""
    body = textwrap.dedent(case.leak)
    middle = "" if "def test_middle" in body else MIDDLE
    return f"{BEFORE}memory = {case.name.startswith('memory')}\n\n{body}\n{middle}{AFTER}"


def line_of(source: str) -> int:
    """The line that acquires, counted from 1."""
    (line,) = [number for number, text in enumerate(source.splitlines(), 1) if "# here" in text]
    return line


def is_there(name: str) -> bool:
    try:
        return importlib.util.find_spec(name) is not None
    except ModuleNotFoundError:
        return False


def run(tool: Tool, case: Case, folder: Path) -> tuple[str, str]:
    """The cell of the table, and what was printed."""
    if tool.calls_only and "asyncio" in case.leak:
        return "n/a", ""
    (folder / "tmp").mkdir(parents=True)
    source = source_of(case)
    (folder / "test_case.py").write_text(source, "utf-8")
    (folder / "conftest.py").write_text(CONFTEST + tool.conftest, "utf-8")
    command = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "-p", "pytest_asyncio.plugin"]
    command += ["--junit-xml=result.xml", "--rootdir=.", *tool.arguments]
    environ = {**os.environ, "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1", "COLUMNS": "200"}
    environ |= {
        **dict(tool.environ),
        "TMPDIR": str(folder / "tmp"),
        "PYTHONPATH": str(ROOT),
        "PYTEST_DEBUG_TEMPROOT": str(folder),
    }
    ran = subprocess.run(
        command, cwd=folder, env=environ, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        text=True, timeout=SECONDS_AT_MOST, check=False,
    )  # fmt: skip
    if ran.returncode not in (0, 1):
        raise SystemExit(f"{tool.name}, {case.name}: pytest ended with {ran.returncode}\n{ran.stdout}")
    failed = failures(folder / "result.xml")
    if "3 passed" not in ran.stdout and not failed:
        raise SystemExit(f"{tool.name}, {case.name}: not all tests ran\n{ran.stdout}")
    return cell(case, failed, ran.stdout, line_of(source)), ran.stdout


def failures(file: Path) -> set[str]:
    """The tests that failed, in their call or around it."""
    cases = ElementTree.parse(file).getroot().iter("testcase")
    return {
        case.get("name", "") for case in cases if case.find("failure") is not None or case.find("error") is not None
    }


def cell(case: Case, failed: set[str], printed: str, line: int) -> str:
    """What a run told, in the words of the module's docstring."""
    told_line = re.search(rf"(test_case\.py:|line |lineno ){line}\b", printed) is not None
    others = ", and others" if failed - {"test_middle"} else ""
    if case.by_fixture:
        if re.search(r"fixture '?wide", printed):
            return "fixture, line" if told_line else "fixture"
    elif "test_middle" in failed:
        return ("test, line" if told_line else "test") + others
    if failed:
        return "other test"
    warned = printed.partition(" warnings summary ")[2]
    if "Unraisable" in warned or "ResourceWarning" in warned or "was never awaited" in warned:
        return "warning" if "::test_middle" in warned else "warning?"
    return "-"


def table(rows: list[list[str]]) -> str:
    """Markdown, with a line for each row; the first is the heading."""
    rule = ["---"] * len(rows[0])
    return "\n".join("| " + " | ".join(row) + " |" for row in [rows[0], rule, *rows[1:]])


def main(argv: list[str]) -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--only", help="names of tools, with commas between them")
    parser.add_argument("--show", metavar="CASE", help="also print what the tools printed for this row")
    arguments = parser.parse_args(argv)
    asked = [tool for tool in TOOLS if not arguments.only or tool.name in arguments.only.split(",")]
    tools = [tool for tool in asked if all(map(is_there, tool.needs))]
    for tool in asked:
        if tool not in tools:
            print(f"left out, not installed: {tool.name}", file=sys.stderr)
    cases = [case for case in CASES if arguments.show in (None, case.name)]
    rows = [["", *(tool.name for tool in tools)]]
    with tempfile.TemporaryDirectory(prefix="leakguard-peers.") as folder:
        for number, case in enumerate(cases):
            row = [case.name]
            for tool in tools:
                told, printed = run(tool, case, Path(folder, f"{number}-{tool.name}"))
                row.append(told)
                if arguments.show:
                    print(f"== {tool.name}: {told}\n{printed}")
            rows.append(row)
    print(table(rows))
    return 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
