"""Executors and pools: one finding each, at the line that made it, not one for each thread, child and pipe."""

from __future__ import annotations

import textwrap

import pytest

HEAD = """
import asyncio
import concurrent.futures
import threading
import time

import executors_when_imported
import pytest

KEPT = []
SHUT = []
STOP = threading.Event()


def start(it, number=2):
    # all of its threads, which start only when the others are at work
    barrier = threading.Barrier(number + 1)
    for _ in range(number):
        it.submit(barrier.wait)
    barrier.wait()
    return it


def executor(*args, **options):
    from concurrent.futures import ThreadPoolExecutor
    return ThreadPoolExecutor(*args, **options)  # made here


def hang():
    STOP.wait()


@pytest.fixture(scope="session", autouse=True)
def at_last():
    yield
    STOP.set()


@pytest.fixture(scope="module")
def shared():
    with executor(4) as it:
        yield it


@pytest.fixture(scope="module")
def pool():
    kept = []
    yield kept
    for it in kept:
        it.shutdown()


class Mine(concurrent.futures.ThreadPoolExecutor):
    pass


"""

ONE = "that was never shut down, with"
# name -> (body, what must be told: kind and words)
ROWS: dict[str, tuple[str, list[tuple[str, str]]]] = {
    "shut_down": ("with executor(2) as it: start(it)", []),
    "shut_down_without_waiting": ("start(executor(2)).shutdown(wait=False)", []),
    "shut_down_processes": (
        "with concurrent.futures.ProcessPoolExecutor(1) as it: it.submit(int).result()", []
    ),
    "closed_pool": ("import multiprocessing\nwith multiprocessing.Pool(1) as it: it.apply(int)\nit.join()", []),
    "dropped": ("start(executor(2))", []),
    "unused": ("KEPT.append(executor(2))", []),
    "of_an_import": ("start(executors_when_imported.KEPT)", []),
    "of_a_fixture": ("start(shared)", []),
    "of_a_fixture_again": ("start(shared, 4)", []),
    "handed_to_the_pool": ("pool.append(start(executor(2)))", []),
    "asyncio_run": ("asyncio.run(asyncio.to_thread(int))", []),
    "failed": ("with pytest.raises(ValueError): executor(0)", []),
    "kept": ("KEPT.append(start(executor(3), 3))", [("thread", f"ThreadPoolExecutor {ONE} 3 threads")]),
    "kept_one": ("KEPT.append(start(executor(3), 1))", [("thread", f"ThreadPoolExecutor {ONE} 1 thread")]),
    "kept_named": (
        "KEPT.append(start(executor(2, thread_name_prefix='roof')))",
        [("thread", f"ThreadPoolExecutor 'roof' {ONE} 2 threads")],
    ),
    "kept_subclass": ("KEPT.append(start(Mine(2)))", [("thread", f"Mine {ONE} 2 threads")]),
    "kept_processes": (
        "KEPT.append(concurrent.futures.ProcessPoolExecutor(2))\nKEPT[-1].submit(int).result()",
        [("process", f"ProcessPoolExecutor {ONE} ")],
    ),
    "kept_processes_of_the_fork_server": (
        "import multiprocessing\nserved = multiprocessing.get_context('forkserver')\n"
        "KEPT.append(concurrent.futures.ProcessPoolExecutor(2, served))\nKEPT[-1].submit(int).result()",
        [("process", f"ProcessPoolExecutor {ONE} ")],
    ),
    "kept_pool": (
        "import multiprocessing\nKEPT.append(multiprocessing.Pool(2))\nKEPT[-1].apply(int)",
        [("process", "Pool that was never closed, with 2 child processes")],
    ),
    "kept_thread_pool": (
        "import multiprocessing.pool\nKEPT.append(multiprocessing.pool.ThreadPool(2))\nKEPT[-1].apply(int)",
        [("thread", "ThreadPool that was never closed, with 5 threads")],
    ),
    "kept_two": (
        "KEPT.append(start(Mine(2)))\nKEPT.append(start(executor(2)))",
        [("thread", f"Mine {ONE} 2 threads"), ("thread", f"ThreadPoolExecutor {ONE} 2 threads")],
    ),
    "kept_and_a_thread": (
        "KEPT.append(start(executor(2)))\nthreading.Thread(target=hang, name='beside').start()",
        [("thread", f"ThreadPoolExecutor {ONE} 2 threads"), ("thread", "thread 'beside'")],
    ),
    "a_thread_of_a_worker": (
        "shared.submit(lambda: threading.Thread(target=hang, name='below').start()).result()",
        [("thread", "thread 'below'")],
    ),
    "hangs_though_shut_down": (
        "it = executor(1, thread_name_prefix='stuck')\nit.submit(hang)\nit.shutdown(wait=False)",
        [("thread", "thread 'stuck_0'")],
    ),
    "hangs_though_shut_down_and_kept": (
        "it = executor(1, thread_name_prefix='held')\nit.submit(hang)\nit.shutdown(wait=False)\nSHUT.append(it)",
        [("thread", "thread 'held_0'")],
    ),
}  # fmt: skip

AFTER = """
def test_what_was_told_is_not_told_again():
    for it in KEPT[1:]:  # the first was never at work
        if isinstance(it, concurrent.futures.Executor):
            it.submit(int).result()
    start(KEPT[1], 3)
"""


def source_of(name: str, body: str) -> str:
    fixtures = ", ".join(fixture for fixture in ("shared", "pool") if f"{fixture}." in body or f"({fixture}" in body)
    return f"def test_{name}({fixtures}):\n{textwrap.indent(body, '    ')}\n\n\n"


@pytest.fixture(scope="module")
def told(tmp_path_factory, run_tree):
    """One run over all rows."""
    files = {
        "executors_when_imported.py": "import concurrent.futures as f\nKEPT = f.ThreadPoolExecutor(2)\n",
        "conftest.py": "import os, sys\nsys.path.insert(0, os.path.dirname(__file__))\n",
        "test_it.py": HEAD + "".join(source_of(name, row[0]) for name, row in ROWS.items()) + AFTER,
    }
    return run_tree(tmp_path_factory.mktemp("executors"), files, "--leakguard-grace=0.2", "-p", "no:logging")


@pytest.mark.parametrize("name", ROWS)
def test_an_executor_is_one_finding(told, name):
    """Whatever it runs; a thread beside it, and one that hangs though it was shut down, are told by themselves."""
    expected = sorted(ROWS[name][1])
    findings = sorted(told.of(f"::test_{name}"), key=lambda f: (f["kind"], f["what"]))
    assert [(f["kind"], f["count"]) for f in findings] == [(kind, 1) for kind, _ in expected]
    for finding, (_, words) in zip(findings, expected, strict=True):
        assert words in finding["what"]


def test_nothing_else_is_told(told):
    """All tests pass; what an executor that was told starts later is not told again."""
    assert sum(f["count"] for f in told.report["findings"]) == sum(len(row[1]) for row in ROWS.values())
    assert told.result.parseoutcomes().get("failed") is None, told.text


def test_the_line_is_the_one_that_made_it(told):
    """Not the one that gave it work, which starts the threads."""
    (finding,) = told.of("::test_kept")
    assert finding["origin"]["function"] == "executor"
    assert (finding["origin"]["how"], finding["origin"]["event"]) == ("wrap", "ThreadPoolExecutor")


def test_a_class_that_a_test_is_first_to_import_is_noted(alone, pytester):
    """Its module is not loaded by us before; the executor's line is known all the same."""
    pytester.makepyfile(
        """
        import sys
        KEPT = []

        def test_first():
            assert "concurrent.futures.thread" not in sys.modules
            from concurrent.futures import ThreadPoolExecutor
            KEPT.append(ThreadPoolExecutor(1))  # here
            KEPT[0].submit(int).result()
        """
    )
    (finding,) = alone("--leakguard-grace=0.05").findings
    assert (finding["origin"]["line"], finding["what"][:18]) == (7, "ThreadPoolExecutor")


def test_the_class_looks_as_before_and_is_given_back(alone, pytester):
    """The signature is the real one while we look on, and the class is as it was when the session is over."""
    pytester.makeconftest(
        """
        import atexit
        import inspect
        from concurrent.futures import ThreadPoolExecutor

        REAL = ThreadPoolExecutor.__init__
        SIGNATURE = inspect.signature(ThreadPoolExecutor)

        @atexit.register
        def tell():
            with open("after.txt", "w") as file:
                file.write(str(ThreadPoolExecutor.__init__ is REAL))
        """
    )
    pytester.makepyfile(
        """
        import inspect
        from concurrent.futures import ThreadPoolExecutor
        from conftest import SIGNATURE

        def test_signature():
            assert inspect.signature(ThreadPoolExecutor) == SIGNATURE
            assert ThreadPoolExecutor.__init__.__qualname__ == "ThreadPoolExecutor.__init__"
        """
    )
    ran = alone()
    ran.result.assert_outcomes(passed=1)
    assert ran.report["findings"] == []
    assert (pytester.path / "after.txt").read_text() == "True"
