"""Error paths that leak, and the same ones repaired. Each test is named after what it calls."""

from __future__ import annotations

MODULE = """
import contextlib
import os
import socket
import tempfile
import threading

SLOTS = {name: threading.BoundedSemaphore(1) for name in ("slot_leaky", "slot_clean")}


def use(fd):
    return os.fstat(fd)


def second_open_leaky(path):
    first = os.open(path, os.O_RDONLY)  # leak: acquire
    second = os.open(path, os.O_RDONLY)
    os.close(second)
    os.close(first)


def second_open_clean(path):
    with contextlib.ExitStack() as stack:
        for _ in range(2):
            fd = os.open(path, os.O_RDONLY)
            stack.callback(os.close, fd)


def connect_leaky(path):
    sock = socket.socket(socket.AF_UNIX)  # leak: acquire
    try:
        sock.connect("nobody.sock")
    except FileNotFoundError:
        sock.close()


def connect_clean(path):
    with socket.socket(socket.AF_UNIX) as sock, contextlib.suppress(FileNotFoundError):
        sock.connect("nobody.sock")


def called_leaky(path):
    fd = os.open(path, os.O_RDONLY)  # leak: call
    use(fd)
    os.close(fd)


def called_clean(path):
    fd = os.open(path, os.O_RDONLY)
    try:
        use(fd)
    finally:
        os.close(fd)


class Scratch:
    def __init__(self, tidy):
        self.tidy = tidy

    def __enter__(self):
        self.path = tempfile.mkdtemp()  # leak: call
        return self

    def __exit__(self, kind, error, traceback):
        if self.tidy or kind is None:
            os.rmdir(self.path)


def body_leaky(path):
    with Scratch(False) as scratch:
        os.stat(scratch.path)


def body_clean(path):
    with Scratch(True) as scratch:
        os.stat(scratch.path)


def interrupt_leaky(path):
    fd = os.open(path, os.O_RDONLY)  # leak: interrupt
    try:
        use(fd)
    except Exception:
        os.close(fd)
        raise
    os.close(fd)


def interrupt_clean(path):
    fd = os.open(path, os.O_RDONLY)
    try:
        use(fd)
    except BaseException:
        os.close(fd)
        raise
    os.close(fd)


def slot_leaky(path):
    SLOTS["slot_leaky"].acquire(timeout=0.1)
    os.stat(path)  # polluted: call
    SLOTS["slot_leaky"].release()


def slot_clean(path):
    with SLOTS["slot_clean"]:
        os.stat(path)


def handler_leaky(path):
    try:
        file = open(path)  # unrelated: acquire
    finally:
        file.close()


def handler_clean(path):
    file = None
    try:
        file = open(path)
    finally:
        if file is not None:
            file.close()


def retry_leaky(path):
    while True:
        try:
            return os.stat(path)  # hang: call
        except OSError:
            threading.Event().wait()


def retry_clean(path):
    for _ in range(3):
        with contextlib.suppress(OSError):
            return os.stat(path)
    raise OSError("three times")
"""

TESTS = """
import pytest
from app import twins

NAMES = [name for name in vars(twins) if name.endswith(("_leaky", "_clean"))]


@pytest.fixture
def path(tmp_path):
    file = tmp_path / "data"
    file.write_text("x")
    return str(file)


@pytest.mark.parametrize("name", NAMES)
def test_twin(name, path):
    if name in twins.SLOTS:
        assert twins.SLOTS[name]._value == 1
    getattr(twins, name)(path)
"""
