"""A file mapped into memory."""

from __future__ import annotations

import mmap
import os
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, Literal

from pytest_leakguard.reference._closing import ClosedOnExit
from pytest_leakguard.reference._expect import expect_positive
from pytest_leakguard.reference._unwind import add_note, close_all, undo
from pytest_leakguard.reference.errors import AlreadyOpen, NotOpen

if TYPE_CHECKING:
    from _typeshed import StrPath


class MappedFile(ClosedOnExit):
    """A file and its memory map; by `with` or by `open()` and `close()`; usable again after a close.

    Acquires: the file, made with `size` bytes when it is missing or empty; then the map of all of it.
    Releases: the map is flushed, then unmapped, then the file is closed.
    Acquisition fails: the file is closed when the mapping fails, and removed again if it was made for it.
    Body fails: all is released, the body's error comes out.
    Release fails: the rest is released; the first error comes out, each further one is a note on it. While a
    `memoryview` of the map is alive it can't be unmapped: `BufferError`, and `close()` may be called again.
    States: closed → mapped → closed …
    One thread at a time, for open and close.

    Args:
        path: the file.
        size: bytes to make it with; None means that it must be there and not be empty.
        writable: False maps it for reading only; then `size` makes no sense.
    Raises:
        ValueError: `size` is not above zero, or is given for a map that is read only.
    """

    def __init__(self, path: StrPath, size: int | None = None, *, writable: bool = True) -> None:
        self.path = Path(path)
        if size is not None:
            expect_positive(size, f"size of MappedFile {str(self.path)!r}", "bytes")
            if not writable:
                raise ValueError(f"MappedFile {str(self.path)!r}: a file that is only read can't be made with a size")
        self.size = size
        self._writable = writable
        self._file: IO[Any] | None = None
        self._map: mmap.mmap | None = None
        self._was_made = False

    @property
    def state(self) -> Literal["closed", "mapped"]:
        """Which of its two states it is in."""
        return "closed" if self._file is None and self._map is None else "mapped"

    @property
    def map(self) -> mmap.mmap:
        """The map.

        Raises:
            NotOpen: it is closed.
        """
        if self._map is None:
            raise NotOpen(f"file {str(self.path)!r} is not mapped")
        return self._map

    def open(self) -> mmap.mmap:
        """Map the file and give the map.

        Raises:
            AlreadyOpen: it is mapped.
            ValueError: the file is missing or empty, and no size was given.
            OSError: as `open` and `mmap` do.
        """
        if self.state == "mapped":
            raise AlreadyOpen(f"file {str(self.path)!r} is mapped already; close it first")
        try:
            self._file = self._open_file()
            if os.fstat(self._file.fileno()).st_size == 0:
                if self.size is None:
                    raise ValueError(f"file {str(self.path)!r} is empty and can't be mapped; give a size to extend it")
                self._file.truncate(self.size)
            access = mmap.ACCESS_WRITE if self._writable else mmap.ACCESS_READ
            self._map = mmap.mmap(self._file.fileno(), 0, access=access)
            # what is mapped now is the user's
            self._was_made = False
            return self._map
        except BaseException as error:
            add_note(error, f"while mapping {str(self.path)!r}")
            undo(error, f"closing {str(self.path)!r}", self._close_and_unlink)
            raise

    def _open_file(self) -> IO[Any]:
        # asked first: without a free descriptor, an exclusive open fails before it sees that the file is there
        if self.size is not None and not os.path.lexists(self.path):
            try:
                self._was_made = True
                return open(self.path, "xb+")
            except FileExistsError:
                self._was_made = False
        try:
            return open(self.path, "rb+" if self._writable else "rb")
        except FileNotFoundError as error:
            raise ValueError(f"file {str(self.path)!r} is missing; give a size to make it") from error

    def _close_and_unlink(self) -> None:
        path = str(self.path)
        close_all((f"closing {path!r}", self.close), (f"removing {path!r}", self._unlink_if_made))

    def _unlink_if_made(self) -> None:
        if self._was_made:
            self.path.unlink(missing_ok=True)
            self._was_made = False

    def close(self) -> None:
        """Flush, unmap, close; nothing when it is closed.

        Raises:
            BufferError: a view of the map is alive; the file is closed, and the map waits for the next `close()`.
            OSError: the flush or the close failed; all was tried.
        """
        path = str(self.path)
        close_all(
            (f"flushing {path!r}", self._flush),
            (f"unmapping {path!r}", self._unmap),
            (f"closing {path!r}", self._close_file),
        )

    def _flush(self) -> None:
        if self._map is not None and not self._map.closed and self._writable:
            self._map.flush()

    def _unmap(self) -> None:
        if self._map is not None:
            self._map.close()
            self._map = None

    def _close_file(self) -> None:
        if self._file is not None:
            try:
                self._file.close()
            finally:
                if self._file.closed:
                    self._file = None

    @property
    def _closing(self) -> str:
        return f"closing {str(self.path)!r}"

    def __enter__(self) -> mmap.mmap:
        return self.open()
