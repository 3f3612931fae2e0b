"""Suspects that belong together: one leak is one finding, however many resources it consists of."""

from __future__ import annotations

import os
from dataclasses import replace

from pytest_leakguard.core.model import Key, Origin
from pytest_leakguard.origins import frames, holders
from pytest_leakguard.origins.audit import Recorder
from pytest_leakguard.origins.match import Match, acquisition_of, is_event_loop, is_popen_pipe
from pytest_leakguard.origins.record import Record
from pytest_leakguard.probes.connections import EVENT as CONNECT
from pytest_leakguard.probes.connections import ConnectionProbe
from pytest_leakguard.probes.objects import ObjectProbe
from pytest_leakguard.suspects import Suspect


def mark_of_call(record: Record | None) -> Key:
    """Equal for resources that one call acquired together: a child and its pipes, a loop's sockets."""
    if record is None or not (record.event == "process start" or is_popen_pipe(record) or is_event_loop(record)):
        return None
    for index, (code, lasti) in enumerate(record.stack):
        if frames.region(code.co_filename) != "stdlib":
            return (code.co_filename, code.co_name, lasti, len(record.stack) - index)
    return None


def join_same(suspects: list[Suspect], objects: ObjectProbe, connections: ConnectionProbe) -> None:
    """An object that is watched by its class may be the resource itself: a connection, a socket."""
    watched = {objects.identity(s.item[1]): s for s in suspects if s.item[0] == "object"}
    for suspect in suspects if watched else ():
        kind, key = suspect.item
        identity = connections.identity(key) if kind == "sqlite" else id(suspect.live)
        whole = watched.get(identity) if kind != "object" else None
        if whole is not None and suspect.mark is None:
            suspect.mark = whole.mark
        elif whole is not None:
            whole.mark = suspect.mark


def join_attached(suspects: list[Suspect], recorder: Recorder, connections: ConnectionProbe, root: str) -> None:
    """ATTACH opens a database inside sqlite and raises no event: it goes with the connection made last."""
    latest = next((r for r in reversed(tuple(recorder.records)) if r.event == CONNECT), None)
    key = None if latest is None else connections.key_of(latest)
    for suspect in suspects if latest is not None else ():
        path = next((str(value) for clue, value in suspect.resource.clues if clue == "path"), "")
        if suspect.record is None and suspect.item[0] == "fd" and _is_database(path):
            suspect.record = latest
            reason = "a database attached to a sqlite connection; ATTACH raises no event, try --leakguard-trace"
            connection = acquisition_of(Match(latest), root=root, otherwise=suspect.acquisition)
            suspect.acquisition = replace(connection, origin=Origin(reason=reason))
            if key is not None:
                suspect.mark = suspect.whole = ("sqlite", key)


def join_pipes(suspects: list[Suspect]) -> None:
    """The pipes that a child's own object holds are parts of the child."""
    for child in suspects:
        if child.item[0] != "process" or child.whole is not None:
            continue
        popen = child.live
        if popen is None and child.record is not None and child.record.ref is not None:
            popen = child.record.ref()
        if popen is not None:
            child.mark = child.item
            numbers = holders.pipes_of(popen)
            for suspect in suspects:
                if suspect.item[0] == "fd" and isinstance(suspect.item[1], tuple) and suspect.item[1][0] in numbers:
                    suspect.mark = child.mark


def _is_database(path: str) -> bool:
    """Whether a file is sqlite's, or will be: it is empty until something is written."""
    try:
        with open(path, "rb") as file:
            start = file.read(16)
    except (OSError, ValueError):
        return False
    return start.startswith(b"SQLite format 3") or (not start and os.path.splitext(path)[1] in _DATABASE_ENDINGS)


_DATABASE_ENDINGS = (".db", ".db3", ".sqlite", ".sqlite3")


def join_copies(suspects: list[Suspect]) -> None:
    """A second descriptor on the same file (dup, mmap) shares its owner; where it was made stays unknown."""
    originals = {
        clue: suspect for suspect in suspects if suspect.record is not None for clue in suspect.resource.clues
        if clue[0] == "inode"
    }  # fmt: skip
    for suspect in suspects:
        if suspect.record is None and suspect.item[0] == "fd":
            original = next((originals[clue] for clue in suspect.resource.clues if clue in originals), None)
            if original is not None:
                suspect.record = original.record
                suspect.acquisition = replace(original.acquisition, origin=suspect.acquisition.origin)


def join_event_loops(suspects: list[Suspect]) -> None:
    """An event loop is a selector and a pair of sockets: its epoll descriptor takes their origin."""
    loops = [s for s in suspects if s.record is not None and is_event_loop(s.record)]
    polls = [s for s in suspects if s.resource.subject == "epoll"]
    for loop, poll in zip(loops[::2], polls, strict=False):
        poll.mark = loop.mark
        poll.record = loop.record
        poll.acquisition = loop.acquisition
    for loop in loops:
        loop.resource = replace(
            loop.resource,
            what="event loop that was not closed, with its selector and socket pair",
            subject="event loop",
            fix="close the loop on every path; asyncio.run and asyncio.Runner do",
        )
