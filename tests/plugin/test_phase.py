"""The phase of an acquisition is right whatever the test does to the environment."""

from __future__ import annotations

import pytest

FILE = """
import os, threading, pytest
KEPT = []

def leak():
    KEPT.append(open(__file__))

def in_thread():
    worker = threading.Thread(target=leak)
    worker.start()
    worker.join()

@pytest.fixture(autouse=True)
def environment():
    before = dict(os.environ)
    yield
    os.environ.clear()
    os.environ.update(before)

@pytest.fixture
def around(request):
    request.param("setup")
    yield
    request.param("teardown")

def only_in(phase, acquire):
    def run(now):
        if now == phase:
            os.environ.clear()
            acquire()
    return run

# first what clears nothing: pytest's variable tells
@pytest.fixture
def kept():
    leak()

def test_fixture(kept): pass

def test_body():
    leak()

def test_finalizer(request):
    request.addfinalizer(leak)

@pytest.mark.parametrize("around", [only_in("setup", leak)], indirect=True, ids=["-"])
def test_setup(around): pass

@pytest.mark.parametrize("around", [only_in("teardown", leak)], indirect=True, ids=["-"])
def test_teardown(around): pass

def test_call():
    os.environ.clear()
    leak()

def test_own_words_in_call(monkeypatch):
    monkeypatch.setenv("PYTEST_CURRENT_TEST", "mine (all of it)")
    leak()

def test_call_then_teardown(request):
    os.environ.clear()
    request.addfinalizer(leak)

def test_thread_in_call():
    in_thread()

@pytest.mark.parametrize("around", [only_in("setup", in_thread)], indirect=True, ids=["-"])
def test_thread_after_clearing(around): pass
"""


@pytest.mark.parametrize(
    ("test", "phase"),
    [
        ("test_fixture", "setup"),
        ("test_body", "call"),
        ("test_finalizer", "teardown"),
        ("test_setup", "setup"),
        ("test_teardown", "teardown"),
        ("test_call", "call"),
        ("test_own_words_in_call", "call"),
        ("test_call_then_teardown", "teardown"),
        ("test_thread_in_call", "call"),
        # of another thread only the last phase that was known can be told
        ("test_thread_after_clearing", "setup"),
    ],
)
def test_the_phase_is_known(ran, test, phase):
    """From pytest's variable, or by the frames where the test has cleared it."""
    (finding,) = ran.of(test)
    assert finding["phase"] == phase


@pytest.fixture(scope="module")
def ran(run_tree, tmp_path_factory):
    return run_tree(tmp_path_factory.mktemp("phases"), {"test_a.py": FILE})
