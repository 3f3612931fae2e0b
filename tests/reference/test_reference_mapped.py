"""Mapped files: flushed, unmapped and closed in that order; nothing left of one that could not be mapped."""

from __future__ import annotations

import mmap
from contextlib import suppress

import leaky
import pytest

from pytest_leakguard.reference import MappedFile
from pytest_leakguard.reference.errors import AlreadyOpen, NotOpen


class Boom(Exception):
    """The error of a body."""


@pytest.mark.parametrize("kind", [None, Boom, KeyboardInterrupt, GeneratorExit])
def test_what_was_written_is_there_on_every_path(tmp_path, kind, leak_check):
    """Made with a size, mapped again as it is; flushed also when the body fails."""
    path = tmp_path / "data"
    with leak_check():
        for mapped in (MappedFile(path, 64), MappedFile(path)):
            with suppress(kind or Boom), mapped as view:
                assert len(view) == 64
                view[:2] = b"ab"
                if kind is not None:
                    raise kind
            assert mapped.state == "closed"
            assert path.read_bytes()[:2] == b"ab"
        with MappedFile(path, writable=False) as view:
            assert view[:2] == b"ab"
            with pytest.raises(TypeError):
                view[0] = 1
    leak_check.releases(lambda: MappedFile(path))


def test_by_hand(tmp_path):
    """open and close by turns; a second open is refused."""
    mapped = MappedFile(tmp_path / "data", 8)
    with pytest.raises(NotOpen, match="data' is not mapped"):
        mapped.map
    for _ in range(2):
        assert mapped.open() is mapped.map
        with pytest.raises(AlreadyOpen, match="data"):
            mapped.open()
        mapped.close()
        mapped.close()


def test_missing_and_empty_files_are_told(tmp_path, leak_check):
    """A ValueError that says which, and what to do; an empty one is extended when a size is given."""
    (tmp_path / "empty").touch()
    with leak_check():
        with pytest.raises(ValueError, match="missing' is missing; give a size to make it"):
            MappedFile(tmp_path / "missing").open()
        with pytest.raises(ValueError, match="empty' is empty and can't be mapped"), MappedFile(tmp_path / "empty"):
            pass
        with MappedFile(tmp_path / "empty", 5) as view:
            assert len(view) == 5
    with pytest.raises(ValueError, match="0 is not above zero bytes"):
        MappedFile(tmp_path / "x", 0)
    with pytest.raises(ValueError, match="only read"):
        MappedFile(tmp_path / "x", 5, writable=False)


def test_a_failed_mapping_leaves_nothing(tmp_path, leak_check, monkeypatch):
    """Too large for real, and by an error of mmap: closed, and a file that was made for it is removed; others stay."""
    with leak_check():
        with pytest.raises((OSError, OverflowError)) as caught:
            MappedFile(tmp_path / "huge", 2**62).open()
        assert "while mapping" in caught.value.__notes__[0]
        assert list(tmp_path.iterdir()) == []
        (tmp_path / "old").write_bytes(b"old")

        def fails(*_: object, **__: object) -> None:
            raise MemoryError

        monkeypatch.setattr(mmap, "mmap", fails)
        for name in ("old", "new"):
            with pytest.raises(MemoryError):
                MappedFile(tmp_path / name, 3).open()
        assert [path.name for path in tmp_path.iterdir()] == ["old"]


def test_a_view_that_is_alive_delays_the_unmapping(tmp_path, leak_check):
    """BufferError; the file is closed; the next close ends it."""
    with leak_check():
        mapped = MappedFile(tmp_path / "data", 8)
        view = memoryview(mapped.open())
        with pytest.raises(BufferError):
            mapped.close()
        assert mapped.state == "mapped"
        view.release()
        mapped.close()
        assert mapped.state == "closed"


def test_the_twin_that_leaves_its_descriptor(tmp_path, left_behind, is_marked):
    """An empty file can't be mapped; its descriptor stays open."""
    path = tmp_path / "empty"
    path.touch()

    def fails(manager):
        with suppress(ValueError), manager(path):
            pass

    assert left_behind(lambda: fails(MappedFile)) == []
    (finding,) = left_behind(lambda: fails(leaky.LeakyMappedFile))
    assert finding.kind == "fd"
    assert is_marked(finding)
