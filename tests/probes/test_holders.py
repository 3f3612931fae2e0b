"""The objects behind descriptors, threads and children, found on the heap whatever else lies there."""

from __future__ import annotations

import contextlib
import io
import multiprocessing
import multiprocessing.connection
import multiprocessing.util
import os
import select
import selectors
import socket
import stat
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from test_holding_search import Hostile, refuse

from pytest_leakguard.origins.holders import descriptor_holders, pipes_of, popen_of, thread_object
from pytest_leakguard.origins.owners import number_of, owner_of


class File(io.FileIO):
    """A class of the user's own."""

    fileno = None  # type: ignore[assignment]


class Socket(socket.socket):
    """Another."""

    fileno = None  # type: ignore[assignment]


def sleeping(**options: Any) -> subprocess.Popen[Any]:
    return subprocess.Popen([sys.executable, "-S", "-c", "import time; time.sleep(60)"], **options)


@contextlib.contextmanager
def a_file() -> Iterator[tuple[int, Any]]:
    with open(os.devnull) as file:
        yield file.fileno(), file.buffer.raw


@contextlib.contextmanager
def a_file_of_the_users() -> Iterator[tuple[int, Any]]:
    number = os.open(os.devnull, os.O_RDONLY)
    with File(number) as file:
        yield number, file


@contextlib.contextmanager
def a_socket() -> Iterator[tuple[int, Any]]:
    with Socket() as sock:
        yield socket.socket.fileno(sock), sock


@contextlib.contextmanager
def a_connection() -> Iterator[tuple[int, Any]]:
    one, other = multiprocessing.Pipe()
    with one, other:
        yield one.fileno(), one


@contextlib.contextmanager
def a_child() -> Iterator[tuple[int, Any]]:
    child = multiprocessing.get_context("fork").Process(target=time.sleep, args=(60,))
    child.start()
    try:
        yield child.sentinel, vars(child)["_popen"]
    finally:
        child.kill()
        child.join()
        child.close()


@contextlib.contextmanager
def a_selector() -> Iterator[tuple[int, Any]]:
    if not hasattr(select, "epoll"):
        pytest.skip("there is no epoll here")
    with contextlib.closing(selectors.EpollSelector()) as selector:
        yield selector.fileno(), selector


KINDS: list[Callable[[], Any]] = [a_file, a_file_of_the_users, a_socket, a_connection, a_child, a_selector]


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__name__)
def test_who_would_close_a_descriptor_is_found(kind):
    """By its number, which no other object has; afterwards by none."""
    with kind() as (number, holder):
        assert descriptor_holders({number})[number] is holder
        assert descriptor_holders({10**6}) == {}
    assert descriptor_holders({number}) == {}


class Popen(metaclass=Hostile):
    """Another's, with a familiar name, that answers nothing."""

    __getattribute__ = refuse


@contextlib.contextmanager
def remains() -> Iterator[list[Any]]:
    """Objects of all these kinds that are closed, or were never opened, or have nothing to close."""
    one, other = multiprocessing.Pipe()
    one.close()
    other.close()
    file = open(os.devnull)
    file.close()
    sock = socket.socket()
    sock.close()
    selector = selectors.DefaultSelector()
    selector.close()
    ended = subprocess.Popen([sys.executable, "-S", "-c", ""])
    ended.wait()
    yield [
        one, other, file, sock, selector, ended, Popen(), multiprocessing.connection.Connection.__new__(
            multiprocessing.connection.Connection
        ),
        io.FileIO.__new__(io.FileIO), socket.socket.__new__(socket.socket),
        selectors.DefaultSelector.__new__(selectors.DefaultSelector),
    ]  # fmt: skip


def test_what_holds_nothing_does_no_harm():
    """What is closed or was never opened is passed over, and so is a class that only has the name of a known one."""
    with remains() as others, a_file() as (number, holder):
        found = descriptor_holders({number})
        assert others
        assert list(found) == [number]
        assert found[number] is holder


def test_a_thread_is_found_by_its_ident():
    """While it runs."""
    end = threading.Event()
    thread = threading.Thread(target=end.wait)
    thread.start()
    try:
        assert thread_object(thread.ident) is thread
        assert thread_object(threading.get_ident()) is threading.current_thread()
        assert thread_object(1) is None
    finally:
        end.set()
        thread.join()
    assert thread_object(thread.ident) is None


class Child(subprocess.Popen[Any]):
    """A class of the user's own."""


@pytest.mark.parametrize("kind", [subprocess.Popen, Child])
def test_a_child_is_found_by_its_pid(kind):
    """Also beside one that never started."""
    empty = kind.__new__(kind)
    empty._child_created = False  # its own __del__ looks for that
    child = kind([sys.executable, "-S", "-c", "import time; time.sleep(60)"])
    try:
        assert popen_of(child.pid) is child
        assert popen_of(1) is None
    finally:
        child.kill()
        child.wait()


def test_the_pipes_of_a_child_are_its_own():
    """Those that are open; a file that was put in the place of one is not."""
    pipes = dict.fromkeys(("stdin", "stdout", "stderr"), subprocess.PIPE)
    with sleeping(**pipes) as child, open(os.devnull) as other:
        try:
            streams = (child.stdin, child.stdout, child.stderr)
            assert pipes_of(child) == {stream.fileno() for stream in streams}
            child.stdin.close()
            assert pipes_of(child) == {stream.fileno() for stream in streams[1:]}
            kept, child.stdout = child.stdout, io.StringIO("what a test wants it to have said")
            assert pipes_of(child) == {child.stderr.fileno()}
            child.stdout = kept
            assert other.fileno() not in pipes_of(child)
        finally:
            child.kill()


def test_the_pipes_of_a_child_in_text_are_its_own():
    """Two layers more."""
    with sleeping(stdout=subprocess.PIPE, text=True) as child:
        try:
            assert pipes_of(child) == {child.stdout.fileno()}
        finally:
            child.kill()


@pytest.mark.parametrize("method", ["fork", "spawn"])
def test_the_pipes_of_a_process_are_its_own(method):
    """The one that tells of its end, and those that are closed with it."""
    if method not in multiprocessing.get_all_start_methods():
        pytest.skip("there is no such method here")
    child = multiprocessing.get_context(method).Process(target=time.sleep, args=(60,))
    child.start()
    try:
        numbers = pipes_of(vars(child)["_popen"])
        assert child.sentinel in numbers
        assert {stat.S_ISFIFO(os.fstat(number).st_mode) for number in numbers} == {True}
    finally:
        child.kill()
        child.join()
        child.close()
    assert len(numbers) == 2
    for number in numbers:
        with pytest.raises(OSError, match="Bad file descriptor"):
            os.fstat(number)


class Loky:
    """Its processes have this class too: one pipe, and no finalizer among their attributes."""

    class Popen:
        """The pipe that tells of the child's end."""

        def __init__(self, sentinel: int) -> None:
            self.sentinel = sentinel


def test_a_child_of_another_library_has_one_pipe():
    """Known by the name of its class and of its attribute."""
    one, other = os.pipe()
    try:
        popen = Loky.Popen(one)
        assert pipes_of(popen) == {one}
        assert descriptor_holders({one, other}) == {one: popen}
    finally:
        os.close(one)
        os.close(other)


def test_what_else_a_child_finalizes_is_no_pipe():
    """A class of the user's may clean up other things by the same name."""
    with Child([sys.executable, "-S", "-c", ""]) as child:
        child.finalizer = multiprocessing.util.Finalize(child, print, args=("a folder", None))
        assert pipes_of(child) == set()
        child.finalizer.cancel()


def test_without_subprocess_there_is_no_such_child(monkeypatch):
    """A program that only forks has never imported it."""
    monkeypatch.delitem(sys.modules, "subprocess")
    assert popen_of(os.getpid()) is None


# -- what a file or socket object owns


def test_a_file_owns_its_number_through_all_layers():
    """Text, buffered, raw; what was detached or is closed owns none, and another's number stays another's."""
    with open(os.devnull) as text:
        raw = text.buffer.raw
        assert {number_of(text), number_of(text.buffer), number_of(raw)} == {raw.fileno()}
        assert owner_of(raw.fileno()) == "file"
        with open(raw.fileno(), closefd=False) as borrowed:
            assert number_of(borrowed) == -1
    assert number_of(text) == -1
    text = open(os.devnull)
    buffered = text.detach()
    raw = buffered.detach()
    assert (number_of(text), number_of(buffered)) == (-1, -1)
    assert number_of(raw) == raw.fileno()
    raw.close()


def test_a_socket_owns_its_number_until_it_is_detached():
    """The number itself, left over, has no owner."""
    sock = socket.socket()
    number = sock.fileno()
    assert number_of(sock) == number
    assert owner_of(number) == "socket"
    sock.detach()
    assert number_of(sock) == -1
    assert owner_of(number) is None
    os.close(number)
