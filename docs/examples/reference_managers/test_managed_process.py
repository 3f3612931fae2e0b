"""The examples of docs/reference-managers/managed-process.md: the pipes are left open when the start-up check fails."""

from __future__ import annotations

import subprocess
import sys

import pytest

from pytest_leakguard import LeakError
from pytest_leakguard.reference import ManagedProcess


def leaky_start(command, ready, started):
    child = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    started.append(child)
    try:
        ready(child)
    except BaseException:
        child.kill()
        child.wait()  # no zombie; but two pipes
        raise
    return child


def fixed_use(command, ready, work):
    with ManagedProcess(command, ready=ready, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as child:
        return work(child)


COMMAND = [sys.executable, "-c", "input()"]


def not_ready(child):
    raise RuntimeError("no answer")


def test_leaky(leak_check):
    started = []
    with pytest.raises(LeakError), leak_check("fd"):
        try:
            leaky_start(COMMAND, not_ready, started)
        except RuntimeError:
            pass
    started[0].communicate()


def test_fixed(leak_check):
    with leak_check():
        with pytest.raises(RuntimeError):
            fixed_use(COMMAND, not_ready, id)
        fixed_use(COMMAND, None, id)
