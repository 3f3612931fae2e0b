"""Which paths the running tests have made: only one that was not there before is new."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable
from types import FrameType
from typing import Any

from pytest_leakguard import _real
from pytest_leakguard.origins.record import Record, plain_path

MAKING = frozenset({"os.mkdir", "os.rename", "rename or link", "socket.bind"})
"""Events of calls that make a path and open nothing."""

Note = Callable[[str, object, FrameType | None], Record]


class CreatedPaths(dict[str, Record]):
    """Absolute path -> the record of what made it.

    Args:
        note: records an event; asked only for a path that is new.
        records: those of the running test, the latest last.

    Attributes:
        tmp_roots: paths that start with one of these are cleaned up by pytest.
    """

    def __init__(self, note: Note, records: Iterable[Record]) -> None:
        super().__init__()
        self.tmp_roots: tuple[str, ...] = ()
        self._note = note
        self._records = records

    def keep(self, paths: Collection[object]) -> None:
        """Forget all but these."""
        for path in [path for path in self if path not in paths]:
            del self[path]

    def opening(self, path: str, record: Record) -> None:
        """`path` is about to be opened in a way that makes it if it is not there."""
        place = self._new(path)
        if place is not None:
            self._add(place, record)

    def making(self, path: str, event: str, frame: FrameType | None) -> None:
        """`path` is about to be made by the call of `frame`, which acquires nothing else."""
        place = self._new(path)
        if place is not None:
            self._add(place, self._note(event, path, frame))

    def on_mkdir(self, args: Any, frame: FrameType | None) -> None:
        """Audit event ``os.mkdir``."""
        path = plain_path(args[0])
        if type(path) is str:
            self.making(path, "os.mkdir", frame)

    def on_second_path(self, args: Any, frame: FrameType | None) -> None:
        """Audit events ``os.link`` and ``os.symlink``."""
        path = plain_path(args[1])
        if type(path) is str:
            self.making(path, "rename or link", frame)

    def on_rename(self, args: Any, frame: FrameType | None) -> None:
        """Audit event ``os.rename``: what made the source made the target."""
        source, target = plain_path(args[0]), plain_path(args[1])
        if type(source) is not str or type(target) is not str:
            return
        for record in tuple(self._records):
            if record.event == "open" and source in (record.detail, record.renamed):
                record.renamed = target
        created = self.get(_real.abspath(source))
        if created is None:
            self.making(target, "os.rename", frame)
        elif (place := self._new(target)) is not None:
            # what is replaced was there before, and maybe it is not replaced
            self._add(place, created)

    def _add(self, place: str, record: Record) -> None:
        record.created = place
        self[place] = record

    def _new(self, path: str) -> str | None:
        """The absolute path, if there is nothing yet and nobody else cleans it up."""
        if self._is_cleaned_up(path):
            return None
        try:
            place = path if path.startswith("/") and ".." not in path else _real.abspath(path)
            if self._is_cleaned_up(place):
                return None
            _real.lstat(place)
        except FileNotFoundError:
            return place
        except (OSError, ValueError):
            pass
        return None

    def _is_cleaned_up(self, path: str) -> bool:
        return (path + "/").startswith(self.tmp_roots)
