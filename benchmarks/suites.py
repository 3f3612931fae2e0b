"""The suites that are measured, written into a folder: plain tests, all green, nothing left behind."""

from __future__ import annotations

from pathlib import Path

MODULES = 20

_TRIVIAL = """
def test_{n}():
    assert {n} + 1 == 1 + {n}
"""

_FILE = """
def test_file_{n}(tmp_path):
    path = tmp_path / "data.txt"
    with path.open("w") as file:
        file.write("{n}")
    with path.open() as file:
        assert file.read() == "{n}"
"""

_SOCKET = """
def test_socket_{n}():
    with socket.create_server(("127.0.0.1", 0)) as server:
        with socket.create_connection(server.getsockname()) as client, server.accept()[0] as peer:
            client.sendall(b"{n}")
            client.shutdown(socket.SHUT_WR)
            assert peer.recv(16) == b"{n}"
"""

_THREAD = """
def test_thread_{n}():
    done = threading.Event()
    thread = threading.Thread(target=done.set)
    thread.start()
    thread.join()
    assert done.is_set()
"""

_TRACKED = """
def test_session_{n}():
    session = tracked.Session({n})
    with tracked.Connection() as connection:
        assert connection.ask(session) == {n}
"""

_TRACKED_MODULE = """
class Session:
    def __init__(self, number):
        self.number = number


class Connection:
    def ask(self, session):
        return session.number

    def close(self):
        pass

    def __enter__(self):
        return self

    def __exit__(self, *error):
        self.close()
"""

_HEAP = """
HEAP = [[number] for number in range(1_000_000)]  # lists: the collector tracks each
"""


_ASYNC = """
@pytest.mark.asyncio
async def test_async_{n}():
    task = asyncio.get_running_loop().create_task(asyncio.sleep(0, {n}))
    assert await task == {n}
"""

# what the process holds all the time while the tests of `growth` run; none of it is a leak of a test
_HELD_DESCRIPTORS = """
import os, resource

resource.setrlimit(resource.RLIMIT_NOFILE, (resource.getrlimit(resource.RLIMIT_NOFILE)[1],) * 2)
HELD = [os.open(os.devnull, os.O_RDONLY) for number in range({count})]
"""

_HELD_THREADS = """
import threading

threading.stack_size(256 * 1024)
END = threading.Event()
HELD = [threading.Thread(target=END.wait, daemon=True) for number in range({count})]
for thread in HELD:
    thread.start()


def pytest_unconfigure():
    END.set()
    for thread in HELD:
        thread.join()
"""

_HELD_OBJECTS = """
HELD = [[] for number in range({count})]  # lists: the collector tracks each
"""


def _write(folder: Path, templates: tuple[str, ...], count: int, extra: str = "") -> int:
    """Spread `count` tests, the templates in turn, over MODULES files."""
    folder.mkdir(parents=True)
    (folder / "pytest.ini").write_text("[pytest]\n", encoding="utf-8")
    for module in range(MODULES):
        tests = (templates[n % len(templates)].format(n=n) for n in range(module, count, MODULES))
        text = "import socket\nimport threading\n\n" + extra + "\n".join(tests)
        (folder / f"test_{module:02}.py").write_text(text, encoding="utf-8")
    return count


def one(folder: Path) -> int:
    """One trivial test, for what happens before the loop."""
    return _write(folder, (_TRIVIAL,), 1)


def short(folder: Path) -> int:
    """1,000 tests that do nothing: the tightest budget needs many pairs rather than long ones."""
    return _write(folder, (_TRIVIAL,), 1000)


def trivial(folder: Path) -> int:
    """2,000 tests that do nothing: what is left is pytest's own time, the hardest to be small against."""
    return _write(folder, (_TRIVIAL,), 2000)


def resources(folder: Path) -> int:
    """1,500 tests; of three, one opens files, one sockets, one a thread, and all close what they opened."""
    return _write(folder, (_FILE, _SOCKET, _THREAD), 1500)


def heap(folder: Path) -> int:
    """2,000 trivial tests with 1,000,000 objects of the suite's own alive."""
    count = _write(folder, (_TRIVIAL,), 2000)
    (folder / "conftest.py").write_text(_HEAP, encoding="utf-8")
    return count


def tracked(folder: Path) -> int:
    """1,000 tests that make two objects of classes that are watched, with 1,000,000 other objects alive."""
    count = _write(folder, (_TRACKED,), 1000, "import tracked\n\n")
    (folder / "tracked.py").write_text(_TRACKED_MODULE, encoding="utf-8")
    (folder / "conftest.py").write_text(_HEAP, encoding="utf-8")
    return count


def few_resources(folder: Path) -> int:
    """The tests of `resources`, as many as tools that list everything can bear."""
    return _write(folder, (_FILE, _SOCKET, _THREAD), 300)


def few_with_heap(folder: Path) -> int:
    """200 trivial tests with 1,000,000 objects alive: as many as tools that look at the whole heap can bear."""
    count = _write(folder, (_TRIVIAL,), 200)
    (folder / "conftest.py").write_text(_HEAP, encoding="utf-8")
    return count


def coroutines(folder: Path) -> int:
    """300 coroutines, each in a loop of its own, that make a task and await it."""
    return _write(folder, (_ASYNC,), 300, "import asyncio\nimport pytest\n\n")


def many(folder: Path, count: int) -> int:
    """So many tests that do nothing."""
    return _write(folder, (_TRIVIAL,), count)


def with_held(folder: Path, what: str, count: int) -> int:
    """200 tests that open a file, a socket or a thread and close it, beside what the process holds anyway.

    Args:
        folder: where the suite is written.
        what: `descriptors`, `threads` or `objects`.
        count: how many of them are held.
    """
    tests = _write(folder, (_FILE, _SOCKET, _THREAD), 200)
    held = {"descriptors": _HELD_DESCRIPTORS, "threads": _HELD_THREADS, "objects": _HELD_OBJECTS}[what]
    (folder / "conftest.py").write_text(held.format(count=count), encoding="utf-8")
    return tests
