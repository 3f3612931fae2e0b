"""Temporary files: gone after a normal end, an error, SIGTERM; after SIGKILL at the next start; never a live one's."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import textwrap
from contextlib import suppress
from pathlib import Path

import leaky
import pytest

from pytest_leakguard.reference import TemporaryResourceManager, secondary_errors
from pytest_leakguard.reference._journal import start_time
from pytest_leakguard.reference.errors import AlreadyOpen, NotOpen


class Boom(Exception):
    """The error of a body."""


def manager(folder, **options):
    return TemporaryResourceManager("report-", folder, **options)


@pytest.mark.parametrize("kind", [None, Boom, KeyboardInterrupt, GeneratorExit])
def test_nothing_is_left_on_any_path(tmp_path, kind, leak_check):
    """Files, folders with things in them, the journal; usable again; the handler of SIGTERM is as it was."""
    temp = manager(tmp_path)
    for _ in range(2):
        with leak_check(), suppress(kind or Boom), temp:
            file, folder = temp.file(".csv"), temp.directory()
            file.write_text("x")
            (folder / "deep").mkdir()
            (folder / "deep" / "file").touch()
            assert file.name.startswith("report-")
            assert file.suffix == ".csv"
            assert temp.paths == (file, folder)
            assert (file.stat().st_mode & 0o777, folder.stat().st_mode & 0o777) == (0o600, 0o700)
            if kind is not None:
                raise kind
        assert list(tmp_path.iterdir()) == []
        assert temp.state == "closed"
    assert signal.getsignal(signal.SIGTERM) is signal.SIG_DFL


def test_by_hand_and_kept(tmp_path):
    """open and close; what is gone already is no error; single ones, or all, can be kept."""
    temp = manager(tmp_path).open()
    with pytest.raises(AlreadyOpen, match="'report-' is open"):
        temp.open()
    gone, kept, other = temp.file(), temp.file(), temp.directory()
    gone.unlink()
    temp.keep(kept)
    with pytest.raises(ValueError, match="was not made by"):
        temp.keep(tmp_path / "foreign")
    temp.close()
    temp.close()
    assert list(tmp_path.iterdir()) == [kept]
    assert not other.exists()
    with pytest.raises(NotOpen, match="'report-' is closed"):
        temp.file()
    with manager(tmp_path, keep=True) as temp:
        all_kept = temp.file()
    assert all_kept.exists()


@pytest.mark.parametrize("prefix", ["", "a/b", "-x", "a\n"])
def test_a_bad_name_is_told(prefix, tmp_path):
    """Before anything is made; a suffix too."""
    with pytest.raises(ValueError, match="can't begin a file name"):
        TemporaryResourceManager(prefix, tmp_path)
    with manager(tmp_path) as temp, pytest.raises(ValueError, match="separator"):
        temp.file("/x")


def test_a_missing_folder_is_told(tmp_path, leak_check):
    """The error names folder and prefix; it is closed again."""
    temp = manager(tmp_path / "missing")
    with leak_check(), pytest.raises(FileNotFoundError) as caught, temp:
        pass
    assert "while opening TemporaryResourceManager 'report-'" in caught.value.__notes__[0]
    assert temp.state == "closed"


def test_what_can_not_be_removed_is_told_and_tried_again(tmp_path, monkeypatch):
    """All others are removed; both errors are told; the journal stays until the second close."""
    import pytest_leakguard.reference.temp as module

    plain = module.remove
    stuck = set()

    def remove(path):
        if path in stuck:
            raise PermissionError(1, "stuck", str(path))
        plain(path)

    monkeypatch.setattr(module, "remove", remove)
    temp = manager(tmp_path)
    with pytest.raises(Boom) as caught, temp:
        one, two, three = temp.file(), temp.file(), temp.file()
        stuck |= {one, three}
        raise Boom
    (first,) = secondary_errors(caught.value)
    assert first.filename == str(three)
    assert secondary_errors(first)[0].filename == str(one)
    assert not two.exists()
    assert len(list(tmp_path.glob(".report-*.journal"))) == 1
    stuck.clear()
    temp.close()
    assert list(tmp_path.iterdir()) == []


CHILD = """
import os, signal, sys, time
from pathlib import Path
from pytest_leakguard.reference import TemporaryResourceManager
temp = TemporaryResourceManager("report-", Path(sys.argv[1]))
{before}
with temp:
    temp.file(".csv").write_text("x")
    (temp.directory() / "inside").touch()
    print("ready", flush=True)
    {body}
"""


@pytest.fixture
def child():
    """Start a process that has a file and a folder; ended after the test."""
    started = []

    # in short naps: a signal that comes just before a sleep does not end it
    def child(folder, body="while True: time.sleep(0.05)", before=""):
        code = textwrap.dedent(CHILD).format(body=body, before=before)
        environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])}
        command = [sys.executable, "-c", code, str(folder)]
        started.append(subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment))
        assert started[-1].stdout.readline() == "ready\n"
        return started[-1]

    yield child
    for process in started:
        with process:
            process.kill()


def end(process, number=None):
    if number is not None:
        process.send_signal(number)
    process.communicate(timeout=20)
    return process.returncode


def test_sigterm_cleans_up_and_still_terminates(tmp_path, child):
    """Nothing is left, and the exit status is that of the signal."""
    process = child(tmp_path)
    assert len(list(tmp_path.iterdir())) == 3
    assert end(process, signal.SIGTERM) == -signal.SIGTERM
    assert list(tmp_path.iterdir()) == []


def test_a_handler_of_the_user_is_left_alone(tmp_path, child):
    """It says what SIGTERM means; when it raises SystemExit, the blocks are left as usual."""
    process = child(tmp_path, before="signal.signal(signal.SIGTERM, lambda *_: sys.exit(7))")
    assert end(process, signal.SIGTERM) == 7
    assert list(tmp_path.iterdir()) == []


def test_left_open_at_exit(tmp_path, child):
    """Opened by hand and never closed: the interpreter's end removes it."""
    process = child(tmp_path, before="temp.open(); temp.file(); print('ready', flush=True); sys.exit()")
    assert end(process) == 0
    assert list(tmp_path.iterdir()) == []


def test_a_fork_removes_nothing(tmp_path, child):
    """A child that leaves the block ends with what its parent made untouched."""
    body = "pid = os.fork(); assert pid == 0 or (os.waitpid(pid, 0)[1] == 0 and len(os.listdir(sys.argv[1])) == 3)"
    assert end(child(tmp_path, body=body)) == 0
    assert list(tmp_path.iterdir()) == []


def test_after_sigkill_the_next_start_reclaims(tmp_path, leak_check, child):
    """All that the dead process left, its journal included; nothing else in the folder, whatever its name."""
    foreign = tmp_path / "report-not-in-any-journal"
    foreign.touch()
    process = child(tmp_path)
    process.kill()
    process.stdout.close()
    process.wait()
    assert len(list(tmp_path.iterdir())) == 4
    with leak_check(), manager(tmp_path) as temp:
        assert len(temp.reclaimed) == 2
        assert len(list(tmp_path.iterdir())) == 2
    assert list(tmp_path.iterdir()) == [foreign]
    with manager(tmp_path) as temp:
        assert temp.reclaimed == ()


def test_a_zombie_counts_as_dead(tmp_path, child):
    """Killed and not yet waited for: it can't write any more."""
    process = child(tmp_path)
    process.kill()
    os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)
    with manager(tmp_path) as temp:
        assert len(temp.reclaimed) == 2
    end(process)


def test_two_live_processes_never_touch_each_other(tmp_path, child):
    """Several starts while another lives: nothing of it is removed, then it ends and leaves nothing."""
    process = child(tmp_path)
    before = sorted(tmp_path.iterdir())
    for _ in range(3):
        with manager(tmp_path) as temp:
            temp.file()
            assert temp.reclaimed == ()
        assert sorted(tmp_path.iterdir()) == before
    end(process, signal.SIGTERM)
    assert list(tmp_path.iterdir()) == []


def forged(folder, name, *names):
    journal = folder / name
    journal.write_text("".join(f"{line}\n" for line in names))
    return journal


def test_a_journal_is_believed_only_as_far_as_it_can_be(tmp_path):
    """No path out of the folder, no name without the prefix, no live process, no half line."""
    outside = tmp_path / "outside"
    folder = tmp_path / "folder"
    folder.mkdir()
    outside.touch()
    for name in ("report-mine", "report-kept", "report-half", "other"):
        (folder / name).touch()
    dead = ".report-.999999-gone.0123456789abcdef.journal"
    lines = ["../outside", "report-/../../outside", "other", "report-mine", "report-kept", "-report-kept"]
    forged(folder, dead, *lines).write_text("\n".join([*lines, "report-half"]))
    with manager(folder) as temp:
        assert temp.reclaimed == (folder / "report-mine",)
    assert outside.exists()
    assert sorted(path.name for path in folder.iterdir()) == ["other", "report-half", "report-kept"]
    alive = forged(folder, f".report-.{os.getpid()}-{start_time(os.getpid())}.0123456789abcdef.journal", "report-half")
    with manager(folder) as temp:
        assert temp.reclaimed == ()
    assert alive.exists()
    reused = forged(folder, f".report-.{os.getpid()}-earlier.0123456789abcdef.journal", "report-half")
    link = folder / ".report-.999999-gone.0123456789abcdee.journal"
    link.symlink_to(outside)
    with manager(folder) as temp:
        assert temp.reclaimed == (folder / "report-half",)
    assert not reused.exists()


def test_a_locked_journal_belongs_to_somebody(tmp_path):
    """Also when its process can't be seen from here, as in another container."""
    fcntl = pytest.importorskip("fcntl")
    (tmp_path / "report-theirs").touch()
    journal = forged(tmp_path, ".report-.999999-gone.0123456789abcdef.journal", "report-theirs")
    with open(journal) as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        with manager(tmp_path) as temp:
            assert temp.reclaimed == ()
    with manager(tmp_path) as temp:
        assert temp.reclaimed == (tmp_path / "report-theirs",)


def test_a_failing_reclaim_does_not_stop_the_start(tmp_path, caplog, monkeypatch):
    """It is logged, and the journal stays for the next one."""
    import pytest_leakguard.reference.temp as module

    (tmp_path / "report-stuck").touch()
    journal = forged(tmp_path, ".report-.999999-gone.0123456789abcdef.journal", "report-stuck")

    def remove(path):
        raise PermissionError(1, "stuck", str(path))

    with monkeypatch.context() as patched:
        patched.setattr(module, "remove", remove)
        with manager(tmp_path) as temp:
            assert temp.state == "open"
    assert "the next start tries again" in caplog.text
    assert journal.exists()


def test_the_twin_that_swallows_unlink_errors(tmp_path):
    """Told by the contract: the error comes out, and a second close tries again; the twin is silent for ever."""

    def use(temp):
        told = ""
        try:
            with temp:
                file = temp.file()
                file.unlink()
                file.mkdir()
                (file / "x").touch()
        except OSError as error:
            told = type(error).__name__
        temp.close()
        return told, file.exists()

    # a folder in the place of the file: the reference takes it away whole, the twin's unlink fails unheard
    assert use(manager(tmp_path)) == ("", False)
    assert use(leaky.LeakyTemporaryResourceManager("twin-", tmp_path)) == ("", True)
