"""Files: closed, removed and untouched as the managers promise, and their twins found."""

from __future__ import annotations

import errno
import os
import stat
import tempfile
from contextlib import suppress
from pathlib import Path

import leaky
import pytest

from pytest_leakguard.reference import FileProcessor, ManagedFile, atomic_write, open_all, secondary_errors
from pytest_leakguard.reference.errors import AlreadyOpen, NotOpen

FULL = Path("/dev/full")
on_linux = pytest.mark.skipif(not FULL.exists(), reason="no /dev/full here: a disk that is always full")


class Boom(Exception):
    """The error of a body."""


ERRORS = pytest.mark.parametrize("kind", [Boom, KeyboardInterrupt, GeneratorExit, SystemExit, MemoryError])


# -- ManagedFile


@ERRORS
def test_a_file_is_closed_on_every_path(source, kind, leak_check):
    """Normal end or any error of the body: the file is closed, the error comes out as it was."""
    file = ManagedFile(source)
    with leak_check(), file as opened:
        assert opened.readline() == "3.5\n"
    assert opened.closed
    with leak_check(), pytest.raises(kind) as caught, file as opened:
        raise kind("body")
    assert opened.closed
    assert str(caught.value) == "body"
    leak_check.releases(lambda: ManagedFile(source))


def test_a_file_is_usable_again_by_hand(source):
    """open and close by turns; close twice is one close; the state tells."""
    file = ManagedFile(source, "rb")
    assert file.state == "closed"
    for _ in range(3):
        assert file.open().read() == b"3.5\n4.5\n"
        assert file.state == "open"
        assert file.file.fileno() > 0
        file.close()
        file.close()
        assert file.state == "closed"
    with pytest.raises(NotOpen, match=r"readings\.csv' is not open"):
        file.file


def test_an_open_file_is_not_opened_over(source):
    """The second open is refused, and the first file goes on working."""
    file = ManagedFile(source)
    with file as opened:
        with pytest.raises(AlreadyOpen, match=r"readings\.csv"):
            file.open()
        with pytest.raises(AlreadyOpen), file:
            pass
        assert opened.readline() == "3.5\n"


@pytest.mark.parametrize(
    ("arguments", "error"),
    [(("missing/file",), FileNotFoundError), ((".", "r"), IsADirectoryError), (("readings.csv", "q"), ValueError),
     (("readings.csv", "r", -1, "no-such-code"), LookupError)],
)  # fmt: skip
def test_a_failed_open_leaves_nothing(source, monkeypatch, leak_check, arguments, error):
    """It stays closed, and can be tried again."""
    monkeypatch.chdir(source.parent)
    file = ManagedFile(*arguments)
    with leak_check():
        for _ in range(2):
            with pytest.raises(error):
                file.open()
            assert file.state == "closed"


@on_linux
def test_a_failing_flush_closes_all_the_same(leak_check):
    """A full disk at the close: its error comes out, the descriptor is free."""
    file = ManagedFile(FULL, "w")
    with leak_check(), pytest.raises(OSError) as caught, file as opened:
        opened.write("x")
    assert caught.value.errno == errno.ENOSPC
    assert file.state == "closed"


@on_linux
def test_a_failing_flush_does_not_hide_the_error_of_the_body(leak_check):
    """The body's error comes out; that of the close is a note and an attached error."""
    with leak_check(), pytest.raises(Boom) as caught, ManagedFile(FULL, "w") as opened:
        opened.write("x")
        raise Boom("body")
    (second,) = secondary_errors(caught.value)
    assert isinstance(second, OSError)
    assert caught.value.__notes__ == [f"closing '/dev/full' failed too: OSError: {second}"]


def test_the_twin_that_closes_only_after_success(source, left_behind, is_marked):
    """Found by an error in the body, at the line that opens; the reference is clean."""

    def fails(manager):
        with suppress(Boom), manager:
            raise Boom

    assert left_behind(lambda: fails(ManagedFile(source))) == []
    (finding,) = left_behind(lambda: fails(leaky.LeakyManagedFile(source)))
    assert finding.kind == "fd"
    assert is_marked(finding)


# -- FileProcessor


@ERRORS
def test_scratch_files_are_gone_on_every_path(source, tmp_path, kind, leak_check):
    """Text and binary ones, with a normal end and with each error."""
    scratches = tmp_path / "scratch"
    scratches.mkdir()
    processor = FileProcessor(source, folder=scratches)
    for error in (None, kind("body")):
        with leak_check(), suppress(kind), processor as job:
            text, binary = job.scratch(".txt"), job.scratch(text=False)
            text.write(job.source.read())
            binary.write(b"x")
            assert len(list(scratches.iterdir())) == 2
            if error is not None:
                raise error
        assert list(scratches.iterdir()) == []
        assert processor.state == "closed"
        assert text.closed
        assert binary.closed


def test_scratch_files_are_for_this_user_only(source):
    """As those of tempfile: nobody else can read them. By default they are where tempfile's are."""
    with FileProcessor(source) as job:
        path = Path(job.scratch().name)
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
        assert path.parent == Path(tempfile.gettempdir())


def block_unlink(job, name):
    """Make the unlink of one scratch file fail for real, also for root: a folder is in its place."""
    path = Path(job.scratch(name).name)
    path.unlink()
    path.mkdir()
    (path / "inside").touch()
    return path


def test_every_failing_unlink_is_told_and_none_stops_the_rest(source, tmp_path, leak_check):
    """The first error comes out, the second is attached to it; the third file and the input are released."""
    processor = FileProcessor(source, folder=tmp_path)
    with leak_check("fd"), pytest.raises(OSError) as caught, processor as job:
        good = Path(job.scratch(".good").name)
        blocked = [block_unlink(job, ".one"), block_unlink(job, ".two")]
    assert not good.exists()
    assert processor.state == "closed"
    assert caught.value.filename == str(blocked[1])
    (second,) = secondary_errors(caught.value)
    assert isinstance(second, OSError)
    assert second.filename == str(blocked[0])
    assert str(blocked[0]) in caught.value.__notes__[0]


def test_a_failing_unlink_does_not_hide_the_error_of_the_body(source, tmp_path):
    """Both are told, the body's comes out."""
    with pytest.raises(Boom) as caught, FileProcessor(source, folder=tmp_path) as job:
        blocked = block_unlink(job, ".one")
        raise Boom
    assert str(blocked) in caught.value.__notes__[0]


def test_a_processor_has_states(source, tmp_path):
    """No scratch file without an end at which it would be removed; by hand; a missing input leaves nothing."""
    processor = FileProcessor(source, encoding=None, folder=tmp_path)
    with pytest.raises(NotOpen, match="readings"):
        processor.scratch()
    processor.open()
    with pytest.raises(AlreadyOpen, match="readings"):
        processor.open()
    assert processor.source.read() == b"3.5\n4.5\n"
    processor.close()
    processor.close()
    with pytest.raises(NotOpen):
        processor.source
    with pytest.raises(FileNotFoundError), FileProcessor(tmp_path / "missing"):
        pass
    with FileProcessor(source, folder=tmp_path / "missing") as job, pytest.raises(FileNotFoundError):
        job.scratch()


def test_the_twin_that_stops_at_a_failing_unlink(source, tmp_path, left_behind, is_marked):
    """Its input stays open; that of the reference does not."""

    def fails(manager):
        with suppress(OSError), manager as job:
            block_unlink(job, ".one")

    kinds = [finding.kind for finding in left_behind(lambda: fails(FileProcessor(source, folder=tmp_path)))]
    assert "fd" not in kinds
    findings = left_behind(lambda: fails(leaky.LeakyFileProcessor(source, folder=tmp_path)))
    (finding,) = [finding for finding in findings if finding.kind == "fd"]
    assert is_marked(finding)


# -- open_all


def test_all_or_none(source, tmp_path, leak_check, monkeypatch):
    """When the third fails, the two before it are closed in reverse."""
    closed = []
    plain = ManagedFile.close

    def noting(self):
        closed.append(self.path.name)
        plain(self)

    monkeypatch.setattr(ManagedFile, "close", noting)
    other = tmp_path / "other"
    other.touch()
    with leak_check(), pytest.raises(FileNotFoundError, match="missing"):
        with open_all([source, other, tmp_path / "missing", source]):
            pytest.fail("entered")
    assert closed[-2:] == ["other", "readings.csv"]


@ERRORS
def test_all_are_closed_on_every_path(source, kind, leak_check):
    """Text and binary, each error."""
    with leak_check(), suppress(kind), open_all([source, source], "rb") as files:
        assert [file.read(3) for file in files] == [b"3.5", b"3.5"]
        raise kind
    assert all(file.closed for file in files)
    leak_check.releases(lambda: open_all([source] * 3))
    with open_all([]) as none:
        assert none == []


@on_linux
def test_each_failing_close_is_told(leak_check):
    """Three full disks: one error, two attached."""
    with leak_check(), pytest.raises(OSError) as caught, open_all([FULL] * 3, "w") as files:
        for file in files:
            file.write("x")
    assert len(secondary_errors(caught.value)) == 2


def test_the_twin_that_opens_in_a_comprehension(source, tmp_path, left_behind, is_marked):
    """The file before the missing one stays open."""

    def fails(opener):
        with suppress(FileNotFoundError), opener([source, tmp_path / "missing"]):
            pass

    assert left_behind(lambda: fails(open_all)) == []
    (finding,) = left_behind(lambda: fails(leaky.leaky_open_all))
    assert finding.kind == "fd"
    assert is_marked(finding)


# -- atomic_write


def test_a_target_is_replaced_as_a_whole(source, tmp_path):
    """Until the end of the block readers see the old content; permissions are kept, links followed."""
    source.chmod(0o640)
    link = tmp_path / "link"
    link.symlink_to(source)
    with atomic_write(link) as file:
        file.write("new")
        file.flush()
        assert source.read_text() == "3.5\n4.5\n"
    assert source.read_text() == "new"
    assert stat.S_IMODE(source.stat().st_mode) == 0o640
    assert link.is_symlink()
    with atomic_write(tmp_path / "fresh", "wb") as binary:
        binary.write(b"\0")
    umask = os.umask(0)
    os.umask(umask)
    assert stat.S_IMODE((tmp_path / "fresh").stat().st_mode) == 0o666 & ~umask


@ERRORS
def test_a_failed_write_leaves_target_and_folder_untouched(source, kind, leak_check):
    """Whatever the body raises."""
    before = source.stat()
    with leak_check(), pytest.raises(kind), atomic_write(source) as file:
        file.write("half")
        raise kind
    assert source.stat().st_mtime_ns == before.st_mtime_ns
    assert list(source.parent.iterdir()) == [source]


def test_a_failed_rename_leaves_the_folder_untouched(tmp_path, leak_check):
    """The target is a folder: rename fails for real, after all was written."""
    (tmp_path / "target").mkdir()
    with leak_check(), pytest.raises(OSError, match="target"), atomic_write(tmp_path / "target") as file:
        file.write("x")
    assert [path.name for path in tmp_path.iterdir()] == ["target"]
    with pytest.raises(FileNotFoundError), atomic_write(tmp_path / "missing" / "target"):
        pass
    with pytest.raises(ValueError, match="'a'"):
        atomic_write(tmp_path / "x", "a")


def test_the_twin_that_leaves_its_temporary_file(source, left_behind, is_marked):
    """An error in the body, and the folder has one file more."""

    def fails(writer):
        with suppress(Boom), writer(source):
            raise Boom

    fails(atomic_write)
    assert list(source.parent.iterdir()) == [source]
    fails(leaky.leaky_atomic_write)
    assert [path.name for path in source.parent.iterdir() if path != source] == ["readings.tmp"]
