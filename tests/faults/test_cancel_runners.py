"""Tests that others run: each way to run a coroutine under pytest is counted, cancelled, and torn down in order."""

from __future__ import annotations

import json

import pytest

CONFTEST = """
import copy
import json
import os
from _pytest.runner import runtestprotocol
from pytest_leakguard.faults.cancel import AwaitInjector

HERE = os.path.dirname(__file__)
RESULTS = {}


def pytest_runtest_protocol(item, nextitem):
    injector = AwaitInjector(
        os.environ.get("FAMILY", "cancel"), is_target=lambda name: name == os.path.join(HERE, "app.py"),
        path_of=os.path.basename, hang_seconds=2.0,
    )
    if item.get_closest_marker("anyio"):
        original = item.obj
        item.obj = injector.around(original, level=True)
    again = copy.copy(item)  # with the item itself as the next one, function fixtures would stay
    with injector.count() as points:
        assert all(report.outcome == "passed" for report in runtestprotocol(item, nextitem=again, log=False))
    trials = {}
    for point in points:
        with injector.inject(point) as seen:
            reports = runtestprotocol(item, nextitem=again, log=False)
        trials[f"{point.qualname}:{point.what}#{point.occurrence}"] = {
            "injected": seen.injected,
            "outcomes": [report.outcome for report in reports],
            "failures": [f.what for f in seen.findings(point) if not f.told],
        }
    RESULTS[item.name] = trials
    runtestprotocol(item, nextitem=nextitem)
    return True


def pytest_sessionfinish():
    import app
    with open(os.path.join(HERE, "results.json"), "w") as file:
        json.dump({"trials": RESULTS, "closed": app.CLOSED, "opened": app.OPENED}, file)
"""

APP = """
import asyncio
OPENED = CLOSED = 0


async def open_it():
    global OPENED
    OPENED += 1


async def close_it():
    global CLOSED
    CLOSED += 1


async def work(sleep=asyncio.sleep):
    await sleep(0)
    await helper(sleep)


async def helper(sleep):
    await sleep(0.001)
"""

POINTS = {"work:sleep#1", "helper:sleep#1"}


@pytest.fixture
def trials(pytester, monkeypatch):
    """Run a test file with the injector above around each test."""

    def trials(test: str, *options: str) -> dict:
        monkeypatch.setenv("PYTEST_DISABLE_PLUGIN_AUTOLOAD", "1")
        pytester.makeconftest(CONFTEST)
        pytester.makepyfile(app=APP, test_it=test)
        ran = pytester.runpytest("-p", "no:cacheprovider", "-W", "error", *options)
        assert ran.ret == 0, ran.stdout.str() + ran.stderr.str()
        return json.loads((pytester.path / "results.json").read_text("utf-8"))

    return trials


def check(ran: dict, names: int = 1, call: str = "failed") -> None:
    assert len(ran["trials"]) == names
    for points in ran["trials"].values():
        assert set(points) == POINTS
        for trial in points.values():
            assert trial == {"injected": 1, "outcomes": ["passed", call, "passed"], "failures": []}


def test_asyncio_run_in_a_plain_test(trials):
    """The test makes its loop itself."""
    check(trials("import asyncio, app\ndef test_it(): asyncio.run(app.work())\n"))


def test_a_loop_of_the_tests_own(trials):
    """new_event_loop and run_until_complete."""
    source = """
    import asyncio, app
    def test_it():
        loop = asyncio.new_event_loop()
        try:
            loop.run_until_complete(app.work())
        finally:
            loop.close()
    """
    check(trials(source))


def test_an_isolated_asyncio_test_case(trials):
    """unittest's: asyncSetUp and asyncTearDown run, though the test was cancelled."""
    source = """
    import unittest, app
    class Test(unittest.IsolatedAsyncioTestCase):
        async def asyncSetUp(self): await app.open_it()
        async def asyncTearDown(self): await app.close_it()
        async def test_it(self): await app.work()
    """
    ran = trials(source)
    check(ran)
    assert ran["opened"] == ran["closed"] == 4  # count, two trials, the run itself


def test_pytest_asyncio(trials):
    """With an async fixture, which is torn down each time."""
    pytest.importorskip("pytest_asyncio")
    source = """
    import pytest, pytest_asyncio, app
    @pytest_asyncio.fixture
    async def it():
        await app.open_it()
        yield
        await app.close_it()
    @pytest.mark.asyncio
    async def test_it(it): await app.work()
    """
    ran = trials(source, "-p", "pytest_asyncio.plugin", "-o", "asyncio_default_fixture_loop_scope=function")
    check(ran)
    assert ran["opened"] == ran["closed"] == 4


def test_the_plugin_of_anyio(trials):
    """On asyncio and trio, through a scope: its runner goes on, and tears the fixture down."""
    pytest.importorskip("anyio")
    pytest.importorskip("trio")
    # trio by its name: older anyios load it only when its loop starts, so that the first count could not reach it
    source = """
    import anyio, pytest, trio, app
    @pytest.fixture(params=["asyncio", "trio"])
    def anyio_backend(request): return request.param
    @pytest.fixture
    async def it(anyio_backend):
        await app.open_it()
        yield
        await app.close_it()
    @pytest.mark.anyio
    async def test_it(it): await app.work(anyio.sleep)
    """
    ran = trials(source, "-p", "anyio.pytest_plugin")
    check(ran, names=2)
    assert ran["opened"] == ran["closed"] == 8


def test_a_timeout_in_a_plain_test(trials, monkeypatch):
    """The family `timeout` by the same way."""
    monkeypatch.setenv("FAMILY", "timeout")
    check(trials("import asyncio, app\ndef test_it(): asyncio.run(app.work())\n"))
