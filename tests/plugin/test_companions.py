"""Together with the plugins that people combine it with, and without those of pytest's own that they leave out."""

from __future__ import annotations

import importlib.util
import json
from typing import Any

import pytest
from _pytest.config import default_plugins, essential_plugins
from forks import GUARDED, fork_runs

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
    os.mkdir(f"left-by-{os.getpid()}")

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


# companion -> the module that has to be there, its options, and a line that shows that it worked
COMPANIONS = {
    "randomly": ("pytest_randomly", ("-p", "randomly"), "Using --randomly-seed="),
    "timeout-thread": (
        "pytest_timeout",
        ("-p", "timeout", "--timeout=60", "--timeout-method=thread"),
        "timeout method: thread",
    ),
    "timeout-signal": (
        "pytest_timeout",
        ("-p", "timeout", "--timeout=60", "--timeout-method=signal"),
        "timeout method: signal",
    ),
    "rerunfailures": ("pytest_rerunfailures", ("-p", "rerunfailures", "--reruns=2"), "rerunfailures-"),
    "rerunfailures-xdist": ("pytest_rerunfailures", ("-p", "xdist", "-p", "rerunfailures", "--reruns=2"), "xdist-"),
    "cov": (
        "pytest_cov",
        # of 3.14 on coverage measures by sys.monitoring, and warns that it knows no contexts there
        (
            "-p",
            "pytest_cov",
            "--cov=.",
            "--cov-branch",
            "--cov-context=test",
            "--cov-report=xml",
            "-W",
            "ignore:Dynamic contexts",
        ),
        "coverage.xml",
    ),
    "asyncio": ("pytest_asyncio", ("-p", "asyncio", *LOOP_SCOPE), "asyncio: mode="),
    "asyncio-auto": ("pytest_asyncio", ("-p", "asyncio", "--asyncio-mode=auto", *LOOP_SCOPE), "asyncio: mode="),
    "anyio": ("anyio", ("-p", "anyio"), "anyio-"),
    "xdist": ("xdist", ("-p", "xdist", "-n0"), "xdist-"),
    "pytester": ("pytest", ("-p", "pytester"), ""),
}


def test_a_companion_changes_no_finding(pytester):
    """The same findings as without it, no error, no warning, and nothing that the companion itself keeps is told."""
    pytester.makepyfile(test_suite=SUITE)
    here = {name: row for name, row in COMPANIONS.items() if importlib.util.find_spec(row[0])}
    ran = fork_runs(pytester, {name: (*GUARDED, "-W", "error", *args) for name, (_, args, _) in here.items()})
    for name, (_, _, sign) in here.items():
        assert sign in ran[name].text, (name, ran[name].text)
        assert found(ran[name].report) == FOUND, (name, ran[name].text)
        assert ran[name].report["errors"] == [], name
        assert ran[name].report["summary"]["tests"] == 8, name
        assert ran[name].status == 1, name
        assert "8 passed" in ran[name].text, name
        assert "warning" not in ran[name].text, (name, ran[name].text)


def test_all_that_is_installed_at_once(pytester):
    """With every plugin that is installed here, and a random order, the findings are still the same."""
    pytester.makepyfile(test_suite=SUITE)
    result = pytester.runpytest("--leakguard", QUICK, "--leakguard-json=leakguard.json", *LOOP_SCOPE)
    report = json.loads((pytester.path / "leakguard.json").read_text("utf-8"))
    assert (found(report), report["errors"], report["blind"]) == (FOUND, [], {})
    result.assert_outcomes(passed=8)


def test_a_test_that_times_out_keeps_its_failure(pytester, alone):
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
    ran = alone(QUICK, "-p", "timeout")
    ran.result.assert_outcomes(failed=1, passed=2)
    ran.result.stdout.fnmatch_lines(["*Timeout*"])
    assert [(f["test"].partition("::")[2], f["kind"], f["disposition"]) for f in ran.report["findings"]] == [
        ("test_hangs", "fd", "note"),
        ("test_leaks", "fd", "fails"),
    ]


def owners(report: dict[str, Any]) -> list[tuple[str, str, str]]:
    """Owner's name and kind, and kind of leak, of all findings that fail."""
    return [finding[:3] for finding in found(report)]


def test_asyncio(pytester, alone):
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
        async def test_leaky_pending():
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
    ran = alone(QUICK, "-p", "asyncio", "-W", "error", *LOOP_SCOPE)
    assert owners(ran.report) == [
        ("shared", "fixture", "fd"),
        ("test_leaky", "test", "fd"),
        ("test_leaky_fixture", "test", "socket"),
        ("test_leaky_loop", "test", "socket"),
        ("test_leaky_module_loop", "test", "fd"),
        ("test_leaky_pending", "test", "task"),
        ("test_leaky_server", "test", "socket"),
        ("test_leaky_session_loop", "test", "fd"),
    ]
    ran.result.assert_outcomes(passed=12)
    # each at a line of the test file, also where the event loop's own code stands between
    assert {finding["origin"]["file"] for finding in ran.findings} == {"test_async.py"}


def test_anyio(pytester, alone):
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
    ran = alone(QUICK, "-p", "anyio", "-W", "error")
    assert owners(ran.report) == sorted(
        (f"{name}[{backend}]", "test", kind)
        for backend in ("asyncio", "trio")
        for name, kind in (
            ("test_leaky", "fd"),
            ("test_leaky_in_a_worker_thread", "fd"),
            ("test_leaky_listener", "socket"),
            ("test_leaky_fixture", "fd"),
        )
    )
    ran.result.assert_outcomes(passed=14)


def test_pytests_own_plugins_may_be_left_out(pytester):
    """The findings stay the same without any one of pytest's plugins, without all, and under each way to capture."""
    pytester.makepyfile(test_suite=SUITE)
    # pytest refuses to run without the essential ones, and collects nothing without python
    left_out = [name for name in default_plugins if name not in (*essential_plugins, "python")]
    assert len(left_out) > 20
    runs = {f"no:{name}": ("-p", f"no:{name}") for name in left_out}
    runs["no:all at once"] = tuple(word for name in left_out for word in ("-p", f"no:{name}"))
    runs |= {f"capture={method}": (f"--capture={method}",) for method in ("no", "fd", "sys", "tee-sys")}
    runs["error"] = ("-W", "error")
    runs["ini error"] = ("-o", "filterwarnings=error")
    ran = fork_runs(pytester, {name: (*GUARDED, *args) for name, args in runs.items()})
    for name, result in ran.items():
        assert found(result.report) == FOUND, (name, result.text)
        assert (result.report["errors"], result.report["blind"]) == ([], {}), name
        assert result.report["summary"]["tests"] == 8, name
        assert result.status == 1, (name, result.text)
        if name in ("no:terminal", "no:all at once"):  # then nothing is printed by anyone
            continue
        assert "warning" not in result.text, (name, result.text)
        assert "LEAK fd  test_suite.py::test_fd" in result.text, name
        assert "8 passed" in result.text, name


def test_without_the_plugin(pytester):
    """-p no:leakguard leaves nothing of it: no option, no fixture, no line of output."""
    pytester.makepyfile(test_suite=SUITE)
    result = pytester.runpytest("-p", "no:leakguard")
    result.assert_outcomes(passed=8)
    assert result.ret == 0
    result.stdout.no_fnmatch_line("leakguard:*")
    result = pytester.runpytest("-p", "no:leakguard", "--leakguard")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines(["*unrecognized arguments: --leakguard*"])
