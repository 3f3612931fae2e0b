"""Temporary files and folders that are gone afterwards, also when the process was killed."""

from __future__ import annotations

import atexit
import logging
import os
import secrets
import shutil
import signal
import tempfile
import threading
from functools import partial
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Literal

from pytest_leakguard.reference._closing import ClosedOnExit
from pytest_leakguard.reference._journal import Journal, Orphan, orphans
from pytest_leakguard.reference._unwind import add_note, close_all, undo
from pytest_leakguard.reference.errors import AlreadyOpen, NotOpen

if TYPE_CHECKING:
    from _typeshed import StrPath
    from typing_extensions import Self

_log = logging.getLogger("pytest_leakguard.reference.temp")


class TemporaryResourceManager(ClosedOnExit):
    """Temporary files and folders; by `with`, or by `open()` and `close()`; usable again.

    Acquires: a journal in the folder; then each file and folder, which is written down there before it is made.
    Releases: all of them, the last first, then the journal.
    Acquisition fails: nothing is left of what was being made; the others stay until the end.
    Body fails: all are removed, the body's error comes out.
    Release fails (a folder that is read only): all others are removed; the first error comes out, each further one is
    a note on it. What could not be removed stays in the journal: `close()` may be called again, and the next start
    tries too.
    SIGTERM: while its default is in force and a manager was opened in the main thread, everything is removed, then
    the process ends by the signal as always. A handler of yours is left alone; have it raise `SystemExit`.
    Left open at the exit of the interpreter: removed then.
    SIGKILL, power: the next manager with this prefix and folder removes what the dead process left. It never touches
    what belongs to a live process (same id and start time, or a lock held on the journal), nor names without the
    prefix, nor journals of other users.
    Fork: a child does not remove what its parent made.
    States: closed → open → closed …

    Locking: the list of what was made is guarded by one lock. It is reentrant because the handler of SIGTERM runs in
    the main thread, between any two lines of it, maybe while that thread has the lock.

    Args:
        prefix: with which all names begin; managers of one prefix and folder clean up after each other's crashes.
        folder: where; None is the system's folder for temporary files.
        keep: True removes nothing, for a look at it afterwards; and then there is no journal.
    Raises:
        ValueError: a prefix that is empty, begins with "-" or has a separator or line end in it.
    """

    def __init__(self, prefix: str, folder: StrPath | None = None, *, keep: bool = False) -> None:
        if not prefix or prefix[0] == "-" or any(sign in prefix for sign in ("/", os.sep, "\n", "\0")):
            raise ValueError(
                f"TemporaryResourceManager: {prefix!r} can't begin a file name; expected one like 'report-'"
            )
        self.prefix = prefix
        self.folder = Path(folder if folder is not None else tempfile.gettempdir()).absolute()
        self._keep = keep
        self._lock = threading.RLock()
        self._names: list[str] = []
        self._journal: Journal | None = None
        self._pid = -1
        self._state: Literal["closed", "open"] = "closed"
        self.reclaimed: tuple[Path, ...] = ()

    @property
    def state(self) -> Literal["closed", "open"]:
        """Which of its two states it is in."""
        return self._state

    @property
    def paths(self) -> tuple[Path, ...]:
        """What will be removed, in the order in which it was made."""
        with self._lock:
            return tuple(self.folder / name for name in self._names)

    def open(self) -> Self:
        """Remove what dead processes left, then begin; `reclaimed` tells what was removed.

        Raises:
            AlreadyOpen: it is open.
            OSError: the journal can't be written.
        """
        if self._state == "open":
            raise AlreadyOpen(f"TemporaryResourceManager {self.prefix!r} is open already; close it first")
        self.reclaimed = self._reclaim()
        self._pid = os.getpid()
        try:
            self._state = "open"
            if not self._keep:
                self._journal = Journal(self.folder, self.prefix)
                self._journal.open()
                _on_termination.register(self)
            return self
        except BaseException as error:
            add_note(error, f"while opening TemporaryResourceManager {self.prefix!r} in {self.folder}")
            undo(error, "closing it", self.close)
            raise

    def file(self, suffix: str = "") -> Path:
        """Make an empty file, for this user only.

        Raises:
            NotOpen: the manager is closed.
            OSError: as `open` does.
        """
        path = self._promise(suffix)
        os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY | os.O_CLOEXEC, 0o600))
        return path

    def directory(self, suffix: str = "") -> Path:
        """Make an empty folder, for this user only.

        Raises:
            NotOpen: the manager is closed.
            OSError: as `mkdir` does.
        """
        path = self._promise(suffix)
        path.mkdir(0o700)
        return path

    def keep(self, path: Path) -> None:
        """Do not remove this one.

        Raises:
            ValueError: it is none of those made here.
        """
        with self._lock:
            if path.name not in self._names or path.parent != self.folder:
                raise ValueError(f"{str(path)!r} was not made by TemporaryResourceManager {self.prefix!r}")
            if self._journal is not None:
                self._journal.write(f"-{path.name}")
            self._names.remove(path.name)

    def _promise(self, suffix: str) -> Path:
        """Draw a name and write it down as to be removed, before there is anything of that name."""
        if any(sign in suffix for sign in ("/", os.sep, "\n", "\0")):
            raise ValueError(f"suffix {suffix!r} has a separator or line end in it")
        with self._lock:
            if self._state == "closed":
                raise NotOpen(f"TemporaryResourceManager {self.prefix!r} is closed")
            name = f"{self.prefix}{secrets.token_hex(12)}{suffix}"
            self._names.append(name)
            if self._journal is not None:
                self._journal.write(name)
            return self.folder / name

    def close(self) -> None:
        """Remove all; nothing when that was done, nor in a child of the process that opened it.

        Raises:
            OSError: the first that could not be removed, with the others as notes.
        """
        if self._pid != os.getpid():
            return
        # nothing is made from here on; what an earlier close left is tried again
        self._state = "closed"
        close_all(
            *[(f"removing {name!r}", partial(self._remove, name)) for name in reversed(self._names) if not self._keep],
            (f"closing the journal of {self.prefix!r}", self._close_journal),
            ("closing", self._unregister),
        )

    def _unregister(self) -> None:
        if self._keep:
            self._names.clear()
        if not self._names:
            _on_termination.unregister(self)

    def _remove(self, name: str) -> None:
        path = self.folder / name
        with self._lock:
            try:
                remove(path)
            finally:
                # what is gone need not be tried again; and another thread may close too
                if name in self._names and not os.path.lexists(path):
                    self._names.remove(name)

    def _close_journal(self) -> None:
        if self._journal is not None:
            self._journal.close(remove=not self._names)
            if not self._names:
                self._journal = None

    def _reclaim(self) -> tuple[Path, ...]:
        removed: list[Path] = []
        for orphan in orphans(self.folder, self.prefix):
            try:
                if orphan.claim():
                    removed += self._remove_orphans(orphan)
            except OSError:
                # of another start: that must not stop this one
                _log.warning(
                    "what %s names could not be removed; the next start tries again", orphan.path, exc_info=True
                )
            finally:
                orphan.close()
        return tuple(removed)

    def _remove_orphans(self, orphan: Orphan) -> list[Path]:
        paths = [self.folder / name for name in orphan.names()]
        removed = [path for path in paths if os.path.lexists(path)]
        close_all(*[(f"removing {str(path)!r}", partial(remove, path)) for path in removed])
        orphan.path.unlink(missing_ok=True)
        return removed

    @property
    def _closing(self) -> str:
        return f"removing what {self.prefix!r} made"

    def __enter__(self) -> Self:
        return self.open()


def remove(path: Path) -> None:
    """Remove a file, a link or a whole folder; nothing when it is gone.

    Raises:
        OSError: it could not be removed.
    """
    try:
        os.unlink(path)
    except FileNotFoundError:
        pass
    except (IsADirectoryError, PermissionError):
        # a folder, says Linux by the first and others by the second
        if not os.path.isdir(path) or os.path.islink(path):
            raise
        _unlink_folder(path)


def _unlink_folder(path: Path) -> None:
    try:
        shutil.rmtree(path)
    except FileNotFoundError:
        # something else takes it apart at the same time: then the rest is tried again
        if os.path.lexists(path):
            shutil.rmtree(path)


class _OnTermination:
    """Closes all open managers at SIGTERM and at the exit of the interpreter. One, as the handler is."""

    def __init__(self) -> None:
        self._managers: list[TemporaryResourceManager] = []
        self._is_installed = False
        self._is_registered = False

    def register(self, manager: TemporaryResourceManager) -> None:
        self._managers.append(manager)
        if not self._is_registered:
            self._is_registered = True
            atexit.register(self._close_all)
        is_main = threading.current_thread() is threading.main_thread()
        # somebody's own handler, or SIG_IGN, says what SIGTERM means in this program
        if is_main and signal.getsignal(signal.SIGTERM) is signal.SIG_DFL:
            signal.signal(signal.SIGTERM, self._terminated)
            self._is_installed = True

    def unregister(self, manager: TemporaryResourceManager) -> None:
        if manager in self._managers:
            self._managers.remove(manager)
        is_main = threading.current_thread() is threading.main_thread()
        if self._is_installed and not self._managers and is_main:
            if signal.getsignal(signal.SIGTERM) == self._terminated:
                signal.signal(signal.SIGTERM, signal.SIG_DFL)
            self._is_installed = False

    def _terminated(self, number: int, _frame: FrameType | None) -> None:
        try:
            self._close_all()
        finally:
            # and now what would have happened without us, exit status included
            signal.signal(number, signal.SIG_DFL)
            os.kill(os.getpid(), number)

    def _close_all(self) -> None:
        close_all(*[(f"removing what {manager.prefix!r} made", manager.close) for manager in reversed(self._managers)])


_on_termination = _OnTermination()
