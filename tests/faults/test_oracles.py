"""What is looked at after each trial, with real code: objects, must-call, lost errors, hangs, what comes with them."""

from __future__ import annotations

import pytest

MODULE = """
import asyncio
import os
import threading


def work():
    return os.stat(".")


class Session:
    def __init__(self):
        self.open = True

    def close(self):
        self.open = False


def must_call_leaky():
    session = Session()
    work()  # must_call
    session.close()


def must_call_clean():
    session = Session()
    try:
        work()
    finally:
        session.close()


KEPT = []


class Tracked:
    pass


def object_leaky(track):
    KEPT.append(track(Tracked()))
    work()  # object
    KEPT.clear()


def object_clean(track):
    KEPT.append(track(Tracked()))
    try:
        work()
    finally:
        KEPT.clear()


class Late:
    def __init__(self):
        self.ready = False

    def __del__(self):
        if not self.ready:
            raise RuntimeError("dropped half-way")


def unraisable_leaky():
    late = Late()
    work()  # unraisable
    late.ready = True


def unraisable_clean():
    work()
    late = Late()
    late.ready = True


def thread_leaky():
    got = []
    try:
        got.append(work())  # thread
    except OSError:
        pass

    def run():
        if not got:
            raise LookupError("of the thread")

    thread = threading.Thread(target=run)
    thread.start()
    thread.join()


async def part(got):
    return got.st_size


async def retrieved_leaky():
    got = None
    try:
        got = work()  # retrieved
    except OSError:
        pass
    task = asyncio.ensure_future(part(got))
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    del task


async def retrieved_clean():
    await asyncio.ensure_future(part(work()))


def hang_leaky():
    done = threading.Event()
    try:
        work()  # hang
        done.set()
    except OSError:
        pass
    done.wait(60)
"""
TESTS = """
import asyncio
import pytest
from app import code

pytestmark = pytest.mark.no_leaks("default", add="object", faults="call")


@pytest.mark.parametrize("how", ["leaky", "clean"])
class TestPairs:
    def test_must_call(self, how):
        getattr(code, f"must_call_{how}")()

    def test_object(self, how, leak_check):
        getattr(code, f"object_{how}")(leak_check.track)

    def test_unraisable(self, how):
        getattr(code, f"unraisable_{how}")()

    def test_retrieved(self, how):
        asyncio.run(getattr(code, f"retrieved_{how}")())


def test_thread():
    code.thread_leaky()


def test_hang():
    code.hang_leaky()
"""


@pytest.fixture(scope="module")
def swept(run_tree, tmp_path_factory):
    """All in one process."""
    files = {"app/__init__.py": "", "app/code.py": MODULE, "test_code.py": TESTS, "conftest.py": ""}
    files["pytest.ini"] = "[pytest]\nleakguard_track = app.code.Session: close\n"
    return run_tree(tmp_path_factory.mktemp("oracles"), files)


@pytest.mark.parametrize(
    ("test", "kind", "word"),
    [
        ("TestPairs::test_must_call[leaky]", "object", "Session was never closed: close() not called"),
        ("TestPairs::test_object[leaky]", "object", "Tracked"),
        (
            "TestPairs::test_unraisable[leaky]",
            "unraisable",
            "RuntimeError: dropped half-way, with nobody to raise it to",
        ),
        ("TestPairs::test_retrieved[leaky]", "unraisable", "error of a task that nobody asked for"),
        ("test_thread", "unraisable", "LookupError: of the thread, which ended thread"),
        ("test_hang", "hang", "did not end within"),
    ],
)
def test_each_oracle_has_its_finding(swept, test, kind, word):
    """Of the right kind, at a point in the code under test."""
    found = [one for one in swept.findings if one["test"].endswith(f"::{test}")]
    assert [one["kind"] for one in found] == [kind], swept.text
    assert word in found[0]["what"]
    assert found[0]["fix"]
    assert found[0]["point"].startswith("call:app/code.py:")


@pytest.mark.parametrize("name", ["must_call", "object", "unraisable", "retrieved"])
def test_the_clean_twins_have_none(swept, name):
    """The same code with its cleanup."""
    assert swept.of(f"::test_{name}[clean]") == []


def test_a_hang_shows_the_stacks_of_all_threads(swept):
    """One line each, with the function that waits."""
    (finding,) = swept.of("::test_hang")
    assert any(line.startswith("thread 'MainThread'") for line in finding["notes"])
    assert any("in hang_leaky" in line for line in finding["notes"])


def test_a_task_that_is_left_is_one_finding(pytester, alone):
    """The event loop shows it, and the probe for tasks does where that is on: it tells the line that made it."""
    pytester.makepyfile(
        app="""
        import asyncio

        TASKS = []

        async def tick():
            await asyncio.sleep(100)

        def step():
            pass

        async def start():
            TASKS.append(asyncio.ensure_future(tick()))
            step()
            TASKS.pop().cancel()

        def run():
            loop = asyncio.new_event_loop()
            try:
                loop.run_until_complete(start())
            finally:
                loop.close()
        """,
        test_it="""
        from app import run

        def test_run():
            run()
        """,
    )
    for probes, place in (("fd", 13), ("default", 12)):
        ran = alone(
            "--leakguard-faults", "--leakguard-fault-families=call", f"--leakguard-probes={probes}",
            "--leakguard-fault=call:app.py:start:step#1",
        )  # fmt: skip
        tasks = [one for one in ran.findings if one["kind"] == "task"]
        assert [one["origin"]["line"] for one in tasks] == [place], (probes, tasks)
