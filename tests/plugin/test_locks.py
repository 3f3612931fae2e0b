"""Tracked locks: one that is still held when its owner is over is a leak, at the line that acquired it."""

from __future__ import annotations

import sys
import textwrap
import threading

import pytest

from pytest_leakguard.core.ledger import Ledger
from pytest_leakguard.origins.audit import Recorder
from pytest_leakguard.probes.locks import LockProbe

HEAD = """
import asyncio
import multiprocessing
import threading
import weakref

import pytest
from pytest_leakguard import track_lock

KEPT = []
SHARED = threading.Lock()


class Odd:
    held = False

    def acquire(self):
        self.held = True

    def locked(self):
        return self.held


@pytest.fixture(scope="module")
def shared():
    lock = track_lock(threading.Lock(), wrap=True)
    yield lock
    if lock.locked():
        lock.release()


@pytest.fixture(scope="module")
def leaky():
    lock = track_lock(SHARED, wrap=True)
    lock.acquire()  # leaky
    yield lock


def keep(lock):
    KEPT.append(lock)
    return lock
"""

# name -> (body, name of the class that is told, whether the line that acquires is known)
ROWS: dict[str, tuple[str, str, bool]] = {
    "released": ("with track_lock(keep(threading.Lock())): pass", "", False),
    "released_wrapped": ("with keep(track_lock(threading.Lock(), wrap=True)): pass", "", False),
    "released_and_dropped": ("with track_lock(threading.Lock(), wrap=True): pass", "", False),
    "released_by_hand": ("it = keep(track_lock(threading.RLock(), wrap=True))\nit.acquire()\nit.release()", "", False),
    "never_acquired": ("track_lock(keep(threading.Lock()))", "", False),
    "not_got": (
        "real = keep(threading.Lock())\nit = track_lock(real, wrap=True)\nreal.acquire()\n"
        "assert not it.acquire(False)\nassert not it.acquire(timeout=0.001)\nreal.release()",
        "",
        False,
    ),
    "of_a_fixture": ("shared.acquire()", "", False),
    "condition": (
        "it = keep(track_lock(threading.RLock(), wrap=True))\ncondition = threading.Condition(it)\n"
        "with condition: condition.wait(0.001)",
        "",
        False,
    ),
    "async_released": (
        "async def main():\n    async with keep(track_lock(asyncio.Lock(), wrap=True)) as it: assert it is None\n"
        "asyncio.run(main())",
        "",
        False,
    ),
    "not_tracked": ("keep(threading.Lock()).acquire()", "", False),
    "held": ("track_lock(keep(threading.Lock())).acquire()", "threading.Lock", False),
    "held_wrapped": ("it = keep(track_lock(threading.Lock(), wrap=True))\nit.acquire() #!", "threading.Lock", True),
    "held_and_dropped": ("it = track_lock(threading.Lock(), wrap=True)\nit.acquire() #!", "threading.Lock", True),
    "held_again": (
        "it = keep(track_lock(threading.Lock(), wrap=True))\nwith it: pass\nit.acquire() #!", "threading.Lock", True
    ),
    "held_r": ("track_lock(keep(threading.RLock())).acquire()", "threading.RLock", False),
    "held_r_once_too_often": (
        "it = keep(track_lock(threading.RLock(), wrap=True))\nwith it: it.acquire() #!", "threading.RLock", True
    ),
    "held_by_a_thread": (
        "it = keep(track_lock(threading.Lock(), wrap=True))\ndef work():\n    it.acquire() #!\n"
        "thread = threading.Thread(target=work)\nthread.start()\nthread.join()",
        "threading.Lock",
        True,
    ),
    "held_async": (
        "it = keep(track_lock(asyncio.Lock(), wrap=True))\nasync def main():\n    await it.acquire() #!\n"
        "asyncio.run(main())",
        "asyncio.Lock",
        True,
    ),
    "held_multiprocessing": (
        "it = keep(track_lock(multiprocessing.Lock(), wrap=True))\nit.acquire() #!", "multiprocessing.Lock", True
    ),
    "held_multiprocessing_r": (
        "keep(track_lock(multiprocessing.RLock())).acquire()", "multiprocessing.RLock", False
    ),
    "held_of_another_make": ("keep(track_lock(Odd())).acquire()", "test_it.Odd", False),
    "tracked_by_the_fixture": ("leak_check.track_lock(keep(threading.Lock())).acquire()", "threading.Lock", False),
    "no_lock": ("with pytest.raises(TypeError, match='no locked'): track_lock([])", "", False),
}  # fmt: skip

AFTER = """
def test_a_leaky_fixture(leaky): pass

def test_what_was_told_is_not_told_again(): pass

def test_a_lock_is_not_kept_alive():
    it = track_lock(threading.Lock())
    gone = weakref.ref(it)
    del it
    assert gone() is None
"""


def source_of(name: str, body: str) -> str:
    fixtures = ", ".join(fixture for fixture in ("shared", "leak_check") if f"{fixture}." in body)
    marked = body.replace(" #!", f"  # {name}")
    return f"def test_{name}({fixtures}):\n{textwrap.indent(marked, '    ')}\n\n\n"


SOURCE = HEAD + "".join(source_of(name, row[0]) for name, row in ROWS.items()) + AFTER


@pytest.fixture(scope="module")
def told(tmp_path_factory, run_tree):
    """One run over all rows."""
    return run_tree(tmp_path_factory.mktemp("locks"), {"test_it.py": SOURCE}, "--leakguard-grace=0.05")


@pytest.mark.parametrize("name", ROWS)
def test_a_lock_that_is_held_is_one_finding(told, name):
    """Released it is never mentioned; held it is told by its class, wrapped at the line that acquired it last."""
    _, lock, is_known = ROWS[name]
    findings = told.of(f"::test_{name}")
    assert [(f["kind"], f["what"], f["count"]) for f in findings] == (
        [("lock", f"{lock}, tracked, still held", 1)] if lock else []
    )
    for finding in findings:
        line = SOURCE.splitlines()[finding["origin"]["line"] - 1]
        assert line.endswith(f"# {name}") == is_known
        assert ("wrap=True" in finding["fix"]) != is_known


def test_nothing_else_is_told(told):
    """All tests pass; the lock of the leaky fixture is told on that."""
    (finding,) = [f for f in told.report["findings"] if f["owner"]["kind"] == "fixture"]
    assert (finding["owner"]["name"], finding["kind"], finding["phase"]) == ("leaky", "lock", "setup")
    assert len(told.report["findings"]) == 1 + sum(bool(row[1]) for row in ROWS.values())
    assert told.result.parseoutcomes().get("failed") is None, told.text


def test_without_a_check_it_does_nothing(pytester, monkeypatch):
    """The function may stay in the code: no flag, no marker, and the lock comes back as it is."""
    monkeypatch.setenv("PYTEST_DISABLE_PLUGIN_AUTOLOAD", "1")
    pytester.makepyfile(
        """
        import threading
        from pytest_leakguard import track_lock

        def test_it():
            lock = threading.Lock()
            assert track_lock(lock) is lock
            assert track_lock(lock, wrap=True) is lock
            lock.acquire()
        """
    )
    pytester.runpytest("-p", "leakguard").assert_outcomes(passed=1)


def test_the_fixture_alone_is_enough(alone, pytester):
    """Without flag and marker, a test that uses leak_check is judged by what it gave to it, from its set-up on."""
    pytester.makepyfile(
        """
        import threading
        import pytest
        from pytest_leakguard import track_lock

        KEPT = []

        @pytest.fixture
        def early():
            KEPT.append(track_lock(threading.Lock()))
            KEPT[-1].acquire()

        def test_before_it_was_made(early, leak_check): pass

        def test_held(leak_check):
            KEPT.append(leak_check.track_lock(threading.Lock()))
            KEPT[-1].acquire()

        def test_block(leak_check):
            import pytest
            from pytest_leakguard import LeakError
            KEPT.append(leak_check.track_lock(threading.Lock(), wrap=True))
            with pytest.raises(LeakError, match="threading.Lock, tracked, still held"), leak_check():
                KEPT[-1].acquire()
        """
    )
    ran = alone("--leakguard-grace=0.05", flag=())
    told = [(f["test"].partition("::")[2], f["kind"]) for f in ran.findings]
    assert told == [("test_before_it_was_made", "lock"), ("test_held", "lock")]
    ran.result.assert_outcomes(passed=3)


def test_a_lock_that_died_held_is_forgotten_once_it_was_told():
    """Until then it is seen; afterwards no test asks for it any more."""
    # started, it would take the place of the recorder that watches this very suite
    recorder = Recorder(Ledger())
    recorder.active = True
    probe = LockProbe(recorder)
    probe.track(threading.Lock(), sys._getframe(), wrap=True).acquire()
    (key,) = probe.keys()
    record = probe.record(key)
    assert record is not None
    assert not probe.moves_are_recorded
    record.blamed = True  # as the guard does that tells it
    assert probe.keys() == frozenset()
    assert probe.moves_are_recorded
