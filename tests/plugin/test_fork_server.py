"""Children that multiprocessing's fork server starts, the default on Linux since 3.14: processes like others."""

from __future__ import annotations

import multiprocessing

import pytest

pytestmark = pytest.mark.skipif(
    "forkserver" not in multiprocessing.get_all_start_methods(), reason="there is no fork server here"
)

SUITE = """
import multiprocessing
import multiprocessing.connection
import time

import pytest

KEPT = []
SERVED = multiprocessing.get_context("forkserver")


def served(**options):
    KEPT.append(SERVED.Process(target=time.sleep, args=(600,), daemon=True, **options))
    return KEPT[-1]


def start():
    it = SERVED.Process(target=time.sleep, args=(600,), daemon=True)
    it.start()
    return it


def end(it):
    it.terminate()
    it.join()


@pytest.fixture
def narrow_leaky():
    served().start()  # narrow


@pytest.fixture
def narrow_leaky_at_last():
    yield
    served().start()  # at last


@pytest.fixture(scope="module")
def wide_leaky():
    served().start()  # wide
    yield


@pytest.fixture(scope="module")
def wide():
    it = start()
    yield it
    end(it)


@pytest.fixture(scope="module")
def wide_pool():
    kept = []
    yield kept
    for it in kept:
        end(it)


def test_kept():
    served().start()  # kept

def test_dropped():
    served(name="dropped").start()  # dropped
    KEPT.pop()

def test_ended_and_never_joined():
    it = SERVED.Process(target=int)
    it.start()  # ended
    multiprocessing.connection.wait([it.sentinel])

def test_two():
    for _ in range(2):
        served().start()  # two

def test_of_a_fixture(narrow_leaky):
    pass

def test_of_a_teardown(narrow_leaky_at_last):
    pass

def test_of_a_wider_fixture(wide_leaky):
    pass

def test_clean():
    end(start())

def test_clean_and_closed():
    it = start()
    end(it)
    it.close()

def test_clean_though_an_error_came():
    it = start()
    with pytest.raises(ZeroDivisionError):
        try:
            1 / 0
        finally:
            end(it)

def test_clean_by_itself():
    it = SERVED.Process(target=int)
    it.start()
    it.join()

def test_clean_pool():
    with SERVED.Pool(1) as it:
        it.apply(int)
    it.join()

def test_clean_fixture(wide):
    assert wide.is_alive()

def test_clean_in_a_wider_fixture(wide_pool):
    wide_pool.append(start())
"""


def test_each_is_one_process_at_its_line(run_tree, tmp_path_factory):
    """Its pipes are parts of it; the server and what was joined are not told."""
    # the server's socket lies in the temporary folder, and such a path has to be short
    folder = tmp_path_factory.mktemp("s")
    ran = run_tree(folder, {"test_it.py": SUITE}, "--leakguard-grace=0.1")
    made = {text.rpartition("# ")[2]: n for n, text in enumerate(SUITE.splitlines(), 1) if "  # " in text}
    told = {(f["kind"], f["owner"]["name"].rpartition("::")[2], f["origin"]["line"], f["count"]) for f in ran.findings}
    assert told == {
        ("process", "test_kept", made["kept"], 1),
        ("process", "test_dropped", made["dropped"], 1),
        ("process", "test_ended_and_never_joined", made["ended"], 1),
        ("process", "test_two", made["two"], 2),
        ("process", "test_of_a_fixture", made["narrow"], 1),
        ("process", "test_of_a_teardown", made["at last"], 1),
        ("process", "wide_leaky", made["wide"], 1),
    }
    assert len(ran.findings) == len(told)
    (dropped,) = ran.of("::test_dropped")
    assert dropped["what"].endswith(", running: dropped")
    (ended,) = ran.of("::test_ended_and_never_joined")
    assert ended["what"].endswith(", ended: ForkServerProcess")
    assert ended["fix"] == "it has ended: wait for it (join())"
