"""The descriptor table: the same numbers however it is read, and what is told of each descriptor."""

from __future__ import annotations

import errno
import json
import os
import select
import socket
import stat
import subprocess
import sys
from contextlib import ExitStack, closing
from pathlib import Path

import pytest

from pytest_leakguard import _real
from pytest_leakguard.probes.descriptors import FOLDERS, SCANNED_AT_MOST, DescriptorTable
from pytest_leakguard.probes.fds import FdProbe
from pytest_leakguard.probes.sockets import SocketProbe

HAS_FOLDER = any(os.path.isdir(folder) for folder in FOLDERS)
needs_proc = pytest.mark.skipif(not os.path.isdir("/proc/self/fd"), reason="what a descriptor is, is told by /proc")


def keys_of(number: int) -> set[tuple[int, int, int, int]]:
    """The table's keys with that number."""
    return {key for key in DescriptorTable().read() if key[0] == number}


# -- the table


def test_without_a_folder_the_same_descriptors_are_seen(tmp_path):
    """No /proc, no /dev/fd: asking for each number in turn gives the same keys."""
    listed, scanned = DescriptorTable(), DescriptorTable(folders=())
    with open(tmp_path / "a", "w"), closing(socket.socket()), ExitStack() as stack:
        for number in os.pipe():
            stack.callback(os.close, number)
        assert scanned.folder is None
        assert scanned.read() == listed.read()
        assert scanned.count() == len(scanned.read())


def test_a_folder_that_cannot_be_listed_is_passed_over():
    """The first folder that can be listed is taken, none is no error."""
    assert DescriptorTable(folders=("/nowhere/fd",)).folder is None
    assert DescriptorTable(folders=("/nowhere/fd", *FOLDERS)).folder == DescriptorTable().folder


@pytest.mark.skipif(not HAS_FOLDER, reason="no folder of descriptors here")
@pytest.mark.parametrize("times", [1, 1_000])
def test_a_descriptor_whose_status_cannot_be_read_is_open_all_the_same(tmp_path, monkeypatch, times):
    """A file system that is ill gives an error, for a moment or for good; a closed descriptor only EBADF."""
    table = DescriptorTable()
    with open(tmp_path / "file", "w") as file:
        before, failures, fstat = table.read(), iter(range(times)), os.fstat

        def ill(number):
            if number == file.fileno() and next(failures, None) is not None:
                raise OSError(errno.EIO, os.strerror(errno.EIO))
            return fstat(number)

        monkeypatch.setattr(_real, "fstat", ill)
        table.forget()
        now = table.read()
        assert {key[0] for key in now} == {key[0] for key in before}
        assert (now == before) is (times == 1)
        table.forget()
        assert times == 1 or table.read() == now


def test_all_ways_to_count_agree(tmp_path):
    """The size of the folder, its listing and the scan count the same descriptors."""
    by_size, by_scan = DescriptorTable(), DescriptorTable(folders=())
    for opened in range(3):
        with ExitStack() as stack:
            for n in range(opened):
                stack.enter_context(open(tmp_path / str(n), "w"))
            counts = {by_size.count(), by_size._count_anew(), by_scan.count(), len(by_scan.read())}
            by_scan.forget()
            assert len(counts) == 1, counts


def test_an_open_and_a_close_are_seen_after_forget(tmp_path):
    """The table is kept until it is told to forget."""
    table = DescriptorTable()
    before = table.read()
    with open(tmp_path / "a", "w") as stream:
        number = stream.fileno()
        assert table.read() is before
        table.forget()
        assert {key[0] for key in table.read() - before} == {number}
    table.forget()
    assert table.read() == before


def test_a_socket_is_seen_by_its_own_probe_and_a_pipe_by_the_other():
    """Each descriptor is of one kind, and none of no kind."""
    with socket.socket() as sock, ExitStack() as stack:
        ends = os.pipe()
        for number in ends:
            stack.callback(os.close, number)
        table = DescriptorTable()
        files, sockets = ({key[0] for key in keys} for keys in (FdProbe(table).keys(), SocketProbe(table).keys()))
        assert set(ends) <= files - sockets
        assert sock.fileno() in sockets - files
        assert files | sockets == {key[0] for key in table.read()}


def test_a_number_that_is_used_again_is_another_descriptor(tmp_path):
    """Device, inode and type belong to the key: the number alone is no identity."""
    (tmp_path / "a").write_text("a")
    (tmp_path / "b").write_text("b")
    with open(tmp_path / "a") as first:
        number = first.fileno()
        one = keys_of(number)
    with open(tmp_path / "b") as second:
        assert second.fileno() == number
        other = keys_of(number)
    assert len(one) == len(other) == 1
    assert one != other


@pytest.mark.parametrize(
    ("folders", "by_size", "words"),
    [
        ((), False, f"fstat of each number below {min(DescriptorTable().limit, SCANNED_AT_MOST)}"),
        pytest.param(
            FOLDERS, False, f"listing of {DescriptorTable().folder}",
            marks=pytest.mark.skipif(not HAS_FOLDER, reason="no folder of descriptors here"),
        ),
        pytest.param(
            FOLDERS, True, f"listing of {DescriptorTable().folder}, counted by its size",
            marks=pytest.mark.skipif(not HAS_FOLDER, reason="no folder of descriptors here"),
        ),
    ],
)  # fmt: skip
def test_the_mechanism_says_how_it_reads(folders, by_size, words):
    """One phrase for the header and the doctor."""
    table = DescriptorTable(folders=folders)
    table.counts_by_size = by_size
    assert table.mechanism == words
    assert FdProbe(table).mechanism == SocketProbe(table).mechanism == words


def test_a_platform_without_both_ways_says_so(monkeypatch):
    """Where no folder is and types can't be told, nothing can be seen, and the probes say why."""
    table = DescriptorTable(folders=())
    assert table.unavailable() is None
    monkeypatch.delattr(stat, "S_ISSOCK")
    assert table.unavailable() == "no descriptor folder on this platform"
    assert FdProbe(table).unavailable() == SocketProbe(table).unavailable() == table.unavailable()
    assert DescriptorTable().unavailable() is None or not HAS_FOLDER


def test_no_limit_at_all_is_scanned_up_to_a_bound(monkeypatch):
    """An unlimited number of descriptors does not mean an endless scan."""
    resource = pytest.importorskip("resource")
    monkeypatch.setattr(resource, "getrlimit", lambda which: (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
    assert DescriptorTable(folders=()).limit == SCANNED_AT_MOST


EXHAUSTED = """
import json, os, resource, socket, sys
from pytest_leakguard.probes.descriptors import FOLDERS, DescriptorTable
from pytest_leakguard.probes.fds import FdProbe
from pytest_leakguard.probes.sockets import SocketProbe
from pytest_leakguard.probes.threads import shortener

resource.setrlimit(resource.RLIMIT_NOFILE, (64, resource.getrlimit(resource.RLIMIT_NOFILE)[1]))
tables = [DescriptorTable(), DescriptorTable(folders=())]
before = [table.count() for table in tables]
kept = [socket.socket()]
try:
    while True:
        kept.append(open(sys.argv[1]))
except OSError as error:
    assert error.errno == 24, error
for table in tables:
    table.forget()
fds, sockets = FdProbe(tables[0]), SocketProbe(tables[0])
files = [key for key in fds.keys() if key[0] == kept[-1].fileno()]
(sock,) = [key for key in sockets.keys() if key[0] == kept[0].fileno()]
print(json.dumps({
    "before": before,
    "opened": len(kept),
    "numbers": [sorted(key[0] for key in table.read()) for table in tables],
    "counts": [table.count() for table in tables],
    "files": [fds.describe(key).what for key in files],
    "socket": sockets.describe(sock).what,
}))
"""


@needs_proc
def test_with_all_descriptors_in_use_everything_is_still_seen(tmp_path):
    """Listing a folder takes a descriptor; with none left each number is asked for, and suspects are described."""
    pytest.importorskip("resource")
    (tmp_path / "full.txt").write_text("x")
    ended = subprocess.run(
        [sys.executable, "-c", EXHAUSTED, str(tmp_path / "full.txt")],
        capture_output=True, text=True, timeout=30, check=False,
    )  # fmt: skip
    assert ended.returncode == 0, ended.stderr
    seen = json.loads(ended.stdout)
    assert seen["numbers"][0] == seen["numbers"][1] == list(range(64))
    assert seen["counts"] == [64, 64]
    assert [64 - opened for opened in seen["before"]] == [seen["opened"]] * 2
    (what,) = seen["files"]
    assert what == f"fd 63, regular file open for reading: {tmp_path / 'full.txt'}"
    assert "socket" in seen["socket"].lower()


# -- what is told of a descriptor


def described(number: int):
    """The descriptor with that number, in words."""
    (key,) = keys_of(number)
    probe = FdProbe(DescriptorTable())
    census = probe.keys()
    assert key in census
    return probe.describe(key)


@needs_proc
@pytest.mark.parametrize(
    ("mode", "words"),
    [
        ("r", "open for reading"),
        ("w", "open for writing"),
        ("a", "open for writing"),
        ("r+", "open for reading and writing"),
    ],
)
def test_a_file_is_told_with_path_and_mode(tmp_path, mode, words):
    """The path is subject and clue; the mode is the descriptor's own."""
    path = tmp_path / "a b'\"\n.txt"
    path.write_text("x")
    with open(path, mode) as stream:
        told = described(stream.fileno())
        assert told.what == f"fd {stream.fileno()}, regular file {words}: {path}"
        assert told.subject == str(path)
        assert ("path", str(path)) in told.clues
        assert told.clues[0] == ("fd", stream.fileno())


@needs_proc
def test_a_file_that_is_deleted_is_told_as_such(tmp_path):
    """The path is the one it had; a file whose name merely says so is not deleted."""
    gone, odd = tmp_path / "gone.txt", tmp_path / "odd (deleted)"
    with open(gone, "w") as one, open(odd, "w") as other:
        gone.unlink()
        told = described(one.fileno())
        assert (told.subject, told.what.endswith("gone.txt (deleted since)")) == (str(gone), True)
        told = described(other.fileno())
        assert (told.subject, told.what.endswith("since)")) == (str(odd), False)


@needs_proc
def test_folders_devices_and_pipes_have_words_of_their_own(tmp_path):
    """Each type of descriptor is named; a named pipe has its path."""
    os.mkfifo(tmp_path / "fifo")
    with ExitStack() as stack:

        def kept(number: int) -> int:
            stack.callback(os.close, number)
            return number

        folder, null = kept(os.open(tmp_path, os.O_RDONLY)), kept(os.open(os.devnull, os.O_RDWR))
        reader, writer = (kept(number) for number in os.pipe())
        fifo = kept(os.open(tmp_path / "fifo", os.O_RDONLY | os.O_NONBLOCK))
        assert described(folder).what == f"fd {folder}, folder open for reading: {tmp_path}"
        assert described(null).what == f"fd {null}, character device open for reading and writing: /dev/null"
        assert (described(reader).what, described(reader).subject) == (f"fd {reader}, read end of a pipe", "pipe")
        assert (described(writer).what, described(writer).subject) == (f"fd {writer}, write end of a pipe", "pipe")
        named = described(fifo)
        assert (named.what, named.subject) == (
            f"fd {fifo}, read end of a pipe {tmp_path / 'fifo'}",
            str(tmp_path / "fifo"),
        )
        assert ("path", str(tmp_path / "fifo")) in named.clues
        assert described(writer).reason == "pipe() raises no audit event; try --leakguard-trace"


@needs_proc
@pytest.mark.parametrize(
    ("make", "name", "subject"),
    [
        (lambda: select.epoll(), "epoll instance", "epoll"),
        (lambda: os.eventfd(0), "eventfd", "eventfd"),
        (lambda: os.pidfd_open(os.getpid()), "pidfd", "pidfd"),
        (
            lambda: os.memfd_create("station"),
            "regular file open for reading and writing: /memfd:station",
            "/memfd:station",
        ),
    ],
    ids=["epoll", "eventfd", "pidfd", "memfd"],
)
def test_descriptors_without_a_path_are_named(make, name, subject):
    """What the kernel keeps without a path in any file system has a name and a subject all the same."""
    try:
        made = make()
    except AttributeError:
        pytest.skip("not on this platform or Python")
    number = made if isinstance(made, int) else made.fileno()
    try:
        told = described(number)
    finally:
        os.close(number) if isinstance(made, int) else made.close()
    assert told.what.removesuffix(" (deleted since)") == f"fd {number}, {name}"
    assert told.subject == subject
    assert told.reason.endswith("try --leakguard-trace")


@needs_proc
def test_a_descriptor_that_is_gone_is_described_by_what_is_known():
    """Between census and description it may be closed: no error, number and type are told."""
    number = os.open(os.devnull, os.O_RDONLY)
    (key,) = keys_of(number)
    os.close(number)
    told = FdProbe(DescriptorTable()).describe(key)
    assert told.what == f"fd {number}, character device open: fd {number}"
    assert told.subject == f"fd {number}"


def test_the_shortener_is_applied_to_what_is_shown_not_to_the_clues(tmp_path):
    """Reports tell short paths, matching needs whole ones."""
    with open(tmp_path / "a", "w") as stream:
        (key,) = keys_of(stream.fileno())
        told = FdProbe(DescriptorTable(), lambda path: "short").describe(key)
    assert (told.subject, told.what.endswith(": short")) == ("short", True)
    if Path("/proc/self/fd").exists():
        assert ("path", str(tmp_path / "a")) in told.clues


def socket_told(sock: socket.socket):
    (key,) = keys_of(sock.fileno())
    probe = SocketProbe(DescriptorTable())
    sockets, others = probe.keys(), FdProbe(DescriptorTable()).keys()
    assert key in sockets
    assert key not in others
    told = probe.describe(key)
    assert told.clues[0] == ("fd", sock.fileno())
    return told.what.removeprefix(f"fd {sock.fileno()}, "), told.subject


def test_a_socket_is_told_with_protocol_addresses_and_state(tmp_path, monkeypatch):
    """Listening, connected, datagram and Unix sockets each in their words."""
    monkeypatch.chdir(tmp_path)
    with ExitStack() as stack:

        def kept(sock: socket.socket) -> socket.socket:
            return stack.enter_context(closing(sock))

        datagram, listener = kept(socket.socket(type=socket.SOCK_DGRAM)), kept(socket.create_server(("127.0.0.1", 0)))
        datagram.bind(("127.0.0.1", 0))
        client = kept(socket.create_connection(listener.getsockname()))
        kept(listener.accept()[0])
        unix, (left, _) = kept(socket.socket(socket.AF_UNIX)), map(kept, socket.socketpair())
        unix.bind("u.sock")
        here, there, mine = (f"127.0.0.1:{sock.getsockname()[1]}" for sock in (listener, client, datagram))

        assert socket_told(datagram) == (f"UDP socket, bound to {mine}, not connected", mine)
        assert socket_told(listener) == (f"TCP socket, listening on {here}", here)
        assert socket_told(client) == (f"TCP socket, {there} to {here}, connected", here)
        assert socket_told(unix) == ("Unix socket, bound to u.sock, not connected", "u.sock")
        assert socket_told(left) == ("Unix socket, connected to an unnamed one", "socket")


def test_a_socket_that_is_only_bound_is_told_with_its_address():
    """A TCP socket that neither listens nor is connected is in no table of the kernel, and has an address."""
    with closing(socket.socket()) as sock:
        assert socket_told(sock) == ("TCP socket, not bound, not connected", "socket")
        sock.bind(("127.0.0.1", 0))
        here = f"127.0.0.1:{sock.getsockname()[1]}"
        assert socket_told(sock) == (f"TCP socket, bound to {here}, not connected", here)


def test_a_socket_that_is_gone_is_described_by_what_is_known():
    """Between census and description it may be closed: no error."""
    sock = socket.socket()
    (key,) = keys_of(sock.fileno())
    number = sock.fileno()
    sock.close()
    told = SocketProbe(DescriptorTable()).describe(key)
    assert (told.what, told.subject) == (f"fd {number}, socket", "socket")
