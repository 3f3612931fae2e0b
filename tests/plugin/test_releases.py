"""`leak_check.releases`: each way of leaving a manager that leaks is named, and a manager that doesn't is passed."""

from __future__ import annotations

import re

import pytest

MANAGERS = '''
import asyncio
import contextlib
import os
import threading


class SecondAcquisition:
    """ways: open failed (acquire:managers.py:SecondAcquisition.__enter__:open#2)"""
    def __enter__(self):
        self.first = os.open(__file__, os.O_RDONLY)  # leaks
        self.second = os.open(__file__, os.O_RDONLY)
    def __exit__(self, *error):
        try:
            os.close(self.second)
        finally:
            os.close(self.first)

class FirstRelease:
    """ways: close failed (release:managers.py:FirstRelease.__exit__:close#1)"""
    def __enter__(self):
        with contextlib.ExitStack() as stack:
            self.first = os.open(__file__, os.O_RDONLY)  # leaks
            stack.callback(os.close, self.first)
            self.second = os.open(__file__, os.O_RDONLY)
            stack.pop_all()
    def __exit__(self, *error):
        os.close(self.second)
        os.close(self.first)

class NormalExit:
    """ways: a normal exit"""
    def __enter__(self):
        self.fd = os.open(__file__, os.O_RDONLY)  # leaks
    def __exit__(self, kind, *error):
        if kind is not None:
            os.close(self.fd)

@contextlib.contextmanager
def exception_only():
    """ways: KeyboardInterrupt in the body, GeneratorExit in the body, CancelledError in the body"""
    fd = os.open(__file__, os.O_RDONLY)  # leaks
    try:
        yield
    except Exception:
        os.close(fd)
        raise
    os.close(fd)

class SecondUse:
    """ways: a second use"""
    used = False
    def __enter__(self):
        self.fd = os.open(__file__, os.O_RDONLY)  # leaks
        if self.used:
            raise RuntimeError("only once")
        self.used = True
    def __exit__(self, *error):
        os.close(self.fd)

class AsyncSecondAcquisition:
    """ways: open failed (acquire:managers.py:AsyncSecondAcquisition.__aenter__:open#2)"""
    async def __aenter__(self):
        self.first = os.open(__file__, os.O_RDONLY)  # leaks
        await asyncio.sleep(0)
        self.second = os.open(__file__, os.O_RDONLY)
    async def __aexit__(self, *error):
        try:
            os.close(self.second)
        finally:
            os.close(self.first)

@contextlib.asynccontextmanager
async def async_exception_only():
    """ways: KeyboardInterrupt in the body, GeneratorExit in the body, CancelledError in the body"""
    fd = os.open(__file__, os.O_RDONLY)  # leaks
    try:
        yield
    except Exception:
        os.close(fd)
        raise
    os.close(fd)

class AsyncTask:
    """ways: an error in the body"""
    async def __aenter__(self):
        self.task = asyncio.get_running_loop().create_task(asyncio.sleep(30))  # leaks
    async def __aexit__(self, kind, *error):
        if kind is None or not issubclass(kind, Exception):
            self.task.cancel()


class Clean:
    def __enter__(self):
        with contextlib.ExitStack() as stack:
            for _ in range(3):
                stack.callback(os.close, os.open(__file__, os.O_RDONLY))
            self.stack = stack.pop_all()
    def __exit__(self, *error):
        self.stack.close()

class CleanOnce:
    """Refuses a second use before it has acquired anything."""
    used = False
    def __enter__(self):
        if self.used:
            raise RuntimeError("only once")
        self.used = True
        self.file = open(__file__)
    def __exit__(self, *error):
        self.file.close()

@contextlib.contextmanager
def clean_generator():
    with open(__file__) as file:
        yield file

@contextlib.asynccontextmanager
async def clean_async_generator():
    with open(__file__) as file:
        await asyncio.sleep(0)
        yield file

class CleanInALoop:
    """Can only be made in a loop."""
    def __init__(self):
        self.loop = asyncio.get_running_loop()
    async def __aenter__(self):
        self.file = open(__file__)
    async def __aexit__(self, *error):
        self.file.close()

class CleanFalsy(Clean):
    def __len__(self):
        return 0

def clean_lock():
    return threading.Lock()
'''

TESTS = """
import managers
import pytest
from pytest_leakguard import LeakError

LEAKY = [value for value in vars(managers).values() if "ways: " in (getattr(value, "__doc__", "") or "")]
CLEAN = [value for name, value in vars(managers).items() if name.lower().startswith("clean")]

@pytest.mark.parametrize("factory", LEAKY, ids=lambda factory: factory.__name__)
def test_leaky(leak_check, factory):
    leak_check.releases(factory)

@pytest.mark.parametrize("factory", CLEAN, ids=lambda factory: factory.__name__)
def test_clean(leak_check, factory):
    result = leak_check.releases(factory)
    print("POINTS", factory.__name__, sum(point.family == "acquire" for point in result.points))
"""

LEAKY = dict(re.findall(r'^(?:class|def|async def) (\w+).*\n    """ways: (.*)"""', MANAGERS, re.MULTILINE))
CLEAN = re.findall(r"^(?:class|def|async def) ([Cc]lean\w*)", MANAGERS, re.MULTILINE)


@pytest.fixture(scope="module")
def tried(run_tree, tmp_path_factory):
    """All managers in one process."""
    root = tmp_path_factory.mktemp("releases")
    files = {"managers.py": MANAGERS, "test_it.py": TESTS}
    return run_tree(root, files, "-rP", "-v", "-o", "leakguard=false", "--leakguard-grace=0.05")


def test_the_tables_are_complete():
    """What the sources hold is what is tried."""
    assert (len(LEAKY), len(CLEAN)) == (8, 7)


@pytest.mark.parametrize("name", LEAKY)
def test_a_leaky_manager_is_found(tried, name):
    """One leak, at its line, with each way that left it and no other."""
    section = re.search(rf"^_+ test_leaky\[{name}\] _+$(.*?)(?=^_____|^=====)", tried.text, re.MULTILINE | re.DOTALL)
    assert section, tried.text
    assert len(re.findall(r"^E +LEAK ", section[1], re.MULTILINE)) == 1
    start = MANAGERS[: re.search(rf"\b{name}\b", MANAGERS).start()].count("\n") + 1
    line = next(n for n, text in enumerate(MANAGERS.splitlines(), 1) if n > start and text.endswith("# leaks"))
    assert f"managers.py:{line} in " in re.search(r"acquired .*", section[1])[0]
    assert f"left behind after {LEAKY[name]}\n" in section[1]


@pytest.mark.parametrize("name", CLEAN)
def test_a_clean_manager_is_not(tried, name):
    """It passes, whatever it is made of."""
    assert re.search(rf"test_clean\[{name}\] PASSED", tried.text), tried.text


def test_the_points_are_those_of_the_manager(tried):
    """Three acquisitions in `Clean`, one in the generators, none where there is nothing to fail."""
    points = dict(re.findall(r"^POINTS (\w+) (\d+)$", tried.text, re.MULTILINE))
    assert points == dict.fromkeys(CLEAN, "1") | {"Clean": "3", "CleanFalsy": "3", "clean_lock": "0"}


def test_nested_use_is_tried_where_it_is_allowed(alone, pytester):
    """Only when asked for: most managers are not made for it. A refusal is no leak; a deadlock is told."""
    pytester.makepyfile(
        managers=MANAGERS,
        test_it="""
        import os, threading
        import managers
        import pytest
        from pytest_leakguard import LeakError

        class Reentrant:
            def __init__(self):
                self.depth = 0
            def __enter__(self):
                if not self.depth:
                    self.fd = os.open(__file__, os.O_RDONLY)
                self.depth += 1
            def __exit__(self, *error):
                self.depth -= 1
                if not self.depth:
                    os.close(self.fd)

        class Overwrites:
            def __enter__(self):
                self.fd = os.open(__file__, os.O_RDONLY)
            def __exit__(self, *error):
                if self.fd is not None:
                    os.close(self.fd)
                self.fd = None

        def test_clean(leak_check):
            leak_check.releases(Reentrant, nested=True)
            leak_check.releases(managers.CleanOnce, nested=True)
            leak_check.releases(Overwrites)

        def test_leaky(leak_check):
            with pytest.raises(LeakError) as caught:
                leak_check.releases(Overwrites, nested=True)
            (finding,) = caught.value.findings
            assert finding.notes[-1] == "left behind after a nested use"

        def test_deadlock(leak_check, monkeypatch):
            monkeypatch.setattr("pytest_leakguard.plugin.releasing.SHORTEST_LIMIT_SECONDS", 0.2)
            with pytest.raises(AssertionError, match="a nested use did not end within 0.2 s"):
                leak_check.releases(threading.Lock, nested=True)
        """,
    )
    ran = alone("--leakguard-grace=0.05", flag=())
    ran.result.assert_outcomes(passed=3)


def test_a_block_that_is_over_does_not_claim_what_came_later(alone, pytester):
    """The record of an earlier block's file, which was closed, is no reason to leave out a later one's."""
    pytester.makepyfile(
        """
        import os
        import pytest
        from pytest_leakguard import LeakError, guard

        def acquire():
            return os.open(__file__, os.O_RDONLY)

        @pytest.mark.parametrize("outer", [False, True])
        def test_it(leak_check, outer):
            with leak_check() if outer else guard("thread"):
                for _ in range(3):
                    with leak_check():
                        fd = acquire()
                        os.close(fd)
                with pytest.raises(LeakError):
                    with leak_check(grace=0):
                        fd = acquire()
                os.close(fd)
        """
    )
    ran = alone(flag=())
    ran.result.assert_outcomes(passed=2)


def test_other_backends(run, pytester):
    """An async manager goes through trio and anyio as well; inside a running loop it is refused."""
    pytest.importorskip("trio")
    pytester.makepyfile(
        """
        import asyncio, contextlib, os
        import anyio
        import pytest
        from pytest_leakguard import LeakError

        @contextlib.asynccontextmanager
        async def careless():
            fd = os.open(__file__, os.O_RDONLY)
            await anyio.sleep(0)
            try:
                yield
            except Exception:
                os.close(fd)
                raise
            os.close(fd)

        @contextlib.asynccontextmanager
        async def careful():
            with open(__file__):
                await anyio.sleep(0)
                yield

        @pytest.mark.parametrize("backend", ["asyncio", "anyio", "trio"])
        def test_it(leak_check, backend):
            leak_check.releases(careful, backend=backend)
            with pytest.raises(LeakError) as caught:
                leak_check.releases(careless, backend=backend)
            (finding,) = caught.value.findings
            assert finding.origin.function == "careless"

        def test_in_a_loop(leak_check):
            async def main():
                leak_check.releases(careful)
            with pytest.raises(RuntimeError, match="call it from a plain function"):
                asyncio.run(main())
        """
    )
    ran = run("--leakguard-grace=0.05", flag=())
    ran.result.assert_outcomes(passed=4)
