"""`guard` outside pytest, each script in a process of its own; and inside a test, with leakguard on and off."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

HEAD = """
import asyncio, contextlib, inspect, os, socket, sys, threading
from pytest_leakguard import LeakError, guard

KEPT = []
PATH = __file__

def leaks(*kinds):
    '''What is raised in the block, as LeakError with findings of these kinds.'''
    @contextlib.contextmanager
    def expected():
        try:
            yield
        except LeakError as error:
            assert tuple(f.kind for f in error.findings) == kinds, error
            found.append(error)
        else:
            raise AssertionError("nothing was told")
    return expected()

def names(error):
    return [os.path.basename(finding.subject) for finding in error.findings]

found = []
"""

SCRIPTS = {
    "a number that is closed twice": """
def twice():
    number = os.open(PATH, os.O_RDONLY)
    os.close(number)
    with contextlib.suppress(OSError):
        os.close(number)
with leaks("fd"), guard(trace=True):
    twice()
(finding,) = found[0].findings
assert finding.verdict == "misclosed" and "closed twice" in finding.what, finding
assert (finding.origin.file, finding.origin.function) == ("script.py", "twice")
assert (finding.owner.kind, finding.test) == ("block", "")
assert [note.partition(": script.py:")[0] for note in finding.notes] == ["closed", "closed before", "opened"]
""",
    "a file that is closed under its object, in a coroutine": """
@guard("fd", trace=True)
async def load():
    file = open(PATH)
    os.close(file.fileno())
    with contextlib.suppress(OSError):
        file.close()
with leaks("fd"):
    asyncio.run(load())
assert found[0].findings[0].what.endswith("closed by os.close under the file object that owns it")
""",
    "a socket that is closed under its object is seen without a trace": """
async def main():
    async with guard():
        KEPT.append(socket.socket())
        os.close(KEPT[-1].fileno())
with leaks("socket"):
    asyncio.run(main())
assert (found[0].findings[0].verdict, found[0].findings[0].origin.file) == ("misclosed", None)
with guard():
    pass  # it is told once
KEPT.pop().detach()
""",
    "the block in which it was done tells it": """
with guard(trace=True):
    with leaks("fd"), guard(trace=True):
        number = os.open(PATH, os.O_RDONLY)
        os.close(number)
        with contextlib.suppress(OSError):
            os.close(number)
with leaks("fd"), guard(trace=True):
    number = os.open(PATH, os.O_RDONLY)
    os.close(number)
    with contextlib.suppress(OSError):
        os.close(number)
    with guard(trace=True):
        pass
""",
    "closes that are right": """
before = os.close, sys.getprofile()
with guard(trace=True):
    os.close(os.open(PATH, os.O_RDONLY))
    with open(PATH) as file, socket.socket():
        os.close(os.dup(file.fileno()))
assert (os.close, sys.getprofile()) == before
""",
    "only the kinds that were asked for, of wrong closes too": """
with guard("thread"):
    sock = socket.socket()
    os.close(sock.fileno())
sock.detach()
""",
    "a block that releases": "with guard():\n    open(PATH).close()",
    "no pytest": "with guard():\n    pass\nassert 'pytest' not in sys.modules and '_pytest' not in sys.modules",
    "a block that leaks": """
def load():
    with leaks("fd"), guard():
        KEPT.append(open(PATH))
load()
(finding,) = found[0].findings
assert (finding.owner.kind, finding.owner.name, finding.test) == ("block", "guard() in load", "")
assert finding.owner.where.startswith("script.py:")
assert (finding.origin.file, finding.origin.function) == ("script.py", "load")
assert finding.allow == f'guard(allow="fd:{finding.subject} -- <reason>")'
assert finding.due == "end of the block; still open, 1 look in 0 s"
assert "LEAK fd  guard() in load, script.py:" in str(found[0])
""",
    "what was there before is not told": "KEPT.append(open(PATH))\nwith guard():\n    pass",
    "only the kinds that were asked for": "with guard('socket'):\n    KEPT.append(open(PATH))",
    "an allowed leak": "with guard(allow='fd:*.py -- on purpose'):\n    KEPT.append(open(PATH))",
    "a rule that does not fit": """
with leaks("fd"), guard(allow=["fd:*.csv -- on purpose"]):
    KEPT.append(open(PATH))
""",
    "an import is nobody's": """
open("lazy.py", "w").write("STREAM = open(__file__)")
sys.dont_write_bytecode = True
sys.path.insert(0, os.getcwd())
with guard():
    import lazy
""",
    "state on request": """
with leaks("state", "state"), guard("+state"):
    os.environ["ROOF"] = "1"
    os.chdir("/")
assert [f.subject for f in found[0].findings] == ["cwd", "environ ROOF"]
with guard("+state"):
    os.environ["ROOF"] = "2"
    os.environ["ROOF"] = "1"
with guard():
    os.environ["ROOF"] = "3"
""",
    "the error of the body stays": """
try:
    with guard():
        KEPT.append(open(PATH))
        raise KeyError("mine")
except KeyError as error:
    notes = getattr(error, "__notes__", [])
    assert sys.version_info < (3, 11) or "LEAK fd" in notes[0], notes
""",
    "a nested guard tells once": """
with guard():
    with leaks("fd"), guard():
        KEPT.append(open(PATH))
with leaks("fd"), guard():
    with guard():
        pass
    KEPT.append(open(PATH))
""",
    "a decorated function": """
@guard()
def load(path, *, keep):
    "its words"
    stream = open(path)
    KEPT.append(stream) if keep else stream.close()
    return 7
assert load(PATH, keep=False) == 7
assert (load.__name__, load.__doc__) == ("load", "its words")
with leaks("fd"):
    load(PATH, keep=True)
assert found[0].findings[0].owner.name == "guard() of load"
""",
    "a recursive function": """
@guard()
def down(n):
    if n:
        return down(n - 1)
    KEPT.append(open(PATH))
with leaks("fd"):
    down(3)
""",
    "a decorated coroutine function": """
@guard(grace=0)
async def load(keep):
    stream = open(PATH)
    await asyncio.sleep(0)
    KEPT.append(stream) if keep else stream.close()
    return 7
assert inspect.iscoroutinefunction(load)
assert asyncio.run(load(False)) == 7
with leaks("fd"):
    asyncio.run(load(True))
assert found[0].findings[0].owner.name == "guard() of load"
""",
    "an async block lets the loop release": """
async def serve():
    async with guard():
        one, other = socket.socketpair()
        reader, writer = await asyncio.open_connection(sock=one)
        writer.close()
        other.close()
asyncio.run(serve())
""",
    "an async block that leaks": """
async def serve():
    async with guard(grace=0.05):
        KEPT.append(socket.socket())
with leaks("socket"):
    asyncio.run(serve())
""",
    "a cancelled block ends at once": """
async def wait():
    async with guard(grace=60):
        KEPT.append(socket.socket())
        await asyncio.sleep(60)
async def cancel():
    task = asyncio.create_task(wait())
    await asyncio.sleep(0)
    task.cancel()
    try:
        await task
    except asyncio.CancelledError as error:
        notes = getattr(error, "__notes__", [])
        assert sys.version_info < (3, 11) or "LEAK socket" in notes[0], notes
asyncio.run(cancel())
""",
    "trio": """
try:
    import trio
except ImportError:
    sys.exit()
async def serve():
    async with guard(grace=0.05):
        await trio.sleep(0)
    async with guard(grace=0.05):
        KEPT.append(socket.socket())
with leaks("socket"):
    trio.run(serve)
""",
    "tasks at once": """
async def one(name, leaky, ready):
    async with guard("fd", grace=0):
        stream = open(name, "w")
        await ready.wait()
        KEPT.append(stream) if leaky else stream.close()
    return name
async def both():
    ready = asyncio.Barrier(3) if hasattr(asyncio, "Barrier") else None
    if ready is None:
        return [LeakError([])] * 2 + ["skipped"]
    tasks = [one(name, name != "c", ready) for name in "abc"]
    return await asyncio.gather(*tasks, return_exceptions=True)
a, b, c = asyncio.run(both())
if c != "skipped":
    assert c == "c"
    assert [names(a), names(b)] == [["a"], ["b"]], (a, b)
""",
    "threads at once": """
barrier = threading.Barrier(3)
told = {}
def one(name, leaky):
    try:
        with guard("fd", grace=0):
            stream = open(name, "w")
            barrier.wait()
            KEPT.append(stream) if leaky else stream.close()
            barrier.wait()
        told[name] = []
    except LeakError as error:
        told[name] = names(error)
threads = [threading.Thread(target=one, args=(name, name != "c")) for name in "abc"]
[thread.start() for thread in threads]
[thread.join() for thread in threads]
assert told == {"a": ["a"], "b": ["b"], "c": []}, told
""",
    "threads that overtake each other at the door": """
from pytest_leakguard import guarding
class Door:
    # whoever comes first goes in last
    def __init__(self, lock):
        self.lock, self.came, self.passed = lock, [], threading.Event()
    def __enter__(self):
        if not self.came:
            self.came.append(threading.current_thread())
            self.passed.wait()
        self.lock.acquire()
    def __exit__(self, *error):
        self.lock.release()
told = {}
def one(name, leaky):
    try:
        with guard("fd", grace=0):
            if not leaky:
                door.passed.set()
            barrier.wait()
            if leaky:
                KEPT.append(open(name, "w"))
            barrier.wait()
            if leaky:
                barrier.wait()
        told[name] = []
    except LeakError as error:
        told[name] = names(error)
    if not leaky:
        barrier.wait()  # the first to end
with guard("fd"):  # the ground is there
    ground = guarding._own[-1]
    door = ground.looking = Door(ground.looking)
    barrier = threading.Barrier(2)
    late = threading.Thread(target=one, args=("late", True))
    late.start()
    while not door.came:
        pass
    early = threading.Thread(target=one, args=("early", False))
    early.start()
    late.join(), early.join()
    ground.looking = door.lock
    KEPT.pop().close()
assert told == {"late": ["late"], "early": []}, told
""",
    "a copy of what another thread's block opened": """
barrier = threading.Barrier(2)
told = {}
def one(name, leaky):
    try:
        with guard("fd", grace=0):
            barrier.wait()  # both have begun
            if leaky:
                stream = open(name, "w")
                KEPT.append((stream, os.dup(stream.fileno())))
            barrier.wait()
            if leaky:
                barrier.wait()
        told[name] = []
    except LeakError as error:
        told[name] = names(error)
    if not leaky:
        barrier.wait()  # the first to end
threads = [threading.Thread(target=one, args=(name, name == "a")) for name in "ab"]
[thread.start() for thread in threads]
[thread.join() for thread in threads]
assert told["b"] == [], told
assert set(told["a"]) == {"a"}, told
""",
    "a thread of the block works for it": """
def work():
    KEPT.append(open(PATH))
with leaks("fd"), guard():
    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
""",
    "one guard entered again and again": """
again = guard()
for _ in range(3):
    with again:
        with again:
            open(PATH).close()
with leaks("fd"), again:
    KEPT.append(open(PATH))
""",
    "a fork of the block says nothing": """
with guard("fd"):
    pid = os.fork()
    if not pid:
        KEPT.append(open(PATH))
    else:
        assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
""",
    "an exception group": """
if sys.version_info >= (3, 11):
    exec('''
told = []
try:
    raise ExceptionGroup("both", [LeakError([]), ValueError()])
except* LeakError as group:
    told += group.exceptions
except* ValueError:
    pass
assert isinstance(told[0], LeakError)
''')
import pickle
with leaks("fd"), guard():
    KEPT.append(open(PATH))
assert pickle.loads(pickle.dumps(found[0])).findings == found[0].findings
""",
    "what is refused": """
def generator():
    yield
async def agenerator():
    yield
class Thing:
    pass
for make, error, words in (
    (lambda: guard("fsd"), ValueError, "guard(): unknown kind 'fsd'; did you mean 'fd'?"),
    (lambda: guard(allow="fd:x"), ValueError, "has no reason"),
    (lambda: guard(grace=-1), ValueError, "bad time -1"),
    (lambda: guard(Thing), TypeError, "Write @guard() with its parentheses"),
    (lambda: guard()(generator), TypeError, "can't decorate the generator function generator"),
    (lambda: guard()(agenerator), TypeError, "can't decorate the generator function agenerator"),
    (lambda: guard()(Thing), TypeError, "decorates functions"),
    (lambda: guard()(7), TypeError, "decorates functions"),
):
    try:
        make()
    except error as raised:
        assert words in str(raised), raised
    else:
        raise AssertionError(words)
""",
    "as often as anybody likes": """
import asyncio
from pytest_leakguard.origins import hook
async def step(): await asyncio.sleep(0)
for number in range(1100):
    with guard():
        pass
with guard():
    import colorsys
    asyncio.run(step())
    # the one handler itself, not a chain that grew with each block
    assert hook._handlers["import"].__name__ == "_on_import", hook._handlers["import"]
assert not hook.failures(), hook.failures()
with leaks("fd"), guard():
    KEPT.append(open(PATH))
""",
    "nothing goes on after the last block": """
import threading, warnings
from pytest_leakguard.origins import hook
before = list(warnings.filters)
with guard():
    assert hook._handlers
assert not hook._handlers
assert warnings.filters == before
""",
}


@pytest.mark.parametrize("name", SCRIPTS, ids=[name.replace(" ", "-") for name in SCRIPTS])
def test_guard_outside_pytest(tmp_path, name):
    """The script ends without an error."""
    (tmp_path / "script.py").write_text(HEAD + SCRIPTS[name], "utf-8")
    ended = subprocess.run(
        [sys.executable, "script.py"], cwd=tmp_path, capture_output=True, text=True, timeout=60, check=False,
        env=os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
    )  # fmt: skip
    assert ended.returncode == 0, ended.stderr
    assert ended.stderr == ""


INSIDE = """
import os, socket
import pytest
from pytest_leakguard import LeakError, guard

KEPT = []

def test_clean(tmp_path):
    with guard():
        (tmp_path / "a").write_text("x")

def test_told_by_the_guard_alone():
    with pytest.raises(LeakError) as raised:
        with guard():
            KEPT.append(open(__file__))
    (finding,) = raised.value.findings
    assert finding.test.endswith("::test_told_by_the_guard_alone")
    assert (finding.owner.kind, finding.phase) == ("test", "call")

def test_guard_within_leak_check(leak_check):
    with leak_check():
        with pytest.raises(LeakError):
            with guard():
                KEPT.append(socket.socket())

def test_leak_check_within_guard(leak_check):
    with guard():
        with pytest.raises(LeakError):
            with leak_check():
                KEPT.append(socket.socket())

@pytest.mark.no_leaks
def test_outside_of_the_block():
    with guard():
        pass
    KEPT.append(open(__file__))

@pytest.mark.no_leaks
@pytest.mark.allow_leaks("socket:*", reason="kept")
def test_the_rules_of_the_test_hold():
    with guard():
        KEPT.append(socket.socket())

@guard()
def test_decorated(tmp_path):
    assert tmp_path
"""


@pytest.mark.parametrize("flag", [(), ("--leakguard",)], ids=["without the flag", "with the flag"])
def test_guard_inside_a_test(alone, pytester, flag):
    """Told by the guard, nothing is told again at the end of the test; what the block did not see is."""
    pytester.makepyfile(INSIDE)
    ran = alone(flag=flag)
    ran.result.assert_outcomes(passed=7)
    assert [f["test"].partition("::")[2] for f in ran.findings] == ["test_outside_of_the_block"]


def test_guard_in_a_session_that_checks_nothing(pytester, monkeypatch):
    """Paths are told from the root folder, and files that pytest cleans up are no leaks."""
    monkeypatch.setenv("PYTEST_DISABLE_PLUGIN_AUTOLOAD", "1")
    pytester.makepyfile(
        """
        import pytest
        from pytest_leakguard import LeakError, guard
        def test_it(tmp_path, monkeypatch):
            monkeypatch.chdir(tmp_path)
            with pytest.raises(LeakError) as raised:
                with guard():
                    (tmp_path / "kept").write_text("x")
                    stream = open(__file__)
            stream.close()
            (finding,) = raised.value.findings
            assert finding.origin.file == "test_guard_in_a_session_that_checks_nothing.py"
            assert finding.allow.startswith("@pytest.mark.allow_leaks(")
        """
    )
    result = pytester.runpytest("-p", "leakguard", f"--basetemp={pytester.path / 'base'}")
    result.assert_outcomes(passed=1)
