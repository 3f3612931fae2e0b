"""Never blind: a probe that sees nothing makes the run red, and the doctor says what is seen on this machine."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from pytest_leakguard import native
from pytest_leakguard.core.model import KINDS

CLEAN = "def test_clean(tmp_path):\n    with open(tmp_path / 'a', 'w'): pass\n"

PROBES = {
    "fd": "fds.FdProbe",
    "socket": "sockets.SocketProbe",
    "mmap": "mappings.MappingProbe",
    "sqlite": "connections.ConnectionProbe",
    "thread": "threads.ThreadProbe",
    "process": "processes.ProcessProbe",
    "lock": "locks.LockProbe",
    "temp": "tempfiles.TempProbe",
    "task": "tasks.TaskProbe",
    "unclosed": "unclosed.UnclosedProbe",
    "object": "objects.ObjectProbe",
    "state": "state.StateProbe",
}


def blinded(kind: str) -> str:
    """A module that makes the probe of a kind see nothing, always."""
    module, _, name = PROBES[kind].partition(".")
    return f"from pytest_leakguard.probes.{module} import {name}\n{name}.keys = lambda self: frozenset()\n"


@pytest.mark.parametrize("kind", KINDS)
def test_a_blind_probe_makes_the_run_red(alone, pytester, kind):
    """All tests pass, and the run fails and says of which kind it is blind; the others go on seeing."""
    pytester.makeconftest(blinded(kind))
    pytester.makepyfile(CLEAN)
    ran = alone("--leakguard-probes=all", errors=True)
    assert ran.result.ret == pytest.ExitCode.TESTS_FAILED
    ran.result.assert_outcomes(passed=1)
    why = "a resource leaked on purpose was not seen"
    assert ran.report["blind"] == {kind: why}
    ran.result.stdout.fnmatch_lines([f"leakguard: blind for {kind}: {why}"])
    assert ran.report["findings"] == []
    assert ran.report["errors"] == []


def test_a_watch_of_classes_that_notices_nothing_makes_the_run_red(alone, pytester):
    """Where classes are named they are tried; and the class of the trial is let go."""
    blind = "from pytest_leakguard.origins.instrument import Instrument\nInstrument.wrap_init = lambda *_: None\n"
    pytester.makepyfile("def test_it():\n    from pytest_leakguard.plugin import canary\n"
                        "    assert '__init__' not in vars(canary.Closable)")  # fmt: skip
    pytester.makeini("[pytest]\nleakguard_track = io.StringIO")
    assert alone().result.ret == 0
    pytester.makeconftest(blind)
    ran = alone(errors=True)
    assert ran.report["blind"] == {"object": "an instance that was never closed on purpose was not seen"}
    assert ran.result.ret == pytest.ExitCode.TESTS_FAILED
    pytester.makeini("[pytest]")
    assert alone().result.ret == 0


def test_a_kind_that_is_left_out_is_not_tried(alone, pytester):
    """Who does not ask for a kind does not hear that it is blind."""
    pytester.makeconftest(blinded("socket"))
    pytester.makepyfile(CLEAN)
    ran = alone("--leakguard-probes=-socket")
    assert ran.result.ret == 0


def test_a_blind_run_stays_red_whatever_a_leak_does(alone, pytester):
    """Blindness is no leak: actions that forgive leaks do not forgive it."""
    pytester.makeconftest(blinded("socket"))
    pytester.makepyfile(CLEAN)
    for action in ("warn", "report"):
        ran = alone(f"--leakguard-action={action}", errors=True)
        assert ran.result.ret == pytest.ExitCode.TESTS_FAILED
        assert list(ran.report["blind"]) == ["socket"]
        ran.result.stdout.fnmatch_lines(["leakguard: blind for socket: *"])


def test_a_run_of_marked_tests_is_tried_too(alone, pytester):
    """Without the flag the canary comes when the first marked test was collected."""
    pytester.makeconftest(blinded("fd"))
    pytester.makepyfile("import pytest\n@pytest.mark.no_leaks\n" + CLEAN)
    ran = alone(flag=(), errors=True)
    assert (ran.result.ret, list(ran.report["blind"])) == (1, ["fd"])


def test_a_hook_that_records_nothing_is_noticed(alone, pytester):
    """What is only told by the audit hook is blind when nothing comes from it: new paths, new children."""
    pytester.makeconftest("from pytest_leakguard.origins.audit import Recorder\nRecorder.start = lambda self: None\n")
    pytester.makepyfile(CLEAN)
    ran = alone(errors=True)
    assert ran.result.ret == 1
    assert {"temp", "process"} <= set(ran.report["blind"])


def test_a_canary_that_cannot_be_made_is_told(alone, pytester):
    """A machine that refuses the resource leaves it open whether it would be seen: that is told as blind."""
    pytester.makeconftest(
        """
        from pytest_leakguard.plugin import canary

        def refused(watch):
            raise OSError("no sockets today")

        canary.CANARIES["socket"] = refused
        """
    )
    pytester.makepyfile(CLEAN)
    ran = alone(errors=True)
    assert ran.report["blind"] == {"socket": "the canary could not be made: no sockets today"}


def test_the_canary_leaves_nothing(alone, pytester):
    """No thread, child or file of it is there when the first test runs."""
    stray = pytester.mkdir("stray")
    pytester._monkeypatch.setenv("TMPDIR", str(stray))
    pytester.makeconftest(
        """
        import os, threading, psutil

        def look():
            return sorted(os.listdir(os.environ["TMPDIR"])), threading.active_count(), psutil.Process().children()

        before = look()
        """
    )
    pytester.makepyfile(
        """
        import conftest

        def test_it():
            assert conftest.look() == conftest.before
        """
    )
    ran = alone()
    assert ran.result.ret == 0, ran.text


def test_collecting_only_tries_nothing(pytester, monkeypatch):
    """--collect-only makes no canary and shows no closing line of tests."""
    monkeypatch.setenv("PYTEST_DISABLE_PLUGIN_AUTOLOAD", "1")
    pytester.makeconftest(blinded("fd"))
    pytester.makepyfile(CLEAN)
    result = pytester.runpytest("-p", "leakguard", "--leakguard", "--collect-only")
    assert result.ret == 0
    result.stdout.no_fnmatch_line("*blind*")


# -- the doctor


def doctor(tmp_path, before: str = "") -> subprocess.CompletedProcess[str]:
    """The doctor in a process of its own, after some lines of Python."""
    code = f"import sys\n{before}\nfrom pytest_leakguard.__main__ import main\nsys.exit(main(['doctor']))"
    return subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=False, cwd=tmp_path,
        env={**os.environ, "TMPDIR": str(tmp_path)},
    )  # fmt: skip


def test_the_doctor_tells_each_kind(tmp_path):
    """One line a kind with what is seen, how it is seen and where origins come from; exit status 0; nothing left."""
    ended = subprocess.run(
        [sys.executable, "-m", "pytest_leakguard", "doctor"], capture_output=True, text=True, timeout=60, check=False,
        cwd=tmp_path, env={**os.environ, "TMPDIR": str(tmp_path)},
    )  # fmt: skip
    assert (ended.returncode, ended.stderr) == (0, ""), ended.stdout
    lines = ended.stdout.splitlines()
    assert lines[0].startswith("pytest-leakguard ")
    for kind in KINDS:
        at = lines.index(f"{kind:<9} seen")
        assert lines[at + 1].startswith("            census: ")
        assert lines[at + 2].startswith("            origin: ")
        assert len(lines[at + 1]) > 25
    assert lines[lines.index("holder    found") + 1].startswith("            search: ")
    assert "            classes of leakguard_track: seen" in lines
    assert any(line.startswith("descriptors: ") and " open, limit " in line for line in lines)
    assert f"part in C: {native.STATE}" in lines
    assert "known limits:" in lines
    assert list(tmp_path.iterdir()) == []


def test_the_doctor_says_that_it_finds_no_holder(tmp_path):
    """An interpreter whose collector tells no referrers: exit status 1, and every kind is seen."""
    ended = doctor(tmp_path, "from pytest_leakguard import _real\n_real.gc_get_referrers = lambda *objects: []")
    assert ended.returncode == 1, ended.stderr
    assert "holder    BLIND: who holds an object was not found" in ended.stdout.splitlines()
    assert {f"{kind:<9} seen" for kind in KINDS} <= set(ended.stdout.splitlines())


@pytest.mark.parametrize("kind", KINDS)
def test_the_doctor_says_blind(tmp_path, kind):
    """A probe that does not see its canary: BLIND, exit status 1, and the other kinds are seen."""
    ended = doctor(tmp_path, blinded(kind))
    assert ended.returncode == 1, ended.stderr
    assert f"{kind:<9} BLIND: leaked on purpose, not seen" in ended.stdout.splitlines()
    for other in KINDS:
        assert (f"{other:<9} seen" in ended.stdout.splitlines()) is (other != kind)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("before", "line"),
    [
        (
            "from pytest_leakguard.probes.sockets import SocketProbe as Probe\n"
            "Probe.unavailable = lambda self: 'no table'",
            "socket    not watched: no table",
        ),
        (
            "from pytest_leakguard.probes.sockets import SocketProbe\n"
            "def unavailable(self): raise OSError('no table')\nSocketProbe.unavailable = unavailable",
            "socket    not watched: OSError: no table",
        ),
        (
            "import socket\ndef refused(*_): raise OSError('not permitted')\nsocket.socket = refused",
            "socket    could not be tried: not permitted",
        ),
    ],
)
def test_the_doctor_says_what_cannot_be_watched(tmp_path, before, line):
    """Not watched, or not to be tried here: the reason, exit status 1, and no traceback."""
    ended = doctor(tmp_path, before)
    assert ended.returncode == 1
    assert line in ended.stdout.splitlines()
    assert "Traceback" not in ended.stderr


@pytest.mark.parametrize("arguments", [[], ["docter"], ["doctor", "extra"]])
def test_an_unknown_command_is_refused(arguments):
    """Exit status 2 and the usage, as programs do."""
    ended = subprocess.run(
        [sys.executable, "-m", "pytest_leakguard", *arguments], capture_output=True, text=True, timeout=60, check=False
    )
    assert ended.returncode == 2
    assert ended.stderr.startswith("usage: python -m pytest_leakguard")
