"""Files: one, several together, one with scratch files, and one that is replaced as a whole."""

from __future__ import annotations

import os
import stat
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, BinaryIO, Generic, Literal, TextIO, TypeVar, cast, overload

from pytest_leakguard.reference._closing import ClosedOnExit
from pytest_leakguard.reference._scratch import ScratchFile
from pytest_leakguard.reference._unwind import Unwind, close_all, undo
from pytest_leakguard.reference.errors import AlreadyOpen, NotOpen

if TYPE_CHECKING:
    from _typeshed import OpenBinaryMode, OpenTextMode, StrPath
    from typing_extensions import Self

F = TypeVar("F", TextIO, BinaryIO)


class ManagedFile(ClosedOnExit, Generic[F]):
    """One file, text or binary, by `with` or by `open()` and `close()`; usable again after a close.

    Acquires: the file, at `open()` or `with`. Releases: the same file.
    Acquisition fails: the error of `open` comes out, nothing is left, and it can be tried again.
    Body fails: the file is closed and the body's error comes out; an error of the close is a note on it.
    Release fails (a full disk at the last flush): its error comes out; the descriptor is free nevertheless.
    States: closed → open → closed …; `open()` when open is refused with `AlreadyOpen`.
    One thread at a time, as with any file.

    Args:
        path, mode, buffering, encoding, errors, newline: as for `open`.
    """

    @overload
    def __init__(
        self: ManagedFile[TextIO], path: StrPath, mode: OpenTextMode = "r", buffering: int = -1,
        encoding: str | None = None, errors: str | None = None, newline: str | None = None,
    ) -> None: ...  # fmt: skip
    @overload
    def __init__(
        self: ManagedFile[BinaryIO], path: StrPath, mode: OpenBinaryMode, buffering: int = -1,
        encoding: None = None, errors: None = None, newline: None = None,
    ) -> None: ...  # fmt: skip
    def __init__(
        self, path: StrPath, mode: str = "r", buffering: int = -1,
        encoding: str | None = None, errors: str | None = None, newline: str | None = None,
    ) -> None:  # fmt: skip
        self.path = Path(path)
        self.mode = mode
        self._options: dict[str, Any] = {
            "buffering": buffering, "encoding": encoding, "errors": errors, "newline": newline,
        }  # fmt: skip
        self._file: F | None = None

    @property
    def state(self) -> Literal["closed", "open"]:
        """Which of its two states it is in."""
        return "closed" if self._file is None else "open"

    @property
    def file(self) -> F:
        """The open file.

        Raises:
            NotOpen: it is closed.
        """
        if self._file is None:
            raise NotOpen(f"file {str(self.path)!r} is not open")
        return self._file

    def open(self) -> F:
        """Open the file and give it.

        Raises:
            AlreadyOpen: it is open; the open file is not touched.
            OSError, ValueError: as `open` does.
        """
        if self._file is not None:
            raise AlreadyOpen(f"file {str(self.path)!r} is open already; close it first")
        try:
            self._file = cast(F, open(self.path, self.mode, **self._options))  # noqa: SIM115 - `close` does
            return self._file
        except BaseException as error:
            undo(error, self._closing, self.close)
            raise

    def close(self) -> None:
        """Close the file; nothing when it is closed.

        Raises:
            OSError: what was still to be written could not be.
        """
        if self._file is None:
            return
        try:
            self._file.close()
        finally:
            # a failing flush closes the descriptor all the same; an interrupt before it does not, and we can try again
            if self._file.closed:
                self._file = None

    @property
    def _closing(self) -> str:
        return f"closing {str(self.path)!r}"

    def __enter__(self) -> F:
        return self.open()

    def __repr__(self) -> str:
        return f"<ManagedFile {str(self.path)!r} mode {self.mode!r} {self.state}>"


class FileProcessor(ClosedOnExit):
    """An input file and any number of scratch files, which are made while it is processed.

    Acquires: the input at `open()` or `with`; a scratch file at each `scratch()`.
    Releases: in reverse, each scratch file closed and unlinked, the input last.
    Acquisition fails: the input's error comes out; a failed `scratch()` leaves no file, the others stay until the end.
    Body fails: everything is released, the body's error comes out.
    Release fails: all others are released; the first error comes out, each further one is a note on it.
    States: closed → open → closed …

    Args:
        path: the input, opened for reading.
        encoding: None reads bytes from it and gives a binary file.
        folder: where scratch files are made; None is the system's folder for temporary files.
    """

    def __init__(self, path: StrPath, *, encoding: str | None = "utf-8", folder: StrPath | None = None) -> None:
        self._source: ManagedFile[Any] = (
            ManagedFile(path, "rb") if encoding is None else ManagedFile(path, "r", encoding=encoding)
        )
        self._folder = None if folder is None else Path(folder)
        self._unwind = Unwind()

    @property
    def state(self) -> Literal["closed", "open"]:
        """Which of its two states it is in."""
        return self._source.state

    @property
    def source(self) -> IO[Any]:
        """The open input file. Raises `NotOpen` when it is closed."""
        return cast("IO[Any]", self._source.file)

    def open(self) -> Self:
        """Open the input.

        Raises:
            AlreadyOpen: it is open.
            OSError: as `open` does.
        """
        if self.state == "open":
            raise AlreadyOpen(f"{str(self._source.path)!r} is being processed already; close it first")
        try:
            self._source.open()
            return self
        except BaseException as error:
            undo(error, f"closing {str(self._source.path)!r}", self.close)
            raise

    @overload
    def scratch(self, suffix: str = "", *, text: Literal[True] = True) -> TextIO: ...
    @overload
    def scratch(self, suffix: str = "", *, text: Literal[False]) -> BinaryIO: ...
    def scratch(self, suffix: str = "", *, text: bool = True) -> IO[Any]:
        """Make one more scratch file, open for reading and writing; its path is its `name`.

        Raises:
            NotOpen: the processor is closed; there is no end at which the file would be removed.
            OSError: as `open` does.
        """
        if self.state == "closed":
            raise NotOpen(f"no scratch file for {str(self._source.path)!r}: it is not being processed")
        folder = self._folder or Path(tempfile.gettempdir())
        file = ScratchFile(folder, prefix=f"{self._source.path.stem}-", suffix=suffix)
        self._unwind.register(f"removing scratch file {str(file.path)!r}", file.remove)
        self._unwind.register(f"closing scratch file {str(file.path)!r}", file.close)
        return file.open("x+", encoding="utf-8") if text else file.open("xb+")

    def close(self) -> None:
        """Remove the scratch files and close the input; nothing when it is closed.

        Raises:
            OSError: the first that a release raised; everything was tried.
        """
        path = str(self._source.path)
        close_all((f"removing what {path!r} needed", self._unwind.close), (f"closing {path!r}", self._source.close))

    @property
    def _closing(self) -> str:
        return f"cleaning up after {str(self._source.path)!r}"

    def __enter__(self) -> Self:
        return self.open()


@overload
def open_all(
    paths: Iterable[StrPath], mode: OpenTextMode = "r", *, encoding: str | None = None
) -> AbstractContextManager[list[TextIO]]: ...
@overload
def open_all(
    paths: Iterable[StrPath], mode: OpenBinaryMode, *, encoding: None = None
) -> AbstractContextManager[list[BinaryIO]]: ...
def open_all(
    paths: Iterable[StrPath], mode: str = "r", *, encoding: str | None = None
) -> AbstractContextManager[list[Any]]:
    """Open files together: all or none.

    Acquires: the files, in order. Releases: the files, in reverse.
    Acquisition of the nth fails: the n-1 before it are closed in reverse order, its error comes out.
    Body fails: all are closed, the body's error comes out.
    Release fails: the others are closed; the first error comes out, each further one is a note on it.

    Args:
        paths, mode, encoding: as for `open`.
    """
    return _open_all(list(paths), mode, encoding)


@contextmanager
def _open_all(paths: list[StrPath], mode: str, encoding: str | None) -> Iterator[list[Any]]:
    with Unwind() as unwind:
        files = []
        for path in paths:
            file: ManagedFile[Any] = ManagedFile(path, cast(Any, mode), encoding=encoding)
            unwind.register(f"closing {str(path)!r}", file.close)
            files.append(file.open())
        yield files


@overload
def atomic_write(
    path: StrPath, mode: Literal["w"] = "w", *, encoding: str | None = "utf-8", newline: str | None = None
) -> AbstractContextManager[TextIO]: ...
@overload
def atomic_write(path: StrPath, mode: Literal["wb"]) -> AbstractContextManager[BinaryIO]: ...
def atomic_write(
    path: StrPath, mode: str = "w", *, encoding: str | None = "utf-8", newline: str | None = None
) -> AbstractContextManager[Any]:
    """Replace a file as a whole: readers see the old content or the new, never a part.

    Acquires: a temporary file beside the target. Releases: it is closed, and by then renamed or unlinked.
    Acquisition, body, fsync or rename fails: the temporary file is gone, the target untouched, the error comes out.
    Release fails (the unlink): its error is a note on the one that made it necessary.
    The permissions of a file that is replaced are kept; a link is followed, and its target replaced.
    The folder is not synced: after a power failure the old file may be back, whole.

    Args:
        path: the target; need not exist.
        mode: "w" or "wb".
    Raises:
        ValueError: another mode.
        OSError: as `open`, `fsync` and `replace` do.
    """
    if mode not in ("w", "wb"):
        raise ValueError(f"atomic_write of {str(path)!r}: mode is {mode!r}; expected 'w' or 'wb'")
    options = {"encoding": encoding, "newline": newline} if mode == "w" else {}
    return _atomic_write(Path(os.path.realpath(path)), "x" if mode == "w" else "xb", options)


@contextmanager
def _atomic_write(target: Path, mode: str, options: dict[str, Any]) -> Iterator[IO[Any]]:
    # beside the target: a rename is atomic only within one file system
    new = ScratchFile(target.parent, prefix=f".{target.name[:80]}.", suffix=".tmp", permissions=0o666)
    with Unwind() as unwind:
        # after the rename there is nothing left to remove, and nothing is removed
        unwind.register(f"removing {str(new.path)!r}", new.remove)
        unwind.register(f"closing {str(new.path)!r}", new.close)
        file = new.open(mode, **options)
        try:
            os.chmod(new.path, stat.S_IMODE(target.stat().st_mode))
        except FileNotFoundError:
            pass  # nothing to replace: what the umask gives is right
        yield file
        file.flush()
        os.fsync(file.fileno())
        file.close()
        os.replace(new.path, target)
