"""What of asyncio is forgiven, each with a leak beside it that still gets through."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

pytest.importorskip("pytest_asyncio")
pytest.importorskip("anyio")

HEAD = """
import asyncio
import contextlib
import gc
import selectors
import socket
import threading
import time
import weakref

import pytest
import pytest_asyncio

KEPT = []
LOOP = asyncio.new_event_loop()

async def worker():
    await asyncio.sleep(600)

async def ticker():
    yield 1
    yield 2

async def stubborn():
    with contextlib.suppress(asyncio.CancelledError):
        await asyncio.sleep(600)
    await asyncio.sleep(600)

async def turn():
    await asyncio.sleep(0)
"""

ENDINGS = (
    HEAD
    + """
def test_asked_to_end():
    async def main():
        task = asyncio.create_task(worker())
        await turn()
        task.cancel()
    asyncio.run(main())

def test_asked_to_end_on_a_loop_that_lives_on():
    async def main():
        async def outer():
            await asyncio.gather(worker(), asyncio.create_task(worker()))
        task = asyncio.create_task(outer())
        await turn()
        await turn()
        task.cancel()
    LOOP.run_until_complete(main())

def test_stubborn():
    async def main():
        task = asyncio.create_task(stubborn())
        await turn()
        task.cancel()
        await turn()
        await turn()
    asyncio.run(main())

EVENT = asyncio.Event()

async def woken():
    await EVENT.wait()

async def woken_and_goes_on():
    await EVENT.wait()
    await asyncio.sleep(600)

def test_woken():
    async def main():
        KEPT.append(asyncio.create_task(woken()))
        await turn()
        EVENT.set()
    LOOP.run_until_complete(main())

def test_woken_by_the_last_line():
    event = asyncio.Event()
    async def main():
        KEPT.append(asyncio.create_task(event.wait()))
        await turn()
    LOOP.run_until_complete(main())
    event.set()  # it ends as soon as the loop runs on

def test_woken_when_its_loop_was_closed():
    event = asyncio.Event()
    async def wait_for_it():
        await event.wait()
    async def main():
        KEPT.append(asyncio.create_task(wait_for_it()))
        await turn()
    loop = asyncio.new_event_loop()
    loop.run_until_complete(main())
    event.set()
    loop.close()

def test_woken_and_goes_on():
    EVENT.clear()
    async def main():
        KEPT.append(asyncio.create_task(woken_and_goes_on()))
        await turn()
        EVENT.set()
    LOOP.run_until_complete(main())

def two_turns_later(callback):
    # the loop stops in between, as it does when a connection was closed by the last line
    loop = asyncio.get_running_loop()
    loop.call_soon(loop.call_soon, callback)

def test_its_end_is_on_its_way():
    event = asyncio.Event()
    async def main():
        KEPT.append(asyncio.create_task(event.wait()))
        await turn()
        two_turns_later(event.set)
    LOOP.run_until_complete(main())

def test_another_end_is_on_its_way():
    async def main():
        KEPT.append(asyncio.create_task(worker()))
        await turn()
        two_turns_later(int)
    LOOP.run_until_complete(main())

HANDLERS = []

async def connected(handle):
    server = await asyncio.start_server(handle, "127.0.0.1")
    client = socket.create_connection(server.sockets[0].getsockname())
    known = len(HANDLERS)
    while len(HANDLERS) == known:
        await turn()
    server.close()
    return client

async def handle(reader, writer):
    HANDLERS.append(asyncio.current_task())
    await reader.read()
    writer.close()

def test_connection_closed_by_the_last_line():
    client = LOOP.run_until_complete(connected(handle))
    client.close()
    assert not HANDLERS[-1].done()

async def handle_for_ever(reader, writer):
    with contextlib.closing(writer):
        await handle(reader, writer)
        await asyncio.sleep(600)

def test_connection_closed_by_the_last_line_in_vain():
    client = LOOP.run_until_complete(connected(handle_for_ever))
    client.close()
    assert not HANDLERS[-1].done()

def test_the_time_is_over():
    async def main():
        KEPT.append(asyncio.create_task(asyncio.sleep(0.01)))
        await turn()
    LOOP.run_until_complete(main())
    time.sleep(0.02)
    assert not KEPT[-1].done()

def test_the_time_is_over_of_another():
    async def main():
        KEPT.append(asyncio.create_task(worker()))
        asyncio.get_running_loop().call_later(0.01, int)
        await turn()
    LOOP.run_until_complete(main())
    time.sleep(0.02)

def test_a_loop_that_does_not_go_on():
    async def main():
        KEPT.append(asyncio.create_task(worker()))
        await turn()
        two_turns_later(int)
    KEPT.append(asyncio.new_event_loop())
    KEPT[-1].run_until_complete(main())

def test_the_loop_runs_on():
    LOOP.run_until_complete(asyncio.sleep(0.01))

def test_broken_off():
    async def breaks():
        raise SystemExit
    async def main():
        task, other = asyncio.create_task(breaks()), asyncio.create_task(worker())
        await asyncio.wait([task, other])
    with pytest.raises(SystemExit):
        asyncio.run(main())

def test_failed_by_an_error():
    async def main():
        asyncio.create_task(worker())
        await turn()
        raise LookupError
    with pytest.raises(LookupError):
        asyncio.run(main())

def test_ended_by_the_project_itself():
    def _cancel_all_tasks(loop):
        for task in asyncio.all_tasks(loop):
            task.cancel()
        loop.run_until_complete(asyncio.sleep(0.01))
    loop = asyncio.new_event_loop()
    async def main():
        KEPT.append(ticker())
        await KEPT[-1].__anext__()
        asyncio.create_task(worker())
        await turn()
    loop.run_until_complete(main())
    _cancel_all_tasks(loop)
    loop.run_until_complete(loop.shutdown_asyncgens())
    loop.close()

def test_ended_by_a_runner():
    with asyncio.Runner() if hasattr(asyncio, "Runner") else contextlib.nullcontext(asyncio) as runner:
        async def main():
            asyncio.create_task(worker())
            await turn()
        runner.run(main())

def test_loop_closed_over_it():
    loop = asyncio.new_event_loop()
    async def main():
        asyncio.create_task(worker())
        await turn()
    loop.run_until_complete(main())
    loop.close()

def test_closed_by_hand():
    # no loop will run again, so a cancellation alone would never be delivered
    loop = asyncio.new_event_loop()
    made = []
    loop.call_soon(lambda: made.append(loop.create_task(worker())))
    loop.call_soon(loop.stop)
    loop.run_forever()
    task = made.pop()
    task.cancel()
    task.get_coro().close()
    loop.close()

def test_dropped_before_it_ran():
    loop = asyncio.new_event_loop()
    made = []
    loop.call_soon(lambda: made.append(loop.create_task(worker())))
    loop.call_soon(loop.stop)
    loop.run_forever()
    loop.close()
    made.pop()

def test_dropped_in_debug_mode():
    # the line that made its coroutine is known then, so that it could be told as well
    loop = asyncio.new_event_loop()
    loop.set_debug(True)
    made = []
    loop.call_soon(lambda: made.append(loop.create_task(worker())))
    loop.call_soon(loop.stop)
    loop.run_forever()
    loop.close()
    made.pop()

def test_never_run():
    loop = asyncio.new_event_loop()
    loop.create_task(worker())
    loop.close()

def test_gone_in_the_grace():
    # on a loop that another thread runs: it may end while leakguard looks again
    loop = asyncio.new_event_loop()
    async def last():
        await asyncio.sleep(0.1)
        loop.stop()
    def run():
        loop.run_forever()
        loop.close()
    threading.Thread(target=run).start()
    asyncio.run_coroutine_threadsafe(last(), loop)
"""
)

GENERATORS = (
    HEAD
    + """
def test_dropped_in_the_middle():
    async def main():
        async for _ in ticker():
            break
    asyncio.run(main())
    LOOP.run_until_complete(main())

def test_exhausted():
    async def main():
        KEPT.append(ticker())
        async for _ in KEPT[-1]:
            pass
    asyncio.run(main())

async def iterate(generator):
    async for _ in generator:
        await asyncio.sleep(600)

def test_kept():
    async def main():
        await begin(ticker())
    asyncio.run(main())

def test_of_a_pending_task():
    async def main():
        KEPT.append(asyncio.create_task(iterate(ticker())))
        await turn()
    LOOP.run_until_complete(main())

async def begin(generator):
    KEPT.append(generator)
    await generator.__anext__()

def test_beside_a_pending_task():
    async def main():
        KEPT.append(asyncio.create_task(iterate(ticker())))
        await begin(ticker())
        await turn()
    LOOP.run_until_complete(main())

async def slow_to_close():
    try:
        yield 1
    finally:
        await asyncio.sleep(600)

def test_closing_begun_by_the_test():
    async def main():
        generator = slow_to_close()
        await generator.__anext__()
        asyncio.ensure_future(generator.aclose())
        await turn()
    LOOP.run_until_complete(main())
"""
)

COROUTINES = (
    HEAD
    + """
import warnings

def test_expected():
    with pytest.warns(RuntimeWarning, match="never awaited"):
        worker()

@pytest.mark.filterwarnings("ignore")
def test_ignored():
    worker()

@pytest.mark.filterwarnings("error")
def test_error():
    worker()

def test_just_a_warning():
    warnings.warn("coroutine 'worker' was never awaited", RuntimeWarning)

def test_closed():
    worker().close()

def helper():
    forgotten = worker()  # helper
    return None

def test_in_a_helper():
    helper()

class TestMethod:
    def helper(self):
        forgotten = worker()  # method

    def test_in_a_method(self):
        self.helper()

def test_inside_a_task():
    async def inner():
        forgotten = worker()  # task
        await turn()
    async def main():
        await asyncio.create_task(inner())
    asyncio.run(main())

def test_result_dropped():
    from unittest.mock import AsyncMock
    mock = AsyncMock()
    mock.method(1, key=2)  # dropped

class Knot:
    pass

def tie():
    knot = Knot()
    knot.me, knot.coroutine = knot, worker()

def test_by_the_collector():
    asyncio.run(turn())
    tie()

def test_by_the_collector_of_older_objects():
    asyncio.run(turn())
    knot = Knot()
    knot.me, knot.coroutine = knot, worker()
    gc.collect(0)  # Python does so by itself: what is young now is no longer the youngest

def test_by_a_later_collector():
    tie()

def test_in_debug_mode():
    async def main():
        coroutines = [worker()]  # debug
        del coroutines
    asyncio.run(main(), debug=True)
"""
)

OWNERS = (
    HEAD
    + """
@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def service():
    jobs = asyncio.Queue()
    children = []
    async def serve():
        while await jobs.get():
            children.append(asyncio.create_task(worker(), name="child"))
    task = asyncio.create_task(serve())
    await turn()
    yield jobs
    for one in [task, *children]:
        one.cancel()
    await asyncio.wait([task, *children])

@pytest.mark.asyncio(loop_scope="module")
async def test_offspring_of_a_fixtures_task(service):
    service.put_nowait(1)
    await asyncio.sleep(0.01)

@pytest.mark.asyncio(loop_scope="module")
async def test_beside_a_fixtures_task(service):
    asyncio.create_task(worker(), name="own")
    await turn()

@pytest.fixture(scope="module")
def loop():
    loop = asyncio.new_event_loop()
    yield loop
    loop.close()

def test_on_a_fixtures_loop(loop):
    async def main():
        asyncio.create_task(worker(), name="left")
        await turn()
    loop.run_until_complete(main())

@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def careless():
    jobs = asyncio.Queue()
    async def serve():
        while await jobs.get():
            asyncio.create_task(worker(), name="orphan")
    task = asyncio.create_task(serve())
    await turn()
    yield jobs
    task.cancel()
    await asyncio.wait([task])

@pytest.mark.asyncio(loop_scope="module")
async def test_offspring_that_stays(careless):
    careless.put_nowait(1)
    await asyncio.sleep(0.01)
"""
)

CALLBACKS = (
    HEAD
    + """
async def handle(reader, writer):
    await reader.read()
    writer.close()

async def handle_for_ever(reader, writer):
    with contextlib.closing(writer):
        await reader.read()
        await asyncio.sleep(600)

@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def port():
    server = await asyncio.start_server(handle, "127.0.0.1")
    yield server.sockets[0].getsockname()[1]
    await asyncio.sleep(0.05)
    server.close()

async def call(port):
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(b"x")
    await asyncio.sleep(0.02)
    writer.close()
    await writer.wait_closed()

@pytest.mark.asyncio(loop_scope="module")
async def test_connection_to_a_fixtures_server(port):
    await call(port)

def test_connection_to_its_own_server():
    async def main():
        server = await asyncio.start_server(handle_for_ever, "127.0.0.1")
        await call(server.sockets[0].getsockname()[1])
        server.close()
    asyncio.run(main())
"""
)

LOOPS = (
    HEAD
    + """
@pytest.fixture(scope="module")
def dropped():
    loop = asyncio.new_event_loop()
    yield
    del loop

@pytest.fixture(scope="module")
def kept():
    KEPT.append(asyncio.new_event_loop())
    yield

@pytest.fixture(scope="module")
def closed():
    loop = asyncio.new_event_loop()
    yield loop
    loop.close()

def test_loops_of_fixtures(dropped, kept, closed):
    closed.run_until_complete(turn())

def test_loop_of_its_own():
    KEPT.append(asyncio.new_event_loop())
    KEPT[-1].run_until_complete(turn())
"""
)

FILES = {
    "pytest.ini": "[pytest]\nasyncio_mode = strict\n",
    "test_endings.py": ENDINGS,
    "test_generators.py": GENERATORS,
    "test_coroutines.py": COROUTINES,
    "test_owners.py": OWNERS,
    "test_callbacks.py": CALLBACKS,
    "test_loops.py": LOOPS,
}


@pytest.fixture(scope="module")
def told(tmp_path_factory, run_tree):
    ran = run_tree(tmp_path_factory.mktemp("rules"), FILES, "-p", "pytest_asyncio.plugin", "-p", "anyio.pytest_plugin")
    assert "1 failed, 51 passed" in ran.text, ran.text
    return ran


def of(told, test: str) -> list[str]:
    """What the findings of kind task of a test are about."""
    return [f["what"] for f in told.report["findings"] if f["test"].endswith(f"::{test}") and f["kind"] == "task"]


CLEAN = [
    "test_asked_to_end", "test_asked_to_end_on_a_loop_that_lives_on", "test_woken", "test_woken_by_the_last_line",
    "test_broken_off", "test_its_end_is_on_its_way", "test_connection_closed_by_the_last_line",
    "test_the_time_is_over",
    "test_ended_by_the_project_itself", "test_gone_in_the_grace", "test_dropped_in_the_middle", "test_exhausted",
    "test_closed_by_hand", "test_expected", "test_just_a_warning", "test_closed", "test_by_a_later_collector",
    "test_connection_to_a_fixtures_server",
]  # fmt: skip


@pytest.mark.parametrize("test", CLEAN)
def test_it_is_forgiven(told, test):
    """Nothing of kind task is told."""
    assert of(told, test) == []


LEAKS = {
    # asked to end, but the request was swallowed
    "test_stubborn": ["of stubborn, waiting at test_endings.py:{2} in stubborn"],
    # its wait is over, but no loop will ever tell it
    "test_woken_when_its_loop_was_closed": ["of wait_for_it, waiting"],
    # its wait was over when the loop stopped; it waits again since the loop ran on
    "test_woken_and_goes_on": ["of woken_and_goes_on, waiting"],
    # what was still to run did not end it; that nothing more will run does not save it either
    "test_another_end_is_on_its_way": ["of worker, waiting"],
    "test_connection_closed_by_the_last_line_in_vain": ["of handle_for_ever, waiting"],
    "test_the_time_is_over_of_another": ["of worker, waiting"],
    "test_a_loop_that_does_not_go_on": ["of worker, waiting"],
    # an error of the main task is a return, unlike a loop that is broken off
    "test_failed_by_an_error": ["of worker, waiting"],
    "test_ended_by_a_runner": ["of worker, waiting"],
    "test_loop_closed_over_it": ["of worker, waiting"],
    "test_dropped_before_it_ran": ["of worker, not started"],
    "test_dropped_in_debug_mode": ["of worker, not started"],
    "test_never_run": ["of worker, not started"],
    "test_kept": ["asynchronous generator ticker, suspended"],
    "test_of_a_pending_task": ["of iterate, waiting"],
    "test_beside_a_pending_task": ["asynchronous generator ticker, suspended", "of iterate, waiting"],
    "test_closing_begun_by_the_test": ["of async_generator_athrow"],
    "test_ignored": ["coroutine worker, never awaited"],
    "test_in_a_helper": ["coroutine worker, never awaited"],
    "test_in_a_method": ["coroutine worker, never awaited"],
    "test_inside_a_task": ["coroutine worker, never awaited"],
    "test_by_the_collector_of_older_objects": ["coroutine worker, never awaited"],
    "test_by_the_collector": ["coroutine worker, never awaited"],
    "test_result_dropped": ["coroutine AsyncMockMixin._execute_mock_call, never awaited"],
    "test_in_debug_mode": ["coroutine worker, never awaited"],
    "test_beside_a_fixtures_task": ["task 'own' of worker"],
    "test_on_a_fixtures_loop": ["task 'left' of worker"],
    "test_connection_to_its_own_server": ["of handle_for_ever, waiting"],
}


@pytest.mark.parametrize("test", LEAKS)
def test_a_leak_beside_it_is_told(told, test):
    """The rule next to it does not reach so far."""
    parts = [part.partition("{")[0] for part in LEAKS[test]]
    found = sorted(of(told, test))
    assert len(found) == len(parts), found
    for what, part in zip(found, sorted(parts), strict=True):
        assert part in what


AT_ONCE = (
    HEAD
    + """
from pytest_leakguard import LeakError, guard

async def leave_with(callback):
    KEPT.append(asyncio.create_task(worker()))
    await turn()
    loop = asyncio.get_running_loop()
    loop.call_soon(loop.call_soon, callback)

def test_block():
    with pytest.raises(LeakError, match="of worker"):
        with guard():
            LOOP.run_until_complete(leave_with(int))

@pytest.mark.asyncio
async def test_block_within_a_running_loop():
    loop = asyncio.get_running_loop()
    with pytest.raises(LeakError, match="of worker"):
        with guard():
            KEPT.append(asyncio.create_task(worker()))
            await turn()
            loop.call_soon(int)
    KEPT[-1].cancel()

async def leave():
    KEPT.append(asyncio.create_task(worker()))
    await turn()

FRESH = asyncio.new_event_loop()

def test_not_started():
    KEPT.append(FRESH.create_task(worker()))

def test_not_started_in_python():
    KEPT.append(asyncio.tasks._PyTask(worker(), loop=FRESH))

def test_nothing_to_do():
    LOOP.run_until_complete(leave())

def test_selector_closed_under_its_loop():
    loop = asyncio.SelectorEventLoop()
    loop.run_until_complete(leave())
    loop._selector.close()
    KEPT.append(loop)

class Own(selectors.DefaultSelector):
    def select(self, timeout=None):
        ASKED.append(timeout)
        return super().select(timeout)

ASKED = []
OWN = asyncio.SelectorEventLoop(Own())

def test_own_selector():
    OWN.run_until_complete(leave())
    OWN._write_to_self()
    ASKED.clear()

def test_own_selector_was_not_asked():
    assert ASKED == []

def test_beside_a_loop_that_runs():
    loop = asyncio.new_event_loop()
    def spin():
        loop.call_soon(spin)
        time.sleep(0.001)
    threading.Thread(target=loop.run_forever, daemon=True).start()
    async def main():
        KEPT.append(asyncio.create_task(worker()))
        loop.call_soon(spin)
    asyncio.run_coroutine_threadsafe(main(), loop).result()

def test_between():
    KEPT.append(open(__file__))

def test_ready():
    LOOP.run_until_complete(leave_with(int))

def test_next():
    KEPT.append(open(__file__))

def test_after():
    KEPT.append(open(__file__))
"""
)

LAST = (
    HEAD
    + """
def test_last():
    async def main():
        KEPT.append(asyncio.create_task(worker()))
        await turn()
        loop = asyncio.get_running_loop()
        loop.call_soon(loop.call_soon, int)
    LOOP.run_until_complete(main())
"""
)


@pytest.fixture(scope="module")
def at_once(tmp_path_factory, run_tree):
    files = {"pytest.ini": "[pytest]\nasyncio_mode = strict\n", "test_last.py": AT_ONCE}
    return run_tree(
        tmp_path_factory.mktemp("at-once"), files, "-p", "pytest_asyncio.plugin", "-v", "-o", "leakguard_grace=0.1"
    )


def test_a_task_of_the_last_test_is_told_at_the_end(tmp_path, run_tree):
    """No later test lets its loop go on: what was to run there ends nothing any more."""
    ran = run_tree(tmp_path, {"test_last.py": LAST})
    assert len(of(ran, "test_last")) == 1


def test_what_is_not_ready_or_not_at_rest_is_not_waited_for(at_once):
    """It is told by the test's own report; what is put off, by that of the next one."""
    told = [
        (f["test"].partition("::")[2], f["kind"]) for f in at_once.report["findings"] if f["kind"] in ("fd", "task")
    ]
    assert (at_once.report["errors"], "test_own_selector_was_not_asked PASSED" in at_once.text) == ([], True)
    assert told == [
        ("test_not_started", "task"),
        ("test_not_started_in_python", "task"),
        ("test_nothing_to_do", "task"),
        ("test_selector_closed_under_its_loop", "task"),
        ("test_own_selector", "task"),
        ("test_beside_a_loop_that_runs", "task"),
        ("test_between", "fd"),
        ("test_next", "fd"),
        ("test_ready", "task"),
        ("test_after", "fd"),
    ]


@pytest.mark.parametrize("test", ["test_block", "test_block_within_a_running_loop"])
def test_a_block_does_not_wait(at_once, test):
    """What it leaves is told at its end: the code after it may rely on that."""
    assert re.search(rf"^test_last.py::{test} PASSED", at_once.text, re.MULTILINE)


def test_a_fixtures_task_has_its_offspring_counted_to_the_fixture(told):
    """What a task of a wider fixture begins is the fixture's, told for it when it stays."""
    assert of(told, "test_offspring_of_a_fixtures_task") == []
    (finding,) = [f for f in told.report["findings"] if "'orphan'" in f["what"]]
    assert (finding["owner"]["kind"], finding["owner"]["name"]) == ("fixture", "careless")


def test_a_fixture_that_keeps_a_loop_releases_no_task_of_it(told):
    """The loop leads to the task, and closing it ends nothing: the verdict waits for no fixture."""
    (finding,) = [f for f in told.report["findings"] if f["test"].endswith("::test_on_a_fixtures_loop")]
    assert finding["due"].startswith("end of function scope;"), finding["due"]
    assert "might have released it" not in finding["due"]


@pytest.mark.parametrize("mark", ["helper", "method", "task", "dropped", "debug"])
def test_the_line_that_made_a_coroutine_is_known(told, mark):
    """It was dropped elsewhere, when the function that made it returned."""
    line = next(n for n, text in enumerate(COROUTINES.splitlines(), 1) if text.endswith(f"# {mark}"))
    assert line in [f["origin"]["line"] for f in told.report["findings"] if "coroutine" in f["what"]]


def test_where_it_can_not_be_known_the_report_says_so(told):
    """A coroutine that the collector finds was made somewhere; its function is known."""
    (finding,) = [f for f in told.report["findings"] if f["test"].endswith("test_by_the_collector")]
    assert finding["origin"]["file"] is None
    assert "its function is at test_coroutines.py:" in finding["origin"]["reason"]


def test_a_coroutine_under_an_error_filter_is_a_note(told):
    """The test fails by the user's own filter; the finding explains that failure."""
    (finding,) = [f for f in told.report["findings"] if f["test"].endswith("test_error")]
    assert finding["disposition"] == "note"


def test_the_task_of_a_connection_is_named_by_its_handler(told):
    """A callback of the loop made it, so the handler's own line stands for the origin."""
    (finding,) = [f for f in told.report["findings"] if f["test"].endswith("test_connection_to_its_own_server")
                  and f["kind"] == "task"]  # fmt: skip
    line = next(n for n, text in enumerate(CALLBACKS.splitlines(), 1) if text.startswith("async def handle_for_ever"))
    assert (finding["origin"]["file"], finding["origin"]["line"]) == ("test_callbacks.py", line)


def test_a_loop_that_nobody_closed_is_one_finding(told):
    """Its selector and its sockets are parts of it, whoever owns it and whether it died or not."""
    found = [(f["owner"]["name"], f["kind"]) for f in told.report["findings"] if "test_loops.py" in f["test"]]
    own = "test_loops.py::test_loop_of_its_own"
    assert sorted(found) == [("dropped", "unclosed"), ("kept", "socket"), (own, "socket")]


DOCUMENTED = Path(__file__).parents[2] / "docs" / "reference" / "messages.md"


def test_the_words_for_what_became_of_it_are_documented(told):
    """Each phrase of the table in the reference is told here, and no other."""
    section = DOCUMENTED.read_text("utf-8").partition("\n## task\n")[2].partition("\n## ")[0]
    phrases = re.findall(r"^\| `([^`]+)` \|", section, re.MULTILINE)
    dues = {f["due"].partition("; ")[2] for f in told.report["findings"] if f["kind"] == "task"}
    assert len(phrases) == 5
    for phrase in phrases:
        assert any(due.startswith(phrase) for due in dues), phrase
    assert [due for due in dues if not due.startswith(tuple(phrases))] == []


def test_nothing_else_is_told(told):
    """No finding of kind task besides these."""
    tests = {f["test"].rpartition("::")[2] for f in told.report["findings"] if f["kind"] == "task"}
    assert tests - set(LEAKS) == {"test_error", "test_offspring_that_stays"}
