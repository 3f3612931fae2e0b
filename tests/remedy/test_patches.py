"""Each patch is applied to the file that leaked, and the test runs again: the leak is gone, the test still passes."""

from __future__ import annotations

import shutil
import subprocess
import textwrap
from dataclasses import dataclass
from pathlib import Path

import pytest

HEAD = """\
import json, mmap, os, pathlib, socket, subprocess, sys, tempfile, threading, time
from concurrent.futures import ThreadPoolExecutor
import pytest

PATH = pathlib.Path(__file__)
KEPT = []
CHILD = [sys.executable, "-S", "-c", "import sys; sys.stdin.read()"]
"""


@dataclass(frozen=True)
class Row:
    """A file with a leak, and lines that the patched file has."""

    name: str
    source: str
    has: tuple[str, ...]


def rows(table: dict[str, tuple[str, str]]) -> list[Row]:
    return [Row(name, textwrap.dedent(code).lstrip(), tuple(has.split("\n"))) for name, (code, has) in table.items()]


ROWS = rows(
    {
        "open_and_use": (
            """
            def test_it():
                # a comment
                file = open(PATH)  # why

                first = file.readline()
                rest = file.read()
                assert first and rest
            """,
            "    with open(PATH) as file:  # why\n        rest = file.read()\n    assert first and rest",
        ),
        "open_for_nothing": ("def test_it():\n    file = open(PATH)\n    assert PATH\n", "    file.close()"),
        "open_unnamed": ("def test_it():\n    open(PATH)\n", "    open(PATH).close()"),
        "open_in_a_helper": (
            """
            def read():
                stream = PATH.open(
                    encoding="utf-8",
                )
                return stream.read()

            def test_it():
                assert read()
            """,
            "    with PATH.open(\n    ) as stream:\n        return stream.read()",
        ),
        "read_at_once": (
            "def test_it():\n    text = open(PATH).read()\n    assert text\n",
            "    with open(PATH) as file:\n        text = file.read()\n    assert text",
        ),
        "loaded_at_once": (
            """
            def load(file):
                return json.load(open(file))

            def test_it(tmp_path):
                (tmp_path / "x.json").write_text("[1]")
                assert load(tmp_path / "x.json") == [1]
            """,
            "    with open(file) as stream:\n        return json.load(stream)",
        ),
        "handed_on": (
            """
            def test_it():
                file = open(PATH)
                lines = enumerate(file)
                assert next(lines)
                assert KEPT == []
            """,
            "    with open(PATH) as file:\n        assert next(lines)\n    assert KEPT == []",
        ),
        "looped_over": (
            """
            def test_it():
                count = 0
                for number, line in enumerate(open(PATH), 1):
                    count += 1

                    assert line and number == count
                assert count
            """,
            "    with open(PATH) as file:\n        for number, line in enumerate(file, 1):\n    assert count",
        ),
        "in_a_branch": (
            """
            def test_it():
                if PATH:
                    file = open(PATH)
                    assert file.read()
                assert PATH
            """,
            "        with open(PATH) as file:\n            assert file.read()",
        ),
        "socket_made": (
            """
            def test_it():
                link = socket.socket()
                link.bind(("127.0.0.1", 0))
                assert link.getsockname()
            """,
            "    with socket.socket() as link:",
        ),
        "server_made": (
            """
            def test_it():
                server = socket.create_server(("127.0.0.1", 0))
                client = socket.create_connection(server.getsockname())
                client.close()
            """,
            '    with socket.create_server(("127.0.0.1", 0)) as server:',
        ),
        "child_still_running": (
            """
            def test_it():
                child = subprocess.Popen(CHILD, stdin=subprocess.PIPE)
                assert child.poll() is None
            """,
            "    with subprocess.Popen(CHILD, stdin=subprocess.PIPE) as child:\n        try:\n            child.kill()",
        ),
        "timer": (
            """
            def test_it():
                timer = threading.Timer(600, int)
                timer.daemon = True
                timer.start()
                assert timer.is_alive()
            """,
            "    try:\n        assert timer.is_alive()\n    finally:\n        timer.cancel()\n        timer.join()",
        ),
        "thread_with_event": (
            """
            def test_it():
                stop = threading.Event()
                thread = threading.Thread(target=stop.wait, daemon=True)
                thread.start()
            """,
            "    thread.start()\n    stop.set()\n    thread.join()",
        ),
        "thread_with_loop": (
            """
            def poll(ended, pause):
                while not ended.is_set():
                    time.sleep(pause)

            def test_it():
                done = threading.Event()
                thread = threading.Thread(target=poll, args=(done, 0.01), daemon=True)
                thread.start()
                assert thread.is_alive()
            """,
            "    finally:\n        done.set()\n        thread.join()",
        ),
        "executor": (
            """
            class App:
                def __init__(self, pool):
                    self.pool = pool
                    KEPT.append(self)

            def test_it():
                pool = ThreadPoolExecutor(1)
                app = App(pool)
                assert app.pool.submit(int).result() == 0
            """,
            "    finally:\n        pool.shutdown(wait=False, cancel_futures=True)",
        ),
        "fixture_with_executor": (
            """
            @pytest.fixture
            def pool():
                pool = ThreadPoolExecutor(1)
                KEPT.append(pool)
                return pool

            def test_it(pool):
                assert pool.submit(int).result() == 0
            """,
            "    try:\n        yield pool\n    finally:\n        pool.shutdown(wait=False, cancel_futures=True)",
        ),
        "folder": (
            """
            def test_it():
                folder = tempfile.mkdtemp(prefix="x")
                name = os.path.join(folder, "data")
                pathlib.Path(name).write_text("1")
                assert os.path.exists(name)
            """,
            '    with tempfile.TemporaryDirectory(prefix="x") as folder:\n        assert os.path.exists(name)',
        ),
        "temporary_file": (
            """
            def test_it():
                number, name = tempfile.mkstemp()
                os.close(number)
                assert os.path.exists(name)
            """,
            "    try:\n    finally:\n        os.unlink(name)",
        ),
        "fixture_that_returns": (
            """
            @pytest.fixture
            def stream():
                stream = open(PATH)
                stream.readline()
                return stream

            def test_it(stream):
                assert stream.read()
            """,
            "    with open(PATH) as stream:\n        yield stream",
        ),
        "fixture_that_returns_at_once": (
            """
            @pytest.fixture(scope="module")
            def data():
                return open(PATH)

            def test_it(data):
                assert data.read()
            """,
            "    with open(PATH) as file:\n        yield file",
        ),
        "fixture_that_yields": (
            """
            @pytest.fixture(scope="module")
            def server():
                server = socket.create_server(("127.0.0.1", 0))
                yield server

            def test_it(server):
                assert server.fileno()
            """,
            '    with socket.create_server(("127.0.0.1", 0)) as server:\n        yield server',
        ),
        "fixture_with_child": (
            """
            @pytest.fixture(scope="session")
            def child():
                child = subprocess.Popen(CHILD, stdin=subprocess.PIPE)
                return child

            def test_it(child):
                assert child.poll() is None
            """,
            "    with subprocess.Popen(CHILD, stdin=subprocess.PIPE) as child:\n            yield child",
        ),
        "fixture_with_folder": (
            """
            @pytest.fixture
            def folder():
                folder = tempfile.mkdtemp()
                return folder

            def test_it(folder):
                assert os.path.isdir(folder)
            """,
            "    with tempfile.TemporaryDirectory() as folder:\n        yield folder",
        ),
    }
)


@pytest.fixture(scope="module")
def runs(tmp_path_factory, run_tree):
    """The leaky run, and the run after all its patches were applied by git."""
    root = tmp_path_factory.mktemp("leaky")
    files = {f"test_{row.name}.py": HEAD + row.source for row in ROWS}
    leaky = run_tree(root, files, "--leakguard-grace=0.1")
    patches = dict.fromkeys(finding["patch"] for finding in leaky.findings)
    git = shutil.which("git")
    if git is None:
        pytest.skip("git not found in PATH: nothing applies the patches")
    for patch in filter(None, patches):
        subprocess.run([git, "apply", "-p1", "-"], input=patch, text=True, cwd=root, check=True, timeout=30)
    patched = tmp_path_factory.mktemp("patched")
    return leaky, run_tree(patched, {name: (root / name).read_text("utf-8") for name in files}), patched


@pytest.mark.parametrize("row", ROWS, ids=[row.name for row in ROWS])
def test_the_patch_ends_the_leak(runs, row):
    """One leak before, with a patch that git applies; none after, and the test passes before and after."""
    leaky, patched, root = runs
    file = f"test_{row.name}.py"
    (found,) = [finding for finding in leaky.findings if finding["test"].startswith(file)]
    assert found["patch"].startswith(f"--- a/{file}\n+++ b/{file}\n@@ ")
    assert [f["what"] for f in patched.report["findings"] if f["test"].startswith(file)] == []
    source = (Path(root) / file).read_text("utf-8").split("\n")
    assert [line for line in row.has if line not in source] == []


def test_all_tests_pass_before_and_after(runs):
    """A patch changes nothing that a test could see."""
    leaky, patched, _ = runs
    for run in (leaky, patched):
        outcomes = run.result.parseoutcomes()
        assert outcomes["passed"] == len(ROWS), run.text
    assert "leaked" not in patched.result.parseoutcomes()
    assert "warnings" not in patched.result.parseoutcomes()


def test_the_patch_is_told_from_the_left_edge(runs):
    """So that it can be copied out of the terminal."""
    lines = runs[0].result.outlines
    at = lines.index("--- a/test_open_unnamed.py")
    assert lines[at - 1] == "  patch     for `git apply`:"
    assert lines[at + 1 : at + 3] == ["+++ b/test_open_unnamed.py", "@@ -6,4 +6,4 @@"]
    assert lines[at + 6 : at + 8] == ["-    open(PATH)", "+    open(PATH).close()"]


DOUBTS = {
    "kept in a global": "def test_it():\n    file = open(PATH)\n    KEPT.append(file)\n",
    "a number, no object": "def test_it():\n    number = os.open(PATH, os.O_RDONLY)\n    assert number\n",
    "an open of its own": """
        class Store:
            def open(self, name):
                return open(name)

        def test_it():
            file = Store().open(PATH)
            assert file.read()
        """,
    "removed on some path": """
        def test_it():
            folder = tempfile.mkdtemp()
            if not PATH:
                os.rmdir(folder)
        """,
    "a class that is only called Timer": """
        class Timer(threading.Thread):
            def run(self):
                time.sleep(5)

        def test_it():
            timer = Timer(daemon=True)
            timer.start()
        """,
    "kept by a method": "def test_it():\n    file = open(PATH)\n    KEPT.append(file.read)\n",
    "given by a helper": """
        def make():
            file = open(PATH)
            return file

        def test_it():
            assert make().read()
        """,
    "given read later": """
        def make():
            file = open(PATH)
            return map(str.strip, file)

        def test_it():
            assert list(make())
        """,
    "made of it and given": """
        def make():
            file = open(PATH)
            lines = iter(file)
            return lines

        def test_it():
            assert next(make())
        """,
    "a closure uses it": """
        def test_it():
            file = open(PATH)
            read = lambda: file.read()
            assert read()
        """,
    "bound twice": """
        def test_it():
            file = None
            file = open(PATH)
            assert file.read()
        """,
    "used after its branch": """
        def test_it():
            if PATH:
                file = open(PATH)
            assert file.read()
        """,
    "text of several lines": '''
        def test_it():
            file = open(PATH)
            text = """
            one
            """
            assert file.read() != text
        ''',
    "another statement on its line": "def test_it():\n    file = open(PATH); assert file.read()\n",
    "two calls on its line": "def test_it():\n    assert open(PATH).read() == open(PATH).read()\n",
    "maybe not evaluated": "def test_it():\n    text = open(PATH).read() if PATH else ''\n    assert text\n",
    "evaluated after something": "def test_it():\n    assert (len(PATH.name), open(PATH).read())\n",
    "thread that nothing stops": """
        def test_it():
            thread = threading.Thread(target=time.sleep, args=(5,), daemon=True)
            thread.start()
        """,
    "two events": """
        def test_it():
            one, two = threading.Event(), threading.Event()
            thread = threading.Thread(target=lambda: (one.wait(9), two.wait(9)), daemon=True)
            thread.start()
        """,
    "fixture with a type": """
        import typing
        @pytest.fixture
        def stream() -> typing.IO[str]:
            stream = open(PATH)
            return stream

        def test_it(stream):
            assert stream.read()
        """,
    "fixture of two ways": """
        @pytest.fixture
        def stream():
            stream = open(PATH)
            if PATH.name == "x":
                return None
            return stream

        def test_it(stream):
            assert stream.read()
        """,
    "folder made elsewhere": """
        def make():
            folder = tempfile.mkdtemp()
            return folder

        def test_it():
            assert make()
        """,
    "bound to an attribute": """
        class Thing: pass

        def test_it():
            thing = Thing()
            thing.file = open(PATH)
            assert thing.file.read()
        """,
}


def test_in_doubt_there_is_no_patch(tmp_path, run_tree):
    """Each of these leaks, and for none is it plain from the source how to end it."""
    files = {
        f"test_{number:02}.py": f"{HEAD}\n{textwrap.dedent(source)}" for number, source in enumerate(DOUBTS.values())
    }
    run = run_tree(tmp_path, files, "--leakguard-grace=0.05")
    names = list(DOUBTS)
    leaking = {names[int(finding["test"][5:7])] for finding in run.findings}
    assert set(names) - leaking == set()
    assert {names[int(f["test"][5:7])]: f["patch"] for f in run.findings if f["patch"]} == {}
    run.result.assert_outcomes(passed=len(DOUBTS))
