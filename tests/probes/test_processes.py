"""Children as the probe sees them: looking changes nothing, and a pid that is used again is another child."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from pytest_leakguard.probes import processes
from pytest_leakguard.probes.processes import ProcessProbe

needs_lists = pytest.mark.skipif(not os.path.exists("/proc/self/task"), reason="the kernel keeps no list of children")


@pytest.fixture
def child():
    """A child that runs until its input ends."""
    with subprocess.Popen([sys.executable, "-S", "-c", "input()  # waits"], stdin=subprocess.PIPE) as child:
        yield child
        child.communicate(b"\n")


@pytest.fixture
def ended():
    """A child that has ended, and nobody has waited for it."""
    with subprocess.Popen([sys.executable, "-S", "-c", "raise SystemExit(7)"]) as child:
        os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOWAIT)
        yield child


def key_of(probe, child):
    return next(key for key in list(probe.keys()) if key[0] == child.pid)


def test_looking_never_reaps(ended):
    """After any number of looks the test still gets the status."""
    probe = ProcessProbe()
    for _ in range(3):
        probe.mark()
        probe.describe(key_of(probe, ended))
    assert ended.wait() == 7


def test_a_child_is_told_with_its_state_and_its_command(child, ended):
    """Running or zombie; a running one with the command that started it."""
    probe = ProcessProbe()
    running, over = (probe.describe(key_of(probe, one)) for one in (child, ended))
    assert running.what.startswith(f"child process {child.pid}, running: ")
    assert "input()" in running.what
    assert over.what.startswith(f"child process {ended.pid}, zombie")
    assert "terminate()" in running.fix
    assert "wait for it" in over.fix


@needs_lists
def test_the_start_time_is_part_of_the_identity(child):
    """In ticks since boot, as the kernel counts them, whatever the program is called."""
    with open(f"/proc/{child.pid}/stat") as file:
        ticks = float(file.read().rpartition(")")[2].split()[19])
    assert key_of(ProcessProbe(), child) == (child.pid, ticks)
    assert ticks > 0


@needs_lists
def test_a_name_with_spaces_and_brackets_hides_no_start_time(tmp_path, monkeypatch):
    """The kernel writes the name of the program before the numbers, as it is."""
    (tmp_path / "stat").write_text("7 (a) b 1 (c) S " + " ".join(map(str, range(4, 30))))
    monkeypatch.setattr(processes.procfs, "read", lambda path: (tmp_path / "stat").read_text())
    assert processes._start_ticks(7) == 22.0
