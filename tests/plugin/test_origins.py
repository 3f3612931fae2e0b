"""Where a leak came from: the user's line first, and "unknown, because" where nothing tells."""

from __future__ import annotations

import os
import sys
import textwrap

import pytest
from twins import line_marked

LEAKS = """
import asyncio, ctypes, multiprocessing, os, pathlib, select, selectors, shutil, signal, socket, sqlite3, subprocess
import sys, tempfile, threading, _thread, time
from concurrent.futures import ThreadPoolExecutor

import pytest

KEPT = []
CHILD = [sys.executable, "-S", "-c", "import sys; sys.stdin.read()"]


@pytest.fixture(scope="module")
def listening():
    with socket.create_server(("127.0.0.1", 0)) as listener:
        yield listener.getsockname()


"""

# name -> (what the test does; the line that must be named ends with `#!`), expected kind, count
KNOWN: dict[str, tuple[str, str, int]] = {
    "open": ("KEPT.append(open(__file__)) #!", "fd", 1),
    "open_bytes": ("KEPT.append(open(os.fsencode(__file__), 'rb')) #!", "fd", 1),
    "path_open": ("KEPT.append(pathlib.Path(__file__).open()) #!", "fd", 1),
    "os_open": ("os.open(__file__, os.O_RDONLY) #!", "fd", 1),
    "os_open_folder": ("os.open('.', os.O_RDONLY) #!", "fd", 1),
    "relative": ("KEPT.append(open(os.path.join('.', os.path.basename(__file__)))) #!", "fd", 1),
    "symlink": (
        "os.symlink(__file__, tmp_path / 'link')\nKEPT.append(open(tmp_path / 'link')) #!",
        "fd",
        1,
    ),
    "renamed_since": (
        "file = open(tmp_path / 'a', 'w') #!\nos.rename(tmp_path / 'a', tmp_path / 'b')\nKEPT.append(file)",
        "fd",
        1,
    ),
    "renamed_twice_and_deleted": (
        "file = open(tmp_path / 'a', 'w') #!\nos.rename(tmp_path / 'a', tmp_path / 'b')\n"
        "os.rename(tmp_path / 'b', tmp_path / 'c')\nos.unlink(tmp_path / 'c')\nKEPT.append(file)",
        "fd",
        1,
    ),
    "link_renamed_and_another_file": (
        "(tmp_path / 'other').touch()\nos.symlink(__file__, tmp_path / 'link')\n"
        "KEPT.append(open(tmp_path / 'link')) #!\nos.rename(tmp_path / 'link', tmp_path / 'name')\n"
        "os.rename(tmp_path / 'other', tmp_path / 'another')",
        "fd",
        1,
    ),
    "deleted_since": (
        "file = open(tmp_path / 'a', 'w') #!\nos.unlink(tmp_path / 'a')\nKEPT.append(file)",
        "fd",
        1,
    ),
    "several_lines": ("KEPT.append(\n    open( #!\n        __file__,\n        'rb',\n    )\n)", "fd", 1),
    "comprehension": ("KEPT.extend([open(path) for path in [__file__, os.__file__]]) #!", "fd", 2),
    "nested_function": ("def inner():\n    return open(__file__) #!\nKEPT.append(inner())", "fd", 1),
    "method": ("class It:\n    def go(self):\n        return open(__file__) #!\nKEPT.append(It().go())", "fd", 1),
    "generator": ("def files():\n    yield open(__file__) #!\nKEPT.extend(files())", "fd", 1),
    "first_of_two": (
        "file = open(__file__) #!\nwith open(__file__):\n    pass\nKEPT.append(file)",
        "fd",
        1,
    ),
    "second_of_two": (
        "with open(__file__):\n    pass\nKEPT.append(open(__file__)) #!",
        "fd",
        1,
    ),
    "same_number_again": (
        "open(__file__).close()\nKEPT.append(open(os.__file__)) #!\nopen(__file__).close()",
        "fd",
        1,
    ),
    "fdopen": ("KEPT.append(os.fdopen(os.open(__file__, os.O_RDONLY))) #!", "fd", 1),
    "scandir": ("KEPT.append(os.scandir('.')) #!\nnext(KEPT[-1])", "fd", 1),
    "mkstemp": ("tempfile.mkstemp() #!", "fd", 1),
    "named_temporary": ("KEPT.append(tempfile.NamedTemporaryFile()) #!", "fd", 1),
    "temporary_file": ("KEPT.append(tempfile.TemporaryFile()) #!", "fd", 1),
    "mkdtemp": ("tempfile.mkdtemp() #!", "temp", 1),
    "mkdtemp_full": (
        "folder = tempfile.mkdtemp() #!\nfor name in 'abc':\n    pathlib.Path(folder, name).write_text(name)",
        "temp",
        1,
    ),
    "temporary_directory": ("KEPT.append(tempfile.TemporaryDirectory()) #!", "temp", 1),
    "delete_false": (
        "with tempfile.NamedTemporaryFile(delete=False) as file: #!\n    file.write(b'x')",
        "temp",
        1,
    ),
    "copy": ("shutil.copy(__file__, os.path.join(tempfile.gettempdir(), 'copied.txt')) #!", "temp", 1),
    "copytree": (
        "(tmp_path / 'a/b').mkdir(parents=True)\n(tmp_path / 'a/b/c').touch()\n"
        "shutil.copytree(tmp_path, os.path.join(tempfile.gettempdir(), 'tree')) #!",
        "temp",
        1,
    ),
    "archive": (
        "shutil.make_archive(os.path.join(tempfile.gettempdir(), 'packed'), 'zip', tmp_path) #!",
        "temp",
        1,
    ),
    "makedirs": ("os.makedirs(os.path.join(tempfile.gettempdir(), 'x', 'y', 'z')) #!", "temp", 1),
    "write_text": ("pathlib.Path('stray.txt').write_text('x') #!", "temp", 1),
    "renamed_out": (
        "(tmp_path / 'a').touch()\nos.rename(tmp_path / 'a', 'renamed.txt') #!",
        "temp",
        1,
    ),
    "symlink_left": ("os.symlink(__file__, 'link') #!", "temp", 1),
    "socket": ("KEPT.append(socket.socket()) #!", "socket", 1),
    "create_connection": ("KEPT.append(socket.create_connection(listening)) #!", "socket", 1),
    "create_server": ("KEPT.append(socket.create_server(('127.0.0.1', 0))) #!", "socket", 1),
    "socketpair": ("KEPT.append(socket.socketpair()) #!", "socket", 2),
    "accept": (
        "server = socket.create_server(('127.0.0.1', 0))\nclient = socket.create_connection(server.getsockname())\n"
        "KEPT.append(server.accept()) #!\nclient.close()\nserver.close()",
        "socket",
        1,
    ),
    "makefile": ("KEPT.append(socket.create_connection(listening).makefile()) #!", "socket", 1),
    "detached_later": ("socket.create_connection(listening).detach() #!", "socket", 1),
    "socket_dup": (
        "with socket.socket() as first:\n    KEPT.append(first.dup()) #!",
        "socket",
        1,
    ),
    "unix_socket": (
        "os.chdir(tmp_path)\nKEPT.append(socket.socket(socket.AF_UNIX)) #!\nKEPT[-1].bind('s')",
        "socket",
        1,
    ),
    "popen": ("KEPT.append(subprocess.Popen(CHILD, stdin=subprocess.PIPE)) #!", "process", 1),
    "popen_with_pipes": ("KEPT.append(subprocess.Popen(CHILD, stdin=-1, stdout=-1, stderr=-1)) #!", "process", 1),
    "popen_text": ("KEPT.append(subprocess.Popen(CHILD, stdin=-1, stdout=-1, text=True)) #!", "process", 1),
    "popen_twice": (
        "KEPT.extend([subprocess.Popen(CHILD, stdin=-1, stdout=-1) for _ in range(2)]) #!",
        "process",
        2,
    ),
    "pipes_only": (
        "child = subprocess.Popen(CHILD, stdin=-1, stdout=-1) #!\n"
        "child.stdin.close()\nchild.wait()\nKEPT.append(child)",
        "fd",
        1,
    ),
    "zombie": (
        "child = subprocess.Popen([sys.executable, '-S', '-c', '']) #!\n"
        "os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOWAIT)\nKEPT.append(child)",
        "process",
        1,
    ),
    "fork": (
        "pid = os.fork() #!\nif not pid:\n    os._exit(0)\nos.waitid(os.P_PID, pid, os.WEXITED | os.WNOWAIT)",
        "process",
        1,
    ),
    "posix_spawn": (
        "pid = os.posix_spawn(sys.executable, [sys.executable, '-S', '-c', ''], {}) #!\n"
        "os.waitid(os.P_PID, pid, os.WEXITED | os.WNOWAIT)",
        "process",
        1,
    ),
    "multiprocessing": (
        "process = multiprocessing.get_context('fork').Process(target=signal.pause, daemon=True)\n"
        "process.start() #!\nKEPT.append(process)",
        "process",
        1,
    ),
    "sqlite": (
        "KEPT.append(sqlite3.connect(tmp_path / 'a.db')) #!\nKEPT[-1].execute('create table a (b)')", "sqlite", 1
    ),
    "thread": (
        "thread = threading.Thread(target=threading.Event().wait, daemon=True)\nthread.start() #!",
        "thread",
        1,
    ),
    "timer": ("timer = threading.Timer(600, int)\ntimer.daemon = True\ntimer.start() #!", "thread", 1),
    "thread_subclass": (
        "class Mine(threading.Thread):\n    def run(self):\n        threading.Event().wait()\n"
        "    def start(self):\n        super().start() #!\nMine(daemon=True).start()",
        "thread",
        1,
    ),
    "executor": ("KEPT.append(ThreadPoolExecutor(1)) #!\nKEPT[-1].submit(int).result()", "thread", 1),
    "thread_in_thread": (
        "def outer():\n    threading.Thread(target=threading.Event().wait, daemon=True).start() #!\n"
        "thread = threading.Thread(target=outer)\nthread.start()\nthread.join()",
        "thread",
        1,
    ),
    "event_loop": ("KEPT.append(asyncio.new_event_loop()) #!", None, 1),
    "event_loop_run": (
        "loop = asyncio.new_event_loop() #!\nloop.run_until_complete(asyncio.sleep(0))\nKEPT.append(loop)",
        None,
        1,
    ),
    "loop_connection": (
        "async def main():\n    _, writer = await asyncio.open_connection(*listening) #!\n    KEPT.append(writer)\n"
        "loop = asyncio.new_event_loop()\nloop.run_until_complete(main())\nloop.close()",
        "socket",
        1,
    ),
    "unclosed_open": ("open(__file__).read() #!", "unclosed", 1),
    "unclosed_cycle": (
        "class It: pass\nit = It()\nit.it, it.file = it, open(__file__) #!\ndel it",
        "unclosed",
        1,
    ),
    "unclosed_socket": ("socket.socket() #!", "unclosed", 1),
    "unclosed_directory": ("tempfile.TemporaryDirectory().name #!", "unclosed", 1),
    "unclosed_loop": ("loop = asyncio.new_event_loop() #!\ndel loop", "unclosed", 1),
    "unclosed_child": (
        "child = subprocess.Popen([sys.executable, '-S', '-c', 'pass']) #!\ndel child",
        None,
        1,
    ),
}  # fmt: skip

# those of them that are run under --leakguard-trace too, where each C call costs
TRACED = ("open", "first_of_two", "renamed_since", "mkstemp", "socketpair", "accept", "popen_with_pipes", "fork")
TRACED += ("multiprocessing", "sqlite", "executor", "event_loop", "event_loop_run", "unclosed_open")

# name -> (what the test does), kind, count, a word of the reason
UNKNOWN: dict[str, tuple[str, str, int, str]] = {
    "pipe": ("os.pipe() #!", "fd", 2, "pipe"),
    "dup": ("with open(__file__) as file:\n    os.dup(file.fileno()) #!", "fd", 1, "dup"),
    "epoll": ("poller = select.epoll() #!\nKEPT.append(poller)", "fd", 1, "epoll"),
    "selector": ("KEPT.append(selectors.EpollSelector()) #!", "fd", 1, "epoll"),
    "memfd": ("os.memfd_create('it') #!", "fd", 1, "--leakguard-trace"),
    "libc": ("libc = ctypes.CDLL(None)\nlibc.eventfd(0, 0) #!\nKEPT.append(libc)", "fd", 1, "eventfd"),
    "opened_by_c": (
        "folder = os.path.join(tempfile.gettempdir(), 'made')\nos.mkdir(folder)\n"
        "ctypes.CDLL(None).open(os.fsencode(folder), os.O_RDONLY) #!\nos.rmdir(folder)",
        "fd",
        1,
        "a C extension",
    ),
    "detached": ("socket.socket().detach() #!", "socket", 1, "detach"),
    "pty": ("os.close(os.openpty()[0]) #!", "fd", 1, "--leakguard-trace"),
}
if hasattr(os, "eventfd"):
    UNKNOWN["eventfd"] = ("os.eventfd(0) #!", "fd", 1, "eventfd")
if hasattr(os, "pidfd_open"):
    UNKNOWN["pidfd"] = ("os.pidfd_open(os.getpid()) #!", "fd", 1, "pidfd")


def source_of(name: str, body: str) -> str:
    """A test that leaks, with its line marked by its name."""
    marked = "\n".join(
        line.replace(" #!", f"  # {name}") if line.endswith(" #!") else line for line in body.split("\n")
    )
    fixtures = ", ".join(fixture for fixture in ("tmp_path", "listening") if fixture in body)
    return f"def test_{name}({fixtures}):\n{textwrap.indent(marked, '    ')}\n\n\n"


SOURCE = LEAKS + "".join(source_of(name, row[0]) for name, row in {**KNOWN, **UNKNOWN}.items())
OPTIONS = ("--leakguard-grace=0.05",)


@pytest.fixture(scope="module")
def told(tmp_path_factory, run_tree):
    """One run over all rows."""
    return run_tree(tmp_path_factory.mktemp("origins"), {"test_leaks.py": SOURCE}, *OPTIONS)


@pytest.fixture(scope="module")
def traced(tmp_path_factory, run_tree):
    """The same under --leakguard-trace."""
    root = tmp_path_factory.mktemp("traced")
    tests = [f"test_leaks.py::test_{name}" for name in (*TRACED, *UNKNOWN)]
    return run_tree(root, {"test_leaks.py": SOURCE}, *OPTIONS, "--leakguard-trace", *tests)


def one(ran, name):
    """The one finding of the test of that row."""
    findings = [finding for finding in ran.report["findings"] if finding["test"] == f"test_leaks.py::test_{name}"]
    (finding,) = findings
    assert finding["disposition"] == "fails"
    assert finding["phase"] in ("call", None)
    return finding


def assert_line(finding, name):
    """The origin is the marked line of that row."""
    origin = finding["origin"]
    assert (origin["file"], origin["line"]) == ("test_leaks.py", line_marked(SOURCE, name))


@pytest.mark.parametrize("name", KNOWN)
def test_the_users_line_is_named(told, name):
    """Kind, count and the user's own line, whatever of the standard library lies between; one finding."""
    finding = one(told, name)
    _, kind, count = KNOWN[name]
    assert_line(finding, name)
    assert finding["phase"] == "call"
    assert finding["origin"]["how"] in ("audit", "wrap")
    assert finding["origin"]["reason"] == ""
    if kind is not None:
        assert (finding["kind"], finding["count"]) == (kind, count)


@pytest.mark.parametrize("name", [name for name, row in KNOWN.items() if row[1] == "thread"])
def test_how_the_start_of_a_thread_is_known(told, name):
    """By an audit event where Python has one, by a wrapper before 3.12; an executor by that of its `__init__`."""
    by_event = sys.version_info >= (3, 12) and name != "executor"
    assert one(told, name)["origin"]["how"] == ("audit" if by_event else "wrap")


def test_a_copy_of_what_a_fixture_has_open_is_no_fixtures(pytester, alone):
    """The line that opened a file is that of the descriptor that it gave; the test made the copy, and left it."""
    pytester.makepyfile(
        """
        import os
        import pytest

        @pytest.fixture(scope="module")
        def opened():
            number = os.open(__file__, os.O_RDONLY)
            yield number
            os.close(number)

        def test_uses(opened):
            os.close(os.dup(opened))

        def test_copies(opened):
            os.dup(opened)
        """
    )
    (finding,) = alone("--leakguard-grace=0").findings
    assert (finding["owner"]["kind"], finding["test"].partition("::")[2]) == ("test", "test_copies")
    assert finding["origin"]["line"] is None


def test_a_copy_is_told_on_the_test_that_made_it(pytester, alone):
    """No event tells of it: there is one descriptor more when the test is over."""
    pytester.makepyfile(
        """
        import os
        BEFORE = os.open(__file__, os.O_RDONLY)

        def test_opens():
            os.close(os.open(__file__, os.O_RDONLY))

        def test_copies():
            os.dup(BEFORE)

        def test_after(): pass
        """
    )
    (finding,) = alone("--leakguard-grace=0").findings
    assert (finding["test"].partition("::")[2], finding["owner"]["kind"]) == ("test_copies", "test")


def test_a_number_that_was_told_before_has_a_new_history(pytester, alone):
    """A copy that gets the number and the file of a leak that was told, and has gone since, is a leak of its own."""
    pytester.makepyfile(
        """
        import os
        KEPT = []

        def test_leaks(tmp_path):
            path = tmp_path / "a"
            path.touch()
            KEPT.extend([path, os.open(path, os.O_RDONLY)])

        def test_closes():
            os.close(KEPT[1])

        def test_copies():
            placeholder = os.open(os.devnull, os.O_RDONLY)
            with open(KEPT[0]) as file:
                os.close(placeholder)
                assert os.dup(file.fileno()) == KEPT[1]
        """
    )
    ran = alone("--leakguard-grace=0")
    assert [f["test"].partition("::")[2] for f in ran.findings] == ["test_leaks", "test_copies"]
    ran.result.assert_outcomes(passed=3)


@pytest.mark.parametrize("name", UNKNOWN)
def test_an_unknown_origin_says_why(told, name):
    """What raises no audit event has no origin but a reason, and the switch that helps."""
    finding = one(told, name)
    _, kind, count, word = UNKNOWN[name]
    assert (finding["kind"], finding["count"]) == (kind, count)
    origin = finding["origin"]
    assert (origin["how"], origin["file"], origin["line"], origin["function"]) == ("unknown", None, None, None)
    assert word in origin["reason"]
    assert "--leakguard-trace" in origin["reason"]


@pytest.mark.parametrize("name", UNKNOWN)
def test_tracing_names_the_line_that_no_event_tells(traced, name):
    """Under --leakguard-trace each of them has its line."""
    finding = one(traced, name)
    _, kind, count, _ = UNKNOWN[name]
    assert (finding["kind"], finding["count"]) == (kind, count)
    assert finding["origin"]["how"] == "trace"
    assert finding["phase"] == "call"
    assert_line(finding, name)


@pytest.mark.parametrize("name", TRACED)
def test_tracing_changes_nothing_where_an_event_tells(traced, name):
    """The same kind, count and line as without it."""
    finding = one(traced, name)
    _, kind, count = KNOWN[name]
    assert_line(finding, name)
    if kind is not None:
        assert (finding["kind"], finding["count"]) == (kind, count)


def test_nothing_else_is_told(told, traced):
    """As many findings as rows, all tests pass, no error of ours."""
    for ran, rows in ((told, [*KNOWN, *UNKNOWN]), (traced, [*TRACED, *UNKNOWN])):
        assert len(ran.report["findings"]) == len(rows)
        assert f"{len(rows)} passed" in ran.text


def test_the_text_names_the_line_and_how_it_is_known(told):
    """The "acquired" line as a reader sees it: known with its event, unknown with the reason."""
    number = line_marked(SOURCE, "open")
    told.result.stdout.fnmatch_lines(
        [
            f"  acquired  call phase, test_leaks.py:{number} in test_open  [[]audit: open[]]",
            "  acquired  unknown: pipe() raises no audit event; try --leakguard-trace*",
        ]
    )


# -- dependencies ------------------------------------------------------------------


def test_a_dependencys_line_comes_with_the_project_line_that_called_it(alone, pytester, monkeypatch):
    """The origin is the dependency's line; "called from" names the nearest line of the project."""
    packages = pytester.mkdir("lib") / "site-packages"
    (packages / "fakedep").mkdir(parents=True)
    (packages / "fakedep" / "__init__.py").write_text(
        textwrap.dedent(
            """
            import socket
            import tempfile
            import threading

            def connect(path):
                return _open(path)

            def _open(path):
                return open(path)  # open

            def folder():
                return tempfile.mkdtemp()  # folder

            def call(function):
                return function()
            """
        ),
        "utf-8",
    )
    monkeypatch.setenv("PYTHONPATH", str(packages), prepend=os.pathsep)
    monkeypatch.setenv("TMPDIR", str(pytester.mkdir("stray")))
    pytester.makepyfile(
        app="""
        import fakedep

        def load(path):
            return fakedep.connect(path)  # load
        """,
        test_dep="""
        import fakedep, app
        KEPT = []

        def test_direct():
            KEPT.append(fakedep.connect(__file__))  # direct

        def test_through_the_app():
            KEPT.append(app.load(__file__))

        def test_folder():
            fakedep.folder()  # call

        def test_back_again():
            KEPT.append(fakedep.call(lambda: open(__file__)))  # lambda
        """,
    )
    ran = alone()
    told = {finding["test"].partition("::")[2]: finding for finding in ran.findings}
    dependency = (packages / "fakedep" / "__init__.py").read_text("utf-8")
    tests = (pytester.path / "test_dep.py").read_text("utf-8")
    app = (pytester.path / "app.py").read_text("utf-8")

    def origin(test):
        origin = told[test]["origin"]
        return origin["file"], origin["line"], origin["function"], origin["via"]

    inside = ("fakedep/__init__.py", line_marked(dependency, "open"), "_open")
    direct = f"test_dep.py:{line_marked(tests, 'direct')} in test_direct"
    assert origin("test_direct") == (*inside, direct)
    assert origin("test_through_the_app") == (*inside, f"app.py:{line_marked(app, 'load')} in load")
    assert origin("test_folder") == (
        "fakedep/__init__.py",
        line_marked(dependency, "folder"),
        "folder",
        f"test_dep.py:{line_marked(tests, 'call')} in test_folder",
    )
    file, line, _, via = origin("test_back_again")
    assert (file, line, via) == ("test_dep.py", line_marked(tests, "lambda"), "")
    assert {told[test]["fingerprint"] for test in ("test_direct", "test_through_the_app")} == {
        "fd:fakedep/__init__.py:_open"
    }
    ran.result.stdout.fnmatch_lines([f"  acquired  *fakedep/__init__.py:* in _open, called from {direct}*"])


def test_a_copy_and_its_original_are_told_apart(alone, pytester):
    """One of two descriptors of a file is open()'s, the other a duplicate: only the duplicate's origin is unknown."""
    pytester.makepyfile(
        test_copy="""
        import os
        KEPT = []

        def test_both():
            KEPT.append(open(__file__))  # both
            os.dup(KEPT[-1].fileno())
        """
    )
    ran = alone()
    assert sum(finding["count"] for finding in ran.findings) == 2
    known = [finding for finding in ran.findings if finding["origin"]["how"] == "audit"]
    unknown = [finding for finding in ran.findings if finding["origin"]["how"] == "unknown"]
    assert (len(known), len(unknown)) == (1, 1)
    source = (pytester.path / "test_copy.py").read_text("utf-8")
    assert known[0]["origin"]["line"] == line_marked(source, "both")
    assert "dup" in unknown[0]["origin"]["reason"]
