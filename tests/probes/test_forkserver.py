"""Which of the processes that multiprocessing knows of are children of its fork server, started for this one."""

from __future__ import annotations

import multiprocessing
import multiprocessing.connection
import multiprocessing.forkserver
import os
import sys
import time

import pytest

from pytest_leakguard.origins import forkserver

pytestmark = pytest.mark.skipif(
    "forkserver" not in multiprocessing.get_all_start_methods(), reason="there is no fork server here"
)


@pytest.fixture
def started():
    """Start a process by a method, ended after the test."""
    kept = []

    def started(method, target, *args):
        process = multiprocessing.get_context(method).Process(target=target, args=args)
        process.start()
        kept.append(process)
        return process

    yield started
    for process in kept:
        process.kill()
        process.join()


def known():
    return [process for process, _ in forkserver.children()]


def test_its_children_are_known_until_they_are_joined(started):
    """A child that this process forked itself is none of them."""
    process = started("forkserver", time.sleep, 60)
    started("fork", time.sleep, 60)
    assert known() == [process]
    process.kill()
    process.join()
    assert known() == []


def test_one_whose_exit_code_was_asked_for_is_over(started):
    """multiprocessing itself keeps it in its set until it is joined."""
    process = started("forkserver", int)
    multiprocessing.connection.wait([process.sentinel])
    assert process.exitcode == 0
    assert process in multiprocessing.process._children
    assert known() == []


def test_the_children_of_the_parent_are_not_those_of_a_fork(started):
    """The set is copied with the memory."""
    process = started("forkserver", time.sleep, 60)
    pid = os.fork()
    if not pid:
        os._exit(len(known()))
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
    assert known() == [process]


def test_only_its_own_address_asks_for_a_child(started, monkeypatch):
    """Any other connection starts nothing, and before there is a server there is nothing to ask."""
    started("forkserver", int).join()
    address = multiprocessing.forkserver._forkserver._forkserver_address
    assert forkserver.is_asked(address)
    assert not forkserver.is_asked(f"{address}x")
    assert not forkserver.is_asked(("127.0.0.1", 80))
    monkeypatch.setattr(multiprocessing.forkserver._forkserver, "_forkserver_address", None)
    assert not forkserver.is_asked(None)
    monkeypatch.delitem(sys.modules, "multiprocessing.forkserver")
    assert not forkserver.is_asked(address)
