"""Thread pools under faults: told where the error alone kept one, and never where something can still shut it down."""

from __future__ import annotations

import pytest

POOLS = """
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from multiprocessing.pool import ThreadPool

def leaves(path):
    pool = ThreadPoolExecutor(1)  # here
    pool.submit(int)
    open(path).close()
    pool.shutdown()

def leaves_one_beside_a_thread(path):
    threading.Thread(target=time.sleep, args=(0.1,)).start()
    pool = ThreadPoolExecutor(1)  # beside
    pool.submit(int)
    open(path).close()
    pool.shutdown()

def leaves_two_threads(path):
    pool, both = ThreadPoolExecutor(2), threading.Barrier(2)
    [future.result() for future in [pool.submit(both.wait, 0.2), pool.submit(both.wait, 0.2)]]
    open(path).close()
    pool.shutdown()

def leaves_two_pools(path):
    one = ThreadPoolExecutor(1)
    other = make()
    one.submit(int), other.submit(int)
    open(path).close()
    one.shutdown(), other.shutdown()

def make():
    return ThreadPoolExecutor(1)

def leaves_what_warns(path):
    pool = ThreadPool(1)
    open(path).close()
    pool.terminate()

def shuts(path):
    pool = ThreadPoolExecutor(1)
    try:
        pool.submit(time.sleep, 0.1)  # its thread is there when the test is over
        open(path).close()
    finally:
        pool.shutdown(wait=False)

def borrows(pool, path):
    pool.submit(int)
    open(path).close()

def borrows_when_it_fails(pool, path):
    try:
        open(path).close()
    except OSError:
        pool.submit(int).result()
        raise

def keeps(shelf, path):
    if not shelf:
        shelf.append(ThreadPoolExecutor(1))
    shelf[0].submit(int)
    open(path).close()

def keeps_when_it_fails(shelf, path):
    try:
        open(path).close()
    except OSError:
        shelf.append(ThreadPoolExecutor(1))
        shelf[-1].submit(int).result()
        raise
"""

TESTS = """
from concurrent.futures import ThreadPoolExecutor
import pools
import pytest

def test_leaves(): pools.leaves(__file__)

def test_leaves_one_beside_a_thread(): pools.leaves_one_beside_a_thread(__file__)

def test_leaves_two_threads(): pools.leaves_two_threads(__file__)

def test_leaves_two_pools(): pools.leaves_two_pools(__file__)

def test_leaves_what_warns(): pools.leaves_what_warns(__file__)

def test_shuts(): pools.shuts(__file__)

@pytest.fixture(scope="module")
def shared():
    with ThreadPoolExecutor(1) as pool:
        yield pool

# its thread starts in a trial
def test_borrows_when_it_fails(shared): pools.borrows_when_it_fails(shared, __file__)

# its thread was started by a test before
def test_borrows(shared): pools.borrows(shared, __file__)

@pytest.fixture(scope="module")
def started():
    with ThreadPoolExecutor(1) as pool:
        pool.submit(int).result()
        yield pool

def test_borrows_what_runs(started): pools.borrows(started, __file__)

@pytest.fixture(scope="module")
def shelf():
    kept = []
    yield kept
    for pool in kept:
        pool.shutdown()

def test_keeps(shelf): pools.keeps(shelf, __file__)

def test_keeps_when_it_fails(shelf): pools.keeps_when_it_fails(shelf, __file__)

@pytest.fixture
def never_shut():
    return ThreadPoolExecutor(1)

def test_gets_one(never_shut): pools.borrows(never_shut, __file__)

@pytest.fixture
def set_up():
    pools.leaves(__file__)

def test_is_set_up(set_up): pass

@pytest.fixture
def torn_down():
    yield
    pools.leaves(__file__)

def test_is_torn_down(torn_down): pass
"""


@pytest.fixture(scope="module")
def swept(run_tree, tmp_path_factory):
    """All of them in one process."""
    files = {"pools.py": POOLS, "test_it.py": TESTS}
    options = ("--leakguard-faults", "--leakguard-fault-families=acquire")
    return run_tree(tmp_path_factory.mktemp("pools"), files, *options)


@pytest.fixture(scope="module")
def told(swept):
    """Test -> kind, line and number of each of its findings that fail."""
    found: dict[str, list[tuple[str, int, int]]] = {}
    for finding in swept.findings:
        line = finding["origin"]["line"]
        found.setdefault(finding["test"].partition("::")[2], []).append((finding["kind"], line, finding["count"]))
    return found


def line_of(text: str) -> int:
    """The line of the module on which that text stands first."""
    return POOLS[: POOLS.index(text)].count("\n") + 1


def test_a_pool_that_is_not_shut_down_under_a_fault_is_told(swept, told):
    """Though its threads end with the error: the collector was the one to end them."""
    assert told["test_leaves"] == [("thread", line_of("# here"), 1)]
    (finding,) = swept.of("test_leaves")
    assert finding["verdict"] == "unclosed"


def test_a_pool_of_a_fixture_is_told_where_its_own_set_up_or_teardown_lost_it(told):
    """Not where the fault was in the test: the fixture would have left it without one too."""
    assert told["test_is_set_up"] == told["test_is_torn_down"] == [("thread", line_of("# here"), 1)]
    assert "test_gets_one" not in told


def test_one_pool_is_one_finding_of_a_trial(told):
    """However many threads it has; two are two, and a thread that ends by itself is none."""
    # where its second thread can't start, and where the file can't be opened
    assert told["test_leaves_two_threads"] == [("thread", line_of("ThreadPoolExecutor(2)"), 2)]
    # where the thread of the other can't start, and where the file can't be opened
    first, second = line_of("one = ThreadPoolExecutor"), line_of("return ThreadPoolExecutor")
    assert sorted(told["test_leaves_two_pools"]) == [("thread", first, 2), ("thread", second, 1)]
    assert told["test_leaves_one_beside_a_thread"] == [("thread", line_of("# beside"), 1)]


def test_a_pool_that_warns_of_itself_is_told_by_that(told):
    """And not once more."""
    assert [kind for kind, *_ in told["test_leaves_what_warns"]] == ["unclosed"]


def test_what_something_can_still_shut_down_is_not_told(told):
    """A pool that is shut down, one of a wider fixture whoever starts its thread, one kept where a fixture finds it."""
    safe = {"shuts", "borrows", "borrows_what_runs", "borrows_when_it_fails", "keeps", "keeps_when_it_fails"}
    assert not safe & {test.removeprefix("test_") for test in told}


def test_all_of_them_are_swept_to_the_end(swept):
    """None fails or leaks without a fault, before or after the trials."""
    assert swept.report["faults"]["stopped"] == []
    assert swept.report["faults"]["tests"] == TESTS.count("def test_")
