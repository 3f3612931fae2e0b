"""A resource and the recorded acquisitions -> where it came from, and how that is known.

Never a guess: without a clue that both share the origin is unknown, with the reason.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Hashable, Iterator
from dataclasses import dataclass
from itertools import chain

from pytest_leakguard import _real
from pytest_leakguard.core.model import NOBODY, Acquisition, Origin, Resource
from pytest_leakguard.origins import frames
from pytest_leakguard.origins.audit import Recorder
from pytest_leakguard.origins.created import MAKING
from pytest_leakguard.origins.record import Record, inode_of, socket_fileno

_SQLITE_SIDE_FILES = ("-journal", "-wal", "-shm")
_OF_THE_CENSUS = frozenset({"fd", "socket", "process"})
_START_SLACK_SECONDS = 0.03  # start times are kept in ticks of 10 ms
_SELF_PIPE = "_make_self_pipe"


@dataclass(frozen=True, slots=True)
class Match:
    """The record taken for the origin of a resource, if any."""

    record: Record | None
    reason: str = ""


class Matcher:
    """Finds the records that share a clue with a resource.

    Args:
        held: whether a Python object holds that descriptor, or None when nobody looked.
    """

    def __init__(
        self,
        recorder: Recorder,
        *,
        tracked: dict[int, Record],
        held: Callable[[int], bool] | None = None,
    ) -> None:
        self._recorder = recorder
        self._tracked = tracked
        self._held = held
        self._used: set[int] = set()
        recorder.resolve()

    def match(self, resource: Resource, count: int | None = None) -> Match:
        """The latest record that no other resource has taken, by the strongest clue.

        Args:
            count: only the first so many records of the session are asked.
        """
        number = next((value for clue, value in resource.clues if clue == "fd"), None)
        for clue, value in resource.clues:
            for record in self._candidates(clue, value, resource.kind):
                if count is not None and record.number > count:
                    continue
                # an object that is watched may share its acquisition with the descriptor that it holds
                if (id(record) in self._used and clue != "tracked") or _is_another(record, clue, number):
                    continue
                if self._is_copy(record, number):
                    where = frames.origin_of(record.stack, root="", how="audit", event="")
                    return Match(
                        None,
                        f"dup() raises no audit event (the file was opened at line {where.line} of "
                        f"{os.path.basename(where.file or '?')}); try --leakguard-trace",
                    )
                self._used.add(id(record))
                return Match(record)
        return Match(None, resource.reason or "no acquisition was recorded")

    def _is_copy(self, record: Record, number: Hashable) -> bool:
        # what open() returned closes its descriptor when it dies; one that lives on without such
        # an object is another: a duplicate of it
        return (
            record.event == "open"
            and not record.raw
            and type(record.detail) is str
            and isinstance(number, int)
            and self._held is not None
            and not self._held(number)
        )

    def _candidates(self, clue: str, value: Hashable, kind: str) -> Iterator[Record]:
        recorder = self._recorder
        if kind in _OF_THE_CENSUS:
            # what was not there at the last look was acquired since: older records can't explain it
            latest = iter([r for r in reversed(tuple(recorder.records)) if not r.blamed and not r.pinned])
        else:
            # what is dead explains one warning; what is still open explains none
            every = chain(reversed(tuple(recorder.records)), reversed(recorder.before))
            latest = iter([r for r in every if not r.spent and not _is_open(r)])
        if clue == "thread" and isinstance(value, int):
            record = recorder.started_by(value)
            if record is not None:
                yield record
        elif clue == "created":
            created = recorder.created.get(str(value))
            if created is not None:
                yield created
            yield from (record for record in latest if record.created == value)
        elif clue == "tracked" and isinstance(value, int):
            if value in self._tracked:
                yield self._tracked[value]
        elif clue == "pid":
            yield from (record for record in latest if _pid_of(record) == value)
        elif clue == "started" and isinstance(value, float):
            yield from (record for record in latest if _started_then(record, value))
        elif clue == "fd":
            yield from (record for record in latest if _holds(record, value, kind))
        elif clue == "number":
            # only when an object that closes it holds the number: else it is a later one of that number
            if self._held is None or (isinstance(value, int) and self._held(value)):
                yield from (record for record in latest if record.event == "open" and record.detail == value)
        elif clue == "closed fd":
            yield from (record for record in latest if record.fd == value or record.detail == value)
        elif clue == "id":
            yield from (record for record in latest if record.object_id == value)
        elif clue == "name":
            yield from (record for record in latest if record.event == "open" and record.detail == value)
        elif clue == "path":
            yield from (record for record in latest if _same_path(record, str(value)))
        elif clue == "inode":
            yield from (record for record in latest if _inode(record) == value)
        elif clue == "dead socket":
            # one that died before it could be asked for its number
            yield from (
                r for r in latest if r.event == "socket.__new__" and r.fd < 0 and r.ref is not None and not r.ref()
            )
        elif clue == "scandir":
            yield from (record for record in latest if record.event == "os.scandir")
        elif clue == "event loop":
            yield from (record for record in latest if is_event_loop(record))


def _is_another(record: Record, clue: str, number: Hashable) -> bool:
    """Whether a record that shares a path opened nothing, is known to be closed, or to be another descriptor."""
    return clue in ("path", "inode") and (
        record.event in MAKING or record.over or (record.fd >= 0 and record.fd != number)
    )


def _is_open(record: Record) -> bool:
    return record.event == "open" and record.fd >= 0 and not record.over and inode_of(record.fd) == _inode(record)


def is_event_loop(record: Record) -> bool:
    """Whether a record is a socket that an asyncio event loop made for itself."""
    return record.event == "socket.__new__" and any(code.co_name == _SELF_PIPE for code, _ in record.stack[:6])


def is_popen_pipe(record: Record) -> bool:
    """Whether a record is the file object that subprocess put around a pipe of a child."""
    return (
        record.event == "open"
        and type(record.detail) is int
        and any(
            code.co_name == "__init__" and code.co_filename.endswith("subprocess.py") for code, _ in record.stack[:4]
        )
    )


def _pid_of(record: Record) -> object:
    if record.event != "process start" or record.ref is None:
        return None
    holder = record.ref()
    return None if holder is None else vars(holder).get("pid")


def _started_then(record: Record, ticks: float) -> bool:
    """Whether a spawn without an object that knows its pid is the one that started then."""
    if record.event != "process start" or record.ref is not None:
        return False
    seconds = ticks / os.sysconf("SC_CLK_TCK")
    return abs(record.when - seconds) <= _START_SLACK_SECONDS


def _holds(record: Record, number: Hashable, kind: str) -> bool:
    """Whether a record's own object, or the record itself, is known to have that descriptor."""
    if record.event == "socket.__new__":
        sock = record.ref() if kind == "socket" and record.ref is not None else None
        return sock is not None and socket_fileno(sock) == number
    # the number alone is no identity: the file behind it may be closed, and another have the number
    return (
        record.event == "open"
        and type(record.detail) is str
        and record.fd == number
        and inode_of(record.fd) == record.inode
    )


def _same_path(record: Record, path: str) -> bool:
    return any(_is_path(detail, path) for detail in (record.detail, record.renamed) if type(detail) is str and detail)


def _is_path(detail: str, path: str) -> bool:
    if detail == path:
        return True
    for suffix in _SQLITE_SIDE_FILES:
        if path.endswith(suffix) and detail == path[: -len(suffix)]:
            return True
    if os.path.basename(detail) != os.path.basename(path) and not os.path.basename(path).startswith("#"):
        return False
    absolute = os.path.abspath(detail)
    return path in (absolute, os.path.realpath(absolute)) or os.path.dirname(path) == absolute


def _inode(record: Record) -> object:
    if record.inode is not None:
        return record.inode
    if type(record.detail) is not str:
        return None
    try:
        status = _real.os_stat(record.renamed or record.detail)
    except (OSError, ValueError):
        return None
    return (status.st_dev, status.st_ino)


def acquisition_of(match: Match, *, root: str, otherwise: Acquisition) -> Acquisition:
    """Owner and origin of a match; `otherwise` is what the census alone tells.

    What was acquired by an import, or in a hook of another plugin, belongs to nobody.
    """
    record = match.record
    if record is None:
        return Acquisition(
            owner=otherwise.owner,
            test=otherwise.test,
            phase=otherwise.phase,
            origin=Origin(reason=match.reason),
        )
    origin = frames.origin_of(record.stack, root=root, how=record.how, event=record.event)
    owner = record.context.owner
    if frames.is_import(record.stack) or frames.is_plugin_hook(record.stack):
        owner = NOBODY
    return Acquisition(owner=owner, test=record.context.test, phase=record.context.phase, origin=origin)
