"""What a test acquires and a wider fixture may still release is judged when that fixture is over."""

from __future__ import annotations

from functools import partial

import pytest
from twins import line_marked

# writes down what was told when: the leaks, and the end of each test
DIARY = """
import pytest

DIARY = []

def pytest_leakguard_leak(finding):
    DIARY.append(f"leak {finding['test']}")

def pytest_runtest_logfinish(nodeid):
    DIARY.append(f"end {nodeid}")

def pytest_unconfigure(config):
    (config.rootpath / "diary.txt").write_text("\\n".join(DIARY))
"""


@pytest.fixture
def run(alone, pytester, monkeypatch):
    """Without patience: nothing here goes by itself. Stray files stay below the test's own folder."""
    monkeypatch.setenv("TMPDIR", str(pytester.mkdir("stray")))
    return partial(alone, "--leakguard-grace=0.05")


@pytest.fixture
def diary(pytester):
    """What happened in which order: "leak <test>" and "end <test>"."""
    return lambda: (pytester.path / "diary.txt").read_text("utf-8").splitlines()


def by_test(findings):
    """Name of the test -> its findings."""
    told: dict[str, list[dict]] = {}
    for finding in findings:
        told.setdefault(finding["test"].rpartition("::")[2], []).append(finding)
    return told


# -- pools -------------------------------------------------------------------------

POOL = """
import socket, tempfile, threading, subprocess, sys, os

class Pool:
    '''Connects when it is first asked, and keeps what it has opened.'''

    def __init__(self):
        self.kept = {}

    def get(self, what):
        if what not in self.kept:
            self.kept[what] = getattr(self, what)()
        return self.kept[what]

    def connection(self):
        return socket.socketpair()

    def log(self):
        return open(__file__)

    def worker(self):
        timer = threading.Timer(600, int)
        timer.daemon = True
        timer.start()
        return timer

    def helper(self):
        return subprocess.Popen([sys.executable, "-S", "-c", "import sys; sys.stdin.read()"], stdin=-1)

    def folder(self):
        return tempfile.mkdtemp()

    def raw(self):
        return os.open(__file__, os.O_RDONLY)

    def close(self):
        close = {
            "connection": lambda pair: [end.close() for end in pair],
            "log": lambda file: file.close(),
            "worker": lambda timer: (timer.cancel(), timer.join()),
            "helper": lambda child: child.communicate(),
            "folder": os.rmdir,
            "raw": os.close,
        }
        while self.kept:
            what, it = self.kept.popitem()
            close[what](it)
"""

KIND_OF = {
    "connection": "socket",
    "log": "fd",
    "worker": "thread",
    "helper": "process",
    "folder": "temp",
    "raw": "fd",
}


def pool_tests(scope: str, leaky: bool) -> str:
    """Tests that ask a pool behind a fixture, and others that come after."""
    close = "KEPT.append(pool.kept)" if leaky else "pool.close()"
    tests = "\n".join(
        f"    def test_{what}(self, pool):\n        pool.get('{what}')\n" for what in KIND_OF
    )  # fmt: skip
    return f"""
import pytest
from pool import Pool

KEPT = []

@pytest.fixture(scope="{scope}")
def pool():
    pool = Pool()
    yield pool
    {close}

class TestUse:
{tests}
    def test_uses_again(self, pool):
        pool.get("connection"), pool.get("log")

    def test_without(self):
        pass

def test_last():
    pass
"""


@pytest.fixture
def pools(pytester):
    """A project with leaky or clean pools of three scopes."""

    def pools(leaky: bool) -> None:
        pytester.makepyfile(pool=POOL, conftest=DIARY)
        for scope in ("class", "module", "session"):
            (pytester.path / f"test_{scope}.py").write_text(pool_tests(scope, leaky), "utf-8")

    return pools


def test_what_a_pool_opened_lazily_and_closed_at_its_end_is_never_mentioned(pools, run):
    """A clean pool of class, module or session scope: no finding, whichever kind it opened in whichever test."""
    pools(leaky=False)
    ran = run()
    assert ran.result.ret == 0
    assert ran.report["findings"] == []


def test_what_a_pool_never_closed_is_the_leak_of_the_test_that_had_it_opened(pools, run, diary, pytester):
    """Told once, at the end of the pool, with the id of the test that opened it and the line in the pool."""
    pools(leaky=True)
    ran = run()
    assert ran.report["summary"]["leaks"] == sum(finding["count"] for finding in ran.findings) > len(ran.findings)
    lines = diary()
    source = (pytester.path / "pool.py").read_text("utf-8").splitlines()
    for scope, last in (
        ("class", "test_class.py::TestUse::test_without"),
        ("module", "test_module.py::test_last"),
        ("session", "test_session.py::test_last"),
    ):
        told = by_test(finding for finding in ran.findings if finding["test"].startswith(f"test_{scope}.py"))
        assert sorted(told) == sorted(f"test_{what}" for what in KIND_OF)
        for what, kind in KIND_OF.items():
            (finding,) = told[f"test_{what}"]
            assert (finding["kind"], finding["phase"]) == (kind, "call")
            assert finding["count"] == (2 if what == "connection" else 1)
            assert finding["owner"]["kind"] == "test"
            assert f"fixture 'pool' ({scope} scope) might have released it" in finding["due"]
            assert finding["origin"]["file"] == "pool.py"
            assert finding["origin"]["function"].rpartition(".")[2] == what
            assert f"def {what}" in "".join(source[finding["origin"]["line"] - 5 : finding["origin"]["line"]])
            # not before the end of the pool's last test
            before = lines[: lines.index(f"leak test_{scope}.py::TestUse::test_{what}")]
            assert f"end {last}" not in before
            earlier = {"class": "TestUse::test_uses_again"}.get(scope, "TestUse::test_without")
            assert f"end test_{scope}.py::{earlier}" in before


GLOBAL_POOL = """
import pool as pools
import pytest

POOL = pools.Pool()

@pytest.fixture(scope="session", autouse=True)
def close_at_the_end():
    yield
    {close}
"""


@pytest.mark.parametrize("leaky", [False, True], ids=["clean", "leaky"])
def test_a_pool_behind_a_module_global_is_released_by_the_fixture_that_names_it(pytester, run, leaky):
    """An autouse session fixture reaches the pool through the globals of its code; leaky: it drops nothing."""
    pytester.makepyfile(
        pool=POOL,
        conftest=GLOBAL_POOL.format(close="list(POOL.kept)" if leaky else "POOL.close()"),
        test_it="""
        from conftest import POOL

        def test_connection():
            POOL.get("connection")

        def test_log():
            POOL.get("log")

        def test_worker():
            POOL.get("worker")

        def test_folder():
            POOL.get("folder")

        def test_last(): pass
        """,
    )
    ran = run()
    told = {test: [finding["kind"] for finding in findings] for test, findings in by_test(ran.findings).items()}
    expected = {"test_connection": ["socket"], "test_log": ["fd"], "test_worker": ["thread"], "test_folder": ["temp"]}
    assert told == (expected if leaky else {})
    assert len(ran.report["findings"]) == len(told)


@pytest.mark.parametrize("leaky", [False, True], ids=["clean", "leaky"])
def test_a_pool_in_another_module_is_reached_through_a_function(pytester, run, leaky):
    """The fixture calls a function of the application that empties a global of the application."""
    pytester.makepyfile(
        pool=POOL,
        app=f"""
        from pool import Pool
        _pool = None

        def get():
            global _pool
            if _pool is None:
                _pool = Pool()
            return _pool

        def shutdown():
            if _pool is not None:
                {"len(_pool.kept)" if leaky else "_pool.close()"}
        """,
        conftest="""
        import app
        import pytest

        @pytest.fixture(scope="session", autouse=True)
        def application():
            yield
            app.shutdown()
        """,
        test_it="""
        import app

        def test_connection():
            app.get().get("connection")

        def test_log():
            app.get().get("log")

        def test_last(): pass
        """,
    )
    ran = run()
    told = {test: [finding["kind"] for finding in findings] for test, findings in by_test(ran.findings).items()}
    assert told == ({"test_connection": ["socket"], "test_log": ["fd"]} if leaky else {})
    assert all("fixture 'application' (session scope)" in finding["due"] for finding in ran.findings)


# -- threads -----------------------------------------------------------------------


@pytest.mark.parametrize("leaky", [False, True], ids=["clean", "leaky"])
def test_the_workers_of_a_session_executor_wait_for_its_end(pytester, run, leaky):
    """Workers are started by the tests that submit; shut down at the end of the session they are no leak."""
    pytester.makepyfile(
        conftest=f"""
        import pytest
        from concurrent.futures import ThreadPoolExecutor

        KEPT = []

        @pytest.fixture(scope="session")
        def executor():
            executor = ThreadPoolExecutor(4)
            yield executor
            {"KEPT.append(executor)" if leaky else "executor.shutdown()"}
        """,
        test_it="""
        from threading import Barrier

        def test_one(executor):
            executor.submit(int).result()

        def test_three(executor):
            together = Barrier(3)
            for future in [executor.submit(together.wait) for _ in range(3)]:
                future.result()

        def test_last(): pass
        """,
    )
    ran = run()
    if not leaky:
        assert ran.report["findings"] == []
        return
    (finding,) = ran.findings
    assert (finding["kind"], finding["owner"]["name"], finding["count"]) == ("thread", "executor", 1)
    assert "3 threads" in finding["what"]
    assert "end of session scope" in finding["due"]
    assert finding["origin"]["file"] == "conftest.py"
    assert "shut it down" in finding["fix"]


def server(end: str) -> str:
    """A session-scoped server whose thread accepts while tests run; `end` is its teardown."""
    return f"""
import socket, threading
import pytest

KEPT = []

class Server:
    def __init__(self):
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.accepted = []
        self.news = threading.Semaphore(0)
        self.thread = threading.Thread(target=self.serve, daemon=True)
        self.thread.start()

    def serve(self):
        while True:
            connection, _ = self.listener.accept()  # accept
            if not connection.recv(1):
                connection.close()
                return
            self.accepted.append(connection)
            self.news.release()

    def connect(self):
        with socket.create_connection(self.listener.getsockname()) as client:
            client.sendall(b"x")
            assert self.news.acquire(timeout=10)

    def stop(self):
        socket.create_connection(self.listener.getsockname()).close()
        self.thread.join()
        self.listener.close()

@pytest.fixture(scope="session")
def server():
    server = Server()
    yield server
    server.stop()
    {end}
"""


SERVER_TESTS = """
def test_one(server):
    server.connect()

def test_two(server):
    server.connect()

def test_without(): pass

def test_last(server): pass
"""


def test_what_a_session_server_accepts_during_tests_is_the_fixtures(pytester, run):
    """Closed with the server, nobody hears of it."""
    pytester.makepyfile(conftest=server("[c.close() for c in server.accepted]"), test_it=SERVER_TESTS)
    ran = run()
    ran.result.assert_outcomes(passed=4)
    assert ran.report["findings"] == []


def test_what_a_session_server_accepted_and_never_closed_is_the_fixtures_leak(pytester, run):
    """The fixture is blamed, not the tests that connected; the line is the one that accepts."""
    pytester.makepyfile(conftest=server("KEPT.append(server.accepted)"), test_it=SERVER_TESTS)
    ran = run()
    (finding,) = ran.report["findings"]
    assert (finding["kind"], finding["count"], finding["disposition"]) == ("socket", 2, "fails")
    owner = finding["owner"]
    assert (owner["kind"], owner["scope"], owner["name"]) == ("fixture", "session", "server")
    assert finding["test"] == "test_it.py::test_one"
    source = (pytester.path / "conftest.py").read_text("utf-8")
    assert (finding["origin"]["file"], finding["origin"]["line"]) == ("conftest.py", line_marked(source, "accept"))


def test_what_a_session_servers_handler_threads_leave_is_the_fixtures(pytester, run):
    """socketserver starts a thread for each connection: what such a thread opens belongs to the server's fixture."""
    conftest = """
    import socketserver, threading
    import pytest

    KEPT = []

    class Handler(socketserver.StreamRequestHandler):
        def handle(self):
            line = self.rfile.readline()
            if line == b"leak\\n":
                KEPT.append(open(__file__))  # handler
            self.wfile.write(line)

    @pytest.fixture(scope="session")
    def server():
        with socketserver.ThreadingTCPServer(("127.0.0.1", 0), Handler) as server:
            thread = threading.Thread(target=server.serve_forever, args=(0.01,))
            thread.start()
            yield server.server_address
            server.shutdown()
            thread.join()
    """
    pytester.makepyfile(
        conftest=conftest,
        test_it="""
        import socket

        def ask(address, line):
            with socket.create_connection(address) as client, client.makefile("rwb") as stream:
                stream.write(line)
                stream.flush()
                assert stream.readline() == line

        def test_clean(server):
            ask(server, b"hello\\n")

        def test_leaky(server):
            ask(server, b"leak\\n")

        def test_last(): pass
        """,
    )
    ran = run()
    (finding,) = ran.report["findings"]
    assert (finding["kind"], finding["owner"]["kind"], finding["owner"]["name"]) == ("fd", "fixture", "server")
    source = (pytester.path / "conftest.py").read_text("utf-8")
    assert finding["origin"]["line"] == line_marked(source, "handler")


# -- parked ------------------------------------------------------------------------


@pytest.mark.parametrize("leaky", [False, True], ids=["clean", "leaky"])
def test_what_a_function_fixture_parks_in_a_session_object_waits_for_that(pytester, run, leaky):
    """The parked thing is the test's; the session fixture that releases it decides."""
    pytester.makepyfile(
        conftest=f"""
        import pytest, socket

        KEPT = []

        class Registry:
            def __init__(self):
                self.entries = []

        @pytest.fixture(scope="session")
        def registry():
            registry = Registry()
            yield registry
            {"KEPT.extend(registry.entries)" if leaky else "[entry.close() for entry in registry.entries]"}

        @pytest.fixture
        def entry(registry):
            entry = socket.socket()  # entry
            registry.entries.append(entry)
            return entry
        """,
        test_it="""
        def test_one(entry): pass

        def test_two(entry): pass

        def test_other(): pass
        """,
    )
    ran = run()
    if not leaky:
        assert ran.report["findings"] == []
        return
    told = by_test(ran.findings)
    assert sorted(told) == ["test_one", "test_two"]
    source = (pytester.path / "conftest.py").read_text("utf-8")
    for (finding,) in told.values():
        assert (finding["kind"], finding["phase"], finding["owner"]["kind"]) == ("socket", "setup", "test")
        assert finding["origin"]["line"] == line_marked(source, "entry")
        assert "fixture 'registry' (session scope) might have released it" in finding["due"]


def test_a_number_that_is_free_again_says_nothing_of_what_had_it(pytester, run):
    """What waited for a fixture is closed; the same file under the same number is the next test's own."""
    pytester.makepyfile(
        test_it="""
        import os
        import pytest

        KEPT = []

        @pytest.fixture(scope="module")
        def pool():
            held = []
            yield held
            for number in held:
                os.close(number)

        def test_opens(pool):
            pool.append(os.open(__file__, os.O_RDONLY))

        def test_closes(pool):
            os.close(pool.pop())

        def test_leaks():
            KEPT.append(os.open(__file__, os.O_RDONLY))

        def test_last(pool):
            pass
        """
    )
    (finding,) = run().report["findings"]
    assert finding["test"] == "test_it.py::test_leaks"


def test_a_verdict_waits_for_the_narrowest_fixture_that_reaches(pytester, run, diary):
    """Held by a class-scoped and a session-scoped object: judged at the end of the class, or of the session."""
    pytester.makepyfile(
        conftest=DIARY
        + """
import socket

@pytest.fixture(scope="session")
def everything():
    kept = []
    yield kept
    for one in kept:
        one.close()

@pytest.fixture(scope="class")
def few():
    yield []

@pytest.fixture(scope="class")
def lent(everything):
    held = []
    yield held
    everything[:] = [one for one in everything if one not in held]

@pytest.fixture(scope="class")
def both(everything):
    held = []
    yield held
    everything.extend(held)
""",
        test_it="""
        import socket
        KEPT = []

        class TestIt:
            def test_few(self, everything, few):
                few.append(socket.socket())
                KEPT.append(few[0])

            def test_lent(self, everything, lent):
                lent.append(socket.socket())
                everything.append(lent[0])
                KEPT.append(lent[0])

            def test_handed_on(self, both):
                both.append(socket.socket())

            def test_other(self): pass

        def test_last(): pass
        """,
    )
    ran = run()
    names = ["test_it.py::TestIt::test_few", "test_it.py::TestIt::test_lent"]
    assert [finding["test"] for finding in ran.report["findings"]] == names
    lines = diary()
    for name in names:
        assert lines.index(f"leak {name}") < lines.index("end test_it.py::TestIt::test_other")


HOLDERS = {
    "exit_stack": (
        "stack = contextlib.ExitStack()",
        "stack.enter_context(one)",
        "stack.close()",
    ),
    "entered_generator": (
        "stack = contextlib.ExitStack()\n@contextlib.contextmanager\ndef around(one):\n    yield\n    one.close()",
        "stack.enter_context(around(one))",
        "stack.close()",
    ),
    "lru_cache": (
        "@functools.lru_cache(None)\ndef connect():\n    return socket.socket()",
        "connect()",
        "connect().close()",
    ),
    "class_attribute": (
        "class App:\n    shared = []\n    @classmethod\n    def stop(cls):\n        cls.shared.pop().close()",
        "App.shared.append(one)",
        "App.stop()",
    ),
    "thread_local": (
        "LOCAL = threading.local()",
        "LOCAL.one = one",
        "LOCAL.one.close()",
    ),
    "weak_set": (
        "ALL = weakref.WeakSet()",
        "ALL.add(one), globals().update(strong=one)",
        "[one.close() for one in ALL]",
    ),
    "context_variable": (
        "CURRENT = contextvars.ContextVar('CURRENT')",
        "CURRENT.set(one)",
        "CURRENT.get().close()",
    ),
    "queue": (
        "IDLE = queue.LifoQueue()",
        "IDLE.put(one)",
        "IDLE.get().close()",
    ),
    "callback": (
        "AT_END = []",
        "AT_END.append(functools.partial(socket.socket.close, one))",
        "AT_END.pop()()",
    ),
    "slots": (
        "@dataclasses.dataclass(slots=True)\nclass Box:\n    one: object = None\nBOX = Box()",
        "setattr(BOX, 'one', one)",
        "BOX.one.close()",
    ),
    "finalizer": (
        "class Owner: pass\nOWNERS = [Owner()]",
        "weakref.finalize(OWNERS[0], one.close)",
        "OWNERS.clear()",
    ),
    "exit_handlers": (
        "import logging\nLOG = logging.getLogger('app')",
        "LOG.addHandler(logging.FileHandler(os.devnull))",
        "[(LOG.removeHandler(one), one.close()) for one in LOG.handlers[:]]",
    ),
}


def holder_tests(name: str, *, leaky: bool) -> str:
    """A module fixture that releases what a test put in a holder that the fixture only names."""
    define, put, release = HOLDERS[name]
    body = "if not LEAKY:\n        " + release
    acquire = "one = socket.socket()" if "one" in put else ""
    return f"""
import contextlib, contextvars, dataclasses, functools, os, queue, socket, threading, weakref
import pytest

LEAKY = {leaky}
{define}

@pytest.fixture(scope="module")
def application():
    yield
    {body}

def test_{name}(application):
    {acquire}
    {put}

def test_{name}_after(application): pass
"""


def test_the_fixture_may_hold_it_in_any_way(pytester, run):
    """Stacks, caches, class attributes, weak sets, context variables and more: released in time, not a word."""
    for name in HOLDERS:
        (pytester.path / f"test_{name}.py").write_text(holder_tests(name, leaky=False), "utf-8")
    ran = run()
    ran.result.assert_outcomes(passed=2 * len(HOLDERS))
    assert by_test(ran.report["findings"]) == {}


def test_whatever_holds_it_a_leak_is_told_after_the_fixture(pytester, run):
    """The same, never released: each is the leak of its test, told once."""
    for name in HOLDERS:
        (pytester.path / f"test_{name}.py").write_text(holder_tests(name, leaky=True), "utf-8")
    ran = run()
    told = by_test(ran.report["findings"])
    assert sorted(told) == sorted(f"test_{name}" for name in HOLDERS)
    assert [test for test, findings in told.items() if len(findings) > 1] == []


@pytest.mark.parametrize("leaky", [False, True], ids=["clean", "leaky"])
def test_a_value_that_closes_when_it_dies_is_waited_for(pytester, run, leaky):
    """A fixture without a teardown of its own holds by its value: that dies with the fixture."""
    pytester.makepyfile(
        f"""
        import pytest, socket

        KEPT = []

        class Pool:
            def __init__(self):
                self.kept = []

            def __del__(self):
                {"KEPT.extend(self.kept)" if leaky else "[one.close() for one in self.kept]"}

        @pytest.fixture(scope="module")
        def pool():
            return Pool()

        def test_one(pool):
            pool.kept.append(socket.socket())

        def test_two(pool): pass
        """
    )
    ran = run()
    assert list(by_test(ran.report["findings"])) == (["test_one"] if leaky else [])


# -- no delay ----------------------------------------------------------------------


def test_a_fixture_that_cannot_reach_a_leak_does_not_delay_its_verdict(pytester, run, diary):
    """Autouse session fixtures with a teardown, a value or both: a leak they can't reach is told at once."""
    pytester.makepyfile(
        conftest=DIARY
        + """
STATE = {"database": object()}

@pytest.fixture(scope="session", autouse=True)
def with_teardown():
    STATE["up"] = True
    yield
    STATE.clear()

@pytest.fixture(scope="session", autouse=True)
def with_value():
    return {"settings": [1, 2, 3]}

@pytest.fixture(scope="session", autouse=True)
def with_both(tmp_path_factory, pytestconfig, request):
    value = {"path": tmp_path_factory.mktemp("data")}
    request.addfinalizer(value.clear)
    return value
""",
        test_it="""
        import subprocess, sys, socket, threading
        KEPT = []

        def test_file():
            KEPT.append(open(__file__))

        def test_socket():
            KEPT.append(socket.socket())

        def test_thread():
            KEPT.append(threading.Timer(600, int))
            KEPT[-1].daemon = True
            KEPT[-1].start()

        def test_process():
            KEPT.append(subprocess.Popen([sys.executable, "-S", "-c", "import sys; sys.stdin.read()"], stdin=-1))

        def test_last(): pass
        """,
    )
    ran = run()
    assert sorted(by_test(ran.findings)) == ["test_file", "test_process", "test_socket", "test_thread"]
    assert not any("might have released" in finding["due"] for finding in ran.findings)
    lines = diary()
    for kind in ("file", "socket", "thread", "process"):
        test = f"test_it.py::test_{kind}"
        assert lines.index(f"leak {test}") < lines.index(f"end {test}")


# -- the end comes early -----------------------------------------------------------

EARLY = """
import pytest, socket

KEPT = []

@pytest.fixture(scope="session")
def pool():
    pool = []
    yield pool
    {end}

def test_one(pool):
    pool.append(socket.socket())

def test_two(pool):
    pool.append(socket.socket())

def test_stops(pool):
    {stop}

def test_never(pool):
    pass
"""

STOPS = {"-x": "assert 0", "interrupt": "raise KeyboardInterrupt", "exit": "pytest.exit('enough')"}


@pytest.mark.parametrize("leaky", [False, True], ids=["clean", "leaky"])
@pytest.mark.parametrize("how", STOPS)
def test_pending_verdicts_are_told_when_the_run_stops_early(pytester, run, how, leaky):
    """-x, Ctrl-C or pytest.exit in mid-session: what waited for the session fixture is judged at its teardown."""
    end = "KEPT.extend(pool)" if leaky else "[one.close() for one in pool]"
    pytester.makepyfile(test_it=EARLY.format(end=end, stop=STOPS[how]))
    ran = run(*(["-x"] if how == "-x" else []))
    assert ran.result.ret == {"-x": 1, "interrupt": 2, "exit": 2}[how]
    assert sorted(by_test(ran.report["findings"])) == (["test_one", "test_two"] if leaky else [])
    assert all(finding["disposition"] == "fails" for finding in ran.report["findings"])
    assert ran.report["summary"]["leaks"] == (2 if leaky else 0)
    if leaky:
        ran.result.stdout.fnmatch_lines(["*= leaks =*", "LEAK socket *test_one*", "leakguard: *2 leaks*"])
    else:
        ran.result.stdout.fnmatch_lines(["leakguard: *0 leaks*"])
