"""What tells of an acquisition, by version of Python: plain data, one row each.

The facts are those of CPython on Linux with glibc. One that changed is written as
``{"3.10": a, "3.12": b}``: a up to 3.11, and b from 3.12 on for all that come
after. So a new Python that does otherwise fails its test.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass
from typing import Any, Literal

Events = tuple[str, ...]
Dropped = Literal["warned", "silent", ""]


@dataclass(frozen=True, kw_only=True)
class Row:
    """One way to acquire, or to release, something.

    Attributes:
        does: the line that is watched; binds `it` where there is something to hold.
        first: what has to be there before, not watched.
        after: releases what is left, not watched.
        needs: a module's attribute that this Python may lack; the row is left out then.
        events: the audit events of the line, in order, those of imports left out.
        descriptors: how many more are open after it.
        dropped: whether a ResourceWarning tells when `it` is let go unreleased; "" where no object holds anything.
    """

    group: str
    does: str
    first: str = ""
    after: str = ""
    needs: str = ""
    events: Events | dict[str, Events] = ()
    descriptors: int = 0
    dropped: Dropped | dict[str, Dropped] = ""


def at(fact: Any, version: tuple[int, int]) -> Any:
    """A fact as that version has it: the entry of the newest version that is not newer."""
    if not isinstance(fact, dict):
        return fact
    return max((_numbers(since), value) for since, value in fact.items() if _numbers(since) <= version)[1]


def is_known(fact: dict[str, Any]) -> bool:
    """Whether the fact has begun with the Python that runs this."""
    return min(map(_numbers, fact)) <= sys.version_info[:2]


def _numbers(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in version.split("."))


# POSIX_SPAWN_CLOSEFROM, which glibc has, lets Popen use posix_spawn since 3.13
# fmt: off
ROWS: tuple[Row, ...] = (
    Row(group="files", does="it = open(FILE)", after="it.close()", events=("open",), descriptors=1,
        dropped="warned"),
    Row(group="files", does="it = open(NEW, 'w')", after="it.close(); os.unlink(NEW)", events=("open",),
        descriptors=1, dropped="warned"),
    Row(group="files", does="it = io.FileIO(FILE)", after="it.close()", events=("open",), descriptors=1,
        dropped="warned"),
    Row(group="files", does="it = io.open_code(FILE)", after="it.close()", events=("open",), descriptors=1,
        dropped="warned"),
    Row(group="files", does="it = pathlib.Path(FILE).open()", after="it.close()", events=("open",),
        descriptors=1, dropped="warned"),
    Row(group="files", does="it = gzip.open(FILE)", after="it.close()", events=("open",), descriptors=1,
        dropped="silent"),
    Row(group="files", does="it = os.open(FILE, os.O_RDONLY)", after="os.close(it)", events=("open",),
        descriptors=1),
    Row(group="files", does="it = os.open('name', os.O_RDONLY, dir_fd=DIR_FD)", after="os.close(it)",
        events=("open",), descriptors=1),
    Row(group="files", does="it = open(number)", first="number = os.open(FILE, os.O_RDONLY)", after="it.close()",
        events=("open",), dropped="warned"),
    Row(group="files", does="it = os.fdopen(number)", first="number = os.open(FILE, os.O_RDONLY)",
        after="it.close()", events=("open",), dropped="warned"),
    Row(group="files", does="it = os.scandir(HERE)", after="it.close()", events=("os.scandir",), descriptors=1,
        dropped="warned"),
    Row(group="descriptors", does="it = os.dup(0)", after="os.close(it)", descriptors=1),
    Row(group="descriptors", does="it = os.dup2(0, 99)", after="os.close(it)", descriptors=1),
    Row(group="descriptors", does="it = fcntl.fcntl(0, fcntl.F_DUPFD, 3)", after="os.close(it)",
        events=("fcntl.fcntl",), descriptors=1),
    Row(group="descriptors", does="it = os.pipe()", after="os.close(it[0]); os.close(it[1])", descriptors=2),
    Row(group="descriptors", does="it = os.pipe2(0)", after="os.close(it[0]); os.close(it[1])", needs="os.pipe2",
        descriptors=2),
    Row(group="descriptors", does="it = os.openpty()", after="os.close(it[0]); os.close(it[1])", descriptors=2),
    Row(group="descriptors", does="it = os.memfd_create('a')", after="os.close(it)", needs="os.memfd_create",
        descriptors=1),
    Row(group="descriptors", does="it = os.eventfd(0)", after="os.close(it)", needs="os.eventfd", descriptors=1),
    Row(group="descriptors", does="it = os.timerfd_create(time.CLOCK_MONOTONIC)", after="os.close(it)",
        needs="os.timerfd_create", events={"3.13": ()}, descriptors=1),
    Row(group="descriptors", does="it = os.pidfd_open(os.getpid())", after="os.close(it)", needs="os.pidfd_open",
        descriptors=1),
    Row(group="descriptors", does="it = select.epoll()", after="it.close()", needs="select.epoll", descriptors=1,
        dropped="silent"),
    Row(group="descriptors", does="it = selectors.DefaultSelector()", after="it.close()", descriptors=1,
        dropped="silent"),
    Row(group="descriptors", does="it = libc.inotify_init()", first="libc = ctypes.CDLL(None)",
        after="os.close(it)", descriptors=1),
    Row(group="sockets", does="it = socket.socket()", after="it.close()", events=("socket.__new__",),
        descriptors=1, dropped="warned"),
    Row(group="sockets", does="it = socket.create_server(('127.0.0.1', 0))", after="it.close()",
        events=("socket.__new__", "socket.bind"), descriptors=1, dropped="warned"),
    Row(group="sockets", does="it = socket.create_connection(server.getsockname())",
        first="server = socket.create_server(('127.0.0.1', 0))", after="it.close(); server.close()",
        events=("socket.getaddrinfo", "socket.__new__", "socket.connect"), descriptors=1, dropped="warned"),
    Row(group="sockets", does="it = server.accept()",
        first="server = socket.create_server(('127.0.0.1', 0)); peer = socket.create_connection(server.getsockname())",
        after="it[0].close(); peer.close(); server.close()", events=("socket.__new__",), descriptors=1,
        dropped="warned"),
    Row(group="sockets", does="it = socket.socketpair()", after="it[0].close(); it[1].close()",
        events=("socket.__new__", "socket.__new__"), descriptors=2, dropped="warned"),
    Row(group="sockets", does="it = other.dup()", first="other = socket.socket()",
        after="it.close(); other.close()", events=("socket.__new__",), descriptors=1, dropped="warned"),
    Row(group="sockets", does="it = socket.fromfd(other.fileno(), other.family, other.type)",
        first="other = socket.socket()", after="it.close(); other.close()", events=("socket.__new__",),
        descriptors=1, dropped="warned"),
    Row(group="sockets", does="it = socket.socket(fileno=number)", first="number = socket.socket().detach()",
        after="it.close()", events=("socket.__new__",), dropped="warned"),
    Row(group="sockets", does="it = socket.socket(); number = it.detach()", after="os.close(number)",
        events=("socket.__new__",), descriptors=1, dropped="silent"),
    Row(group="sockets", does="it = socket.socket(socket.AF_UNIX); it.bind(NEW)",
        after="it.close(); os.unlink(NEW)", needs="socket.AF_UNIX", events=("socket.__new__", "socket.bind"),
        descriptors=1, dropped="warned"),
    Row(group="threads", does="it = threading.Thread(target=int); it.start()", after="it.join()",
        events={"3.10": (), "3.12": ("_thread.start_new_thread",), "3.13": ("_thread.start_joinable_thread",)},
        dropped="silent"),
    Row(group="threads", does="it = _thread.start_new_thread(done.set, ())", first="done = threading.Event()",
        after="done.wait()", events={"3.10": (), "3.12": ("_thread.start_new_thread",)}),
    Row(group="threads", does="it = ThreadPoolExecutor(1); it.submit(int)", after="it.shutdown()",
        events={"3.10": (), "3.12": ("_thread.start_new_thread",), "3.13": ("_thread.start_joinable_thread",)},
        dropped="silent"),
    Row(group="processes", does="it = subprocess.Popen([TRUE])", after="it.wait()",
        events={"3.10": ("subprocess.Popen",), "3.13": ("subprocess.Popen", "os.posix_spawn")}, dropped="warned"),
    Row(group="processes", does="it = subprocess.Popen([TRUE], stdin=-1, stdout=-1)", after="it.communicate()",
        events={"3.10": ("open", "open", "subprocess.Popen"),
                "3.13": ("open", "open", "subprocess.Popen", "os.posix_spawn")},
        descriptors=2, dropped="warned"),
    Row(group="processes", does="it = subprocess.Popen([TRUE], preexec_fn=int)", after="it.wait()",
        events={"3.10": ("subprocess.Popen",), "3.14": ("subprocess.Popen", "_posixsubprocess.fork_exec")},
        dropped="warned"),
    Row(group="processes", does="it = os.fork() or os._exit(0)", after="os.waitpid(it, 0)", events=("os.fork",)),
    Row(group="processes", does="it = fork_with_pty()", after="os.waitpid(it[0], 0); os.close(it[1])",
        events=("os.forkpty",), descriptors=1),
    Row(group="processes", does="it = os.posix_spawn(TRUE, [TRUE], {})", after="os.waitpid(it, 0)",
        events=("os.posix_spawn",)),
    Row(group="processes", does="it = os.spawnv(os.P_NOWAIT, TRUE, [TRUE])", after="os.waitpid(it, 0)",
        events=("os.fork",)),
    Row(group="processes", does="it = os.popen(TRUE)", after="it.close()",
        events={"3.10": ("open", "subprocess.Popen"), "3.13": ("open", "subprocess.Popen", "os.posix_spawn")},
        descriptors=1, dropped="warned"),
    Row(group="processes", does="it = os.system(TRUE)", events=("os.system",)),
    Row(group="processes", does="it = multiprocessing.get_context('fork').Process(target=int); it.start()",
        after="it.join(); it.close()", events=("os.fork",), descriptors=2, dropped="silent"),
    Row(group="processes", does="it = multiprocessing.get_context('spawn').Process(target=int); it.start()",
        after="it.join(); it.close()", descriptors=2, dropped="silent",
        events={"3.10": ("open",), "3.14": ("_posixsubprocess.fork_exec", "open")}),
    Row(group="temporary files", does="it = tempfile.mkdtemp()", after="os.rmdir(it)",
        events=("tempfile.mkdtemp", "os.mkdir")),
    Row(group="temporary files", does="it = tempfile.mkstemp()", after="os.close(it[0]); os.unlink(it[1])",
        events=("tempfile.mkstemp", "open"), descriptors=1),
    Row(group="temporary files", does="it = tempfile.TemporaryDirectory()", after="it.cleanup()",
        events=("tempfile.mkdtemp", "os.mkdir"), dropped="warned"),
    Row(group="temporary files", does="it = tempfile.NamedTemporaryFile()", after="it.close()",
        events=("open", "tempfile.mkstemp", "open"), descriptors=1, dropped={"3.10": "silent", "3.14": "warned"}),
    Row(group="temporary files", does="it = tempfile.TemporaryFile()", after="it.close()",
        events=("open", "open"), descriptors=1, dropped="warned"),
    Row(group="temporary files", does="it = tempfile.SpooledTemporaryFile()", after="it.close()",
        dropped={"3.10": "silent", "3.11": "warned"}),
    Row(group="paths", does="os.mkdir(NEW)", after="os.rmdir(NEW)", events=("os.mkdir",)),
    Row(group="paths", does="os.link(FILE, NEW)", after="os.unlink(NEW)", events=("os.link",)),
    Row(group="paths", does="os.symlink(FILE, NEW)", after="os.unlink(NEW)", events=("os.symlink",)),
    Row(group="paths", does="os.rename(old, NEW)", first="old = NEW + 'o'; open(old, 'w').close()",
        after="os.unlink(NEW)", events=("os.rename",)),
    Row(group="paths", does="os.replace(old, NEW)", first="old = NEW + 'o'; open(old, 'w').close()",
        after="os.unlink(NEW)", events=("os.rename",)),
    Row(group="paths", does="os.mkfifo(NEW)", after="os.unlink(NEW)"),
    Row(group="paths", does="os.mknod(NEW)", after="os.unlink(NEW)"),
    Row(group="paths", does="shutil.copyfile(FILE, NEW)", after="os.unlink(NEW)",
        events=("shutil.copyfile", "open", "open")),
    Row(group="memory", does="it = mmap.mmap(-1, 4096)", after="it.close()", events=("mmap.__new__",),
        dropped="silent"),
    Row(group="memory", does="it = mmap.mmap(file.fileno(), 0, prot=mmap.PROT_READ)", first="file = open(FILE)",
        after="it.close(); file.close()", events=("mmap.__new__",), descriptors=1, dropped="silent"),
    Row(group="memory", does="it = SharedMemory(create=True, size=9)", after="it.close(); it.unlink()",
        events=("os.truncate", "mmap.__new__"), descriptors=2, dropped="silent"),
    Row(group="databases", does="it = sqlite3.connect(':memory:')", after="it.close()",
        events=("sqlite3.connect", "sqlite3.connect/handle"), dropped={"3.10": "silent", "3.13": "warned"}),
    Row(group="databases", does="it = sqlite3.connect(NEW)", after="it.close(); os.unlink(NEW)",
        events=("sqlite3.connect", "sqlite3.connect/handle"), descriptors=1,
        dropped={"3.10": "silent", "3.13": "warned"}),
    Row(group="databases", does="it = sqlite3.connect(NEW); it.execute('create table a (b)')",
        after="it.close(); os.unlink(NEW)", events=("sqlite3.connect", "sqlite3.connect/handle"), descriptors=1,
        dropped={"3.10": "silent", "3.13": "warned"}),
    Row(group="databases", does="it = sqlite3.Connection(':memory:')", after="it.close()",
        events=("sqlite3.connect", "sqlite3.connect/handle"), dropped={"3.10": "silent", "3.13": "warned"}),
    Row(group="asyncio", does="it = asyncio.new_event_loop()", after="it.close()",
        events=("socket.__new__", "socket.__new__"), descriptors=3, dropped="warned"),
    Row(group="asyncio", does="it = loop.create_task(asyncio.sleep(0))", first="loop = asyncio.new_event_loop()",
        after="loop.run_until_complete(it); loop.close()", dropped="silent"),
    Row(group="ends", does="file.close()", first="file = open(FILE)", descriptors=-1),
    Row(group="ends", does="os.close(number)", first="number = os.dup(0)", descriptors=-1),
    Row(group="ends", does="sock.close()", first="sock = socket.socket()", descriptors=-1),
    Row(group="ends", does="thread.join()", first="thread = threading.Thread(target=int); thread.start()"),
    Row(group="ends", does="child.wait()", first="child = subprocess.Popen([TRUE])"),
    Row(group="ends", does="os.waitpid(pid, 0)", first="pid = os.fork() or os._exit(0)"),
    Row(group="ends", does="child.terminate()", first="child = subprocess.Popen([CAT], stdin=-1)",
        after="child.wait()", events=("os.kill",)),
    Row(group="ends", does="os.unlink(NEW)", first="open(NEW, 'w').close()", events=("os.remove",)),
    Row(group="ends", does="os.rmdir(NEW)", first="os.mkdir(NEW)", events=("os.rmdir",)),
    Row(group="ends", does="shutil.rmtree(NEW)", first="os.mkdir(NEW)",
        events=("shutil.rmtree", "open", "os.scandir", "os.rmdir")),
    Row(group="ends", does="mapped.close()", first="mapped = mmap.mmap(-1, 4096)"),
    Row(group="ends", does="shm.unlink()", first="shm = SharedMemory(create=True, size=9); shm.close()"),
    Row(group="ends", does="database.close()", first="database = sqlite3.connect(':memory:')"),
    Row(group="heap", does="gc.get_objects()", events=("gc.get_objects",)),
    Row(group="heap", does="gc.get_referrers(done)", first="done = []", events=("gc.get_referrers",)),
    Row(group="heap", does="gc.get_referents(done)", first="done = []", events=("gc.get_referents",)),
)
# fmt: on
