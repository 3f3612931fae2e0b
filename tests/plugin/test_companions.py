"""Together with the plugins that people combine it with, and without those of pytest's own that they leave out."""

from __future__ import annotations

import json
from typing import Any

import pytest

QUICK = "--leakguard-grace=0.05"
# pytest-asyncio warns when this is unset
LOOP_SCOPE = ("-o", "asyncio_default_fixture_loop_scope=function")

SUITE = """
import os
import socket
import threading

import pytest

KEPT = []

class Node:
    pass

def leak():
    KEPT.append(os.open(os.devnull, os.O_RDONLY))

def test_fd():
    leak()

def test_socket():
    KEPT.append(socket.socket())

def test_thread():
    threading.Thread(target=threading.Event().wait, name="waits", daemon=True).start()

def test_temp():
    os.mkdir("left")

def test_unclosed_cycle():
    node = Node()
    node.itself, node.stream = node, open(os.devnull)

@pytest.fixture(scope="module")
def store():
    leak()
    yield
    leak()

def test_store(store):
    pass

def test_clean():
    with socket.socket(), open(os.devnull):
        thread = threading.Thread(target=int)
        thread.start()
        thread.join()
    os.mkdir("gone")
    os.rmdir("gone")

def test_trivial():
    pass
"""

FOUND = sorted(
    [
        ("test_fd", "test", "fd", "leak"),
        ("test_socket", "test", "socket", "test_socket"),
        ("test_thread", "test", "thread", "test_thread"),
        ("test_temp", "test", "temp", "test_temp"),
        ("test_unclosed_cycle", "test", "unclosed", "test_unclosed_cycle"),
        ("store", "fixture", "fd", "leak"),
        ("store", "fixture", "fd", "leak"),
    ]
)


def found(report: dict[str, Any]) -> list[tuple[str, str, str, str]]:
    """Owner's name and kind, kind of leak and function of the origin, of all findings that fail."""
    return sorted(
        (
            finding["owner"]["name"].rpartition("::")[2],
            finding["owner"]["kind"],
            finding["kind"],
            finding["origin"]["function"],
        )
        for finding in report["findings"]
        if finding["disposition"] == "fails"
        for _ in range(finding["count"])
    )


def suite(pytester: pytest.Pytester, *args: str) -> tuple[pytest.RunResult, dict[str, Any]]:
    """One run of the suite, with everything that a companion does by itself; warnings are errors."""
    if (pytester.path / "left").exists():
        (pytester.path / "left").rmdir()
    pytester.makepyfile(test_suite=SUITE)
    result = pytester.runpytest(
        "--leakguard", QUICK, "--leakguard-json=leakguard.json", "-W", "error", *LOOP_SCOPE, *args
    )
    return result, json.loads((pytester.path / "leakguard.json").read_text("utf-8"))


@pytest.mark.parametrize(
    ("module", "args", "sign"),
    [
        ("pytest_randomly", (), "Using --randomly-seed=*"),
        ("pytest_timeout", ("--timeout=60", "--timeout-method=thread"), "timeout method: thread"),
        ("pytest_timeout", ("--timeout=60", "--timeout-method=signal"), "timeout method: signal"),
        ("pytest_rerunfailures", ("--reruns=2",), "plugins:*rerunfailures*"),
        ("pytest_cov", ("--cov=.", "--cov-branch", "--cov-context=test", "--cov-report=xml"), "*coverage.xml"),
    ],
    ids=["randomly", "timeout-thread", "timeout-signal", "rerunfailures", "cov"],
)
def test_a_companion_changes_no_finding(pytester, module, args, sign):
    """The same findings as without it, no error, no warning, and nothing that the companion itself keeps is told."""
    pytest.importorskip(module)
    if module != "pytest_randomly":
        args = ("-p", "no:randomly", *args)
    result, report = suite(pytester, *args)
    result.stdout.fnmatch_lines([sign])
    assert found(report) == FOUND
    assert report["errors"] == []
    assert report["summary"]["tests"] == 8
    result.assert_outcomes(passed=8)
    assert result.ret == 1
    result.stdout.no_fnmatch_line("*warning*")


def test_a_test_that_times_out_keeps_its_failure(pytester, run):
    """pytest-timeout's failure stays the test's own, its leak a note, and the next test is judged alone."""
    pytest.importorskip("pytest_timeout")
    pytester.makepyfile(
        """
        import os
        import threading
        import pytest

        KEPT = []

        def leak():
            KEPT.append(os.open(os.devnull, os.O_RDONLY))

        @pytest.mark.timeout(0.1, method="signal")
        def test_hangs():
            leak()
            threading.Event().wait()

        def test_leaks():
            leak()

        def test_clean():
            pass
        """
    )
    ran = run(QUICK)
    ran.result.assert_outcomes(failed=1, passed=2)
    ran.result.stdout.fnmatch_lines(["*Timeout*"])
    assert [(f["test"].partition("::")[2], f["kind"], f["disposition"]) for f in ran.report["findings"]] == [
        ("test_hangs", "fd", "note"),
        ("test_leaks", "fd", "fails"),
    ]


def owners(report: dict[str, Any]) -> list[tuple[str, str, str]]:
    """Owner's name and kind, and kind of leak, of all findings that fail."""
    return [finding[:3] for finding in found(report)]


def test_asyncio(pytester):
    """Loops of any scope are pytest-asyncio's own; what an async test or fixture leaves in them is told on it."""
    pytest.importorskip("pytest_asyncio")
    pytester.makepyfile(
        test_async="""
        import asyncio
        import os
        import socket

        import pytest
        import pytest_asyncio

        KEPT = []
        function = pytest.mark.asyncio
        module = pytest.mark.asyncio(loop_scope="module")
        session = pytest.mark.asyncio(loop_scope="session")

        def leak():
            KEPT.append(os.open(os.devnull, os.O_RDONLY))

        async def listen():
            return await asyncio.start_server(lambda reader, writer: writer.close(), "127.0.0.1", 0)

        async def talk():
            server = await listen()
            async with server:
                reader, writer = await asyncio.open_connection(*server.sockets[0].getsockname())
                assert await reader.read() == b""
                writer.close()
                await writer.wait_closed()
            assert await asyncio.to_thread(len, "abc") == 3

        @function
        async def test_leaky():
            leak()

        @function
        async def test_leaky_server():
            KEPT.append(await listen())

        @function
        async def test_leaky_loop():
            KEPT.append(asyncio.new_event_loop())

        @function
        async def test_clean():
            await talk()

        @function
        async def test_clean_pending():
            asyncio.create_task(asyncio.Event().wait())
            await asyncio.sleep(0)

        @pytest_asyncio.fixture
        async def server():
            server = await listen()
            yield server
            server.close()
            await server.wait_closed()

        @pytest_asyncio.fixture
        async def leaky_server():
            yield
            KEPT.append(await listen())

        @function
        async def test_clean_fixture(server):
            pass

        @function
        async def test_leaky_fixture(leaky_server):
            pass

        @pytest_asyncio.fixture(loop_scope="module", scope="module")
        async def shared():
            server = await listen()
            leak()
            yield server
            server.close()
            await server.wait_closed()

        @module
        async def test_shared(shared):
            pass

        @module
        async def test_leaky_module_loop(shared):
            leak()

        @session
        async def test_clean_session_loop():
            await talk()

        @session
        async def test_leaky_session_loop():
            leak()

        @session
        async def test_again_clean():
            await talk()
        """
    )
    result = pytester.runpytest(
        "--leakguard", QUICK, "--leakguard-json=leakguard.json", "-p", "no:randomly", "-W", "error", *LOOP_SCOPE
    )
    report = json.loads((pytester.path / "leakguard.json").read_text("utf-8"))
    assert owners(report) == [
        ("shared", "fixture", "fd"),
        ("test_leaky", "test", "fd"),
        ("test_leaky_fixture", "test", "socket"),
        ("test_leaky_loop", "test", "socket"),
        ("test_leaky_module_loop", "test", "fd"),
        ("test_leaky_server", "test", "socket"),
        ("test_leaky_session_loop", "test", "fd"),
    ]
    assert report["errors"] == []
    result.assert_outcomes(passed=12)
    # each at a line of the test file, also where the event loop's own code stands between
    assert {finding["origin"]["file"] for finding in report["findings"]} == {"test_async.py"}


def test_anyio(pytester):
    """Both backends of anyio, their worker threads and their runners are clean; leaks are told for each backend."""
    pytest.importorskip("trio")
    pytester.makepyfile(
        test_anyio="""
        import os

        import anyio
        import pytest

        KEPT = []
        pytestmark = pytest.mark.anyio

        @pytest.fixture(params=["asyncio", "trio"])
        def anyio_backend(request):
            return request.param

        def leak():
            KEPT.append(os.open(os.devnull, os.O_RDONLY))

        async def test_leaky():
            leak()

        async def test_leaky_in_a_worker_thread():
            await anyio.to_thread.run_sync(leak)

        async def test_leaky_listener():
            KEPT.append(await anyio.create_tcp_listener(local_host="127.0.0.1"))

        async def test_clean(tmp_path):
            async with await anyio.open_file(tmp_path / "a.txt", "w") as stream:
                await stream.write("a")
            async with await anyio.create_tcp_listener(local_host="127.0.0.1") as listener:
                port = listener.extra(anyio.abc.SocketAttribute.local_port)
                async with await anyio.connect_tcp("127.0.0.1", port):
                    pass

        async def test_clean_worker_thread():
            assert await anyio.to_thread.run_sync(len, "abc") == 3

        @pytest.fixture
        async def listener():
            async with await anyio.create_tcp_listener(local_host="127.0.0.1") as listener:
                yield listener

        @pytest.fixture
        async def leaky_end():
            yield
            leak()

        async def test_clean_fixture(listener):
            pass

        async def test_leaky_fixture(leaky_end):
            pass
        """
    )
    result = pytester.runpytest(
        "--leakguard", QUICK, "--leakguard-json=leakguard.json", "-p", "no:randomly", "-W", "error", *LOOP_SCOPE
    )
    report = json.loads((pytester.path / "leakguard.json").read_text("utf-8"))
    assert owners(report) == sorted(
        (f"{name}[{backend}]", "test", kind)
        for backend in ("asyncio", "trio")
        for name, kind in (
            ("test_leaky", "fd"),
            ("test_leaky_in_a_worker_thread", "fd"),
            ("test_leaky_listener", "socket"),
            ("test_leaky_fixture", "fd"),
        )
    )
    assert report["errors"] == []
    result.assert_outcomes(passed=14)


# one process imports everything once, then forks for each run
FORKS = """
import importlib
import json
import os
import sys

import pytest
import pytest_leakguard.plugin.activate
from _pytest.config import default_plugins, essential_plugins

for name in default_plugins:
    importlib.import_module(f"_pytest.{name}")

# pytest refuses to run without the essential ones, and collects nothing without python
left_out = [name for name in default_plugins if name not in (*essential_plugins, "python")]
runs = {f"no:{name}": ["-p", f"no:{name}"] for name in left_out}
runs["no:all at once"] = [word for name in left_out for word in ("-p", f"no:{name}")]
runs |= {f"capture={method}": [f"--capture={method}"] for method in ("no", "fd", "sys", "tee-sys")}
runs["-W error"] = ["-W", "error"]
runs["filterwarnings"] = ["-o", "filterwarnings=error"]
runs["plain"] = []

results = {}
for number, (name, args) in enumerate(runs.items()):
    child = os.fork()
    if not child:
        output = os.open(f"{number}.txt", os.O_CREAT | os.O_WRONLY)
        os.dup2(output, 1), os.dup2(output, 2), os.close(output)
        status = pytest.main(["-p", "leakguard", "--leakguard", "--leakguard-grace=0.05",
                              f"--leakguard-json={number}.json", "test_suite.py", *args])
        sys.stdout.flush(), sys.stderr.flush()
        os._exit(status)
    status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    if os.path.isdir("left"):
        os.rmdir("left")
    with open(f"{number}.txt") as text:
        results[name] = {"status": status, "text": text.read(), "report": None}
    if os.path.exists(f"{number}.json"):
        with open(f"{number}.json") as report:
            results[name]["report"] = json.load(report)

with open("results.json", "w") as file:
    json.dump(results, file)
"""


def test_pytests_own_plugins_may_be_left_out(pytester, monkeypatch):
    """The findings stay the same without any one of pytest's plugins, without all, and under each way to capture."""
    monkeypatch.setenv("PYTEST_DISABLE_PLUGIN_AUTOLOAD", "1")
    pytester.makepyfile(test_suite=SUITE, forks=FORKS)
    driver = pytester.runpython(pytester.path / "forks.py")
    assert driver.ret == 0, driver.stderr.str()
    results = json.loads((pytester.path / "results.json").read_text("utf-8"))
    assert len(results) > 25
    for name, result in results.items():
        assert result["report"] is not None, (name, result["text"])
        assert found(result["report"]) == FOUND, name
        assert (result["report"]["errors"], result["report"]["blind"]) == ([], {}), name
        assert result["report"]["summary"]["tests"] == 8, name
        assert result["status"] == 1, (name, result["text"])
        if "no:terminal" in name or name == "no:all at once":
            continue
        assert "warning" not in result["text"], (name, result["text"])
        assert "LEAK fd  test_suite.py::test_fd" in result["text"], name
        assert "8 passed" in result["text"], name


def test_without_the_plugin(pytester):
    """-p no:leakguard leaves nothing of it: no option, no fixture, no line of output."""
    pytester.makepyfile(test_suite=SUITE)
    result = pytester.runpytest("-p", "no:leakguard", "-p", "no:randomly")
    result.assert_outcomes(passed=8)
    assert result.ret == 0
    result.stdout.no_fnmatch_line("leakguard:*")
    result = pytester.runpytest("-p", "no:leakguard", "--leakguard")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines(["*unrecognized arguments: --leakguard*"])
