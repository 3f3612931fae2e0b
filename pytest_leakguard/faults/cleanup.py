"""The cleanup ledger: how often each cleanup path ran normally, and how often under an error."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from types import CodeType, FrameType
from typing import Any

from pytest_leakguard.faults.cleanup_marks import Marks, marks_of
from pytest_leakguard.faults.cleanup_paths import CleanupPath, Site, sites_of
from pytest_leakguard.faults.targets import Targets


@dataclass(slots=True)
class Counts:
    """Of one path.

    Attributes:
        entered: how often it was begun: the `with` entered, the callback pushed.
        normal, error: how often the cleanup ran, without an error on its way through it or with one.
    """

    entered: int = 0
    normal: int = 0
    error: int = 0


@dataclass(frozen=True, slots=True)
class Watched:
    """One function of the code under test that has cleanup paths.

    Attributes:
        counts: of each of its sites.
        method, generator: of the site of that kind, where it is one.
    """

    marks: Marks
    counts: tuple[Counts, ...]
    method: Counts | None
    generator: Counts | None


class Ledger:
    """Counts; what is told to it are the steps of functions that `watched` gave.

    A frame is known by its id, for no longer than it runs: nothing of the user's is held.
    """

    def __init__(self, targets: Targets) -> None:
        self.counts: dict[CleanupPath, Counts] = {}
        self._targets = targets
        self._files: dict[str, dict[tuple[str, int], list[Site]]] = {}
        self._watched: dict[int, Watched | None] = {}
        self._codes: list[CodeType] = []
        self._open: dict[int, set[int]] = {}
        self._thrown: set[int] = set()
        self._lines: dict[int, int] = {}  # the line before, where loops are to be told from their turns

    def watched(self, code: CodeType) -> Watched | None:
        """What there is to count in a function; None when nothing is."""
        if not self._targets.is_target(code.co_filename) or code.co_name == "<module>":
            return None
        # by id: equal functions of two files are equal code objects
        key = id(code)
        if key not in self._watched:
            self._watched[key] = self._look(code)
            self._codes.append(code)
        return self._watched[key]

    def _look(self, code: CodeType) -> Watched | None:
        sites = self._sites(code.co_filename).get((code.co_name, code.co_firstlineno))
        if not sites:
            return None
        counts = tuple(self.of(site.path) for site in sites)
        kinds = {site.path.kind: count for site, count in zip(sites, counts, strict=True)}
        return Watched(marks_of(code, sites), counts, kinds.get("exit method"), kinds.get("generator"))

    def _sites(self, filename: str) -> dict[tuple[str, int], list[Site]]:
        if filename not in self._files:
            self._files[filename] = sites_of(filename, self._targets.path_of(filename))
            for sites in self._files[filename].values():
                for site in sites:
                    self.of(site.path)
        return self._files[filename]

    def of(self, path: CleanupPath) -> Counts:
        """The counts of a path."""
        return self.counts.setdefault(path, Counts())

    def add_files(self, filenames: Iterable[str]) -> None:
        """Files whose paths are to be told also when none ever ran."""
        for filename in filenames:
            if filename.endswith(".py") and self._targets.is_target(filename):
                self._sites(filename)

    # -- steps ---------------------------------------------------------------

    def started(self, frame: FrameType, watched: Watched) -> None:
        """A function was called; a generator that is resumed was not."""
        key = id(frame)
        self._open.pop(key, None)
        self._lines.pop(key, None)
        self._thrown.discard(key)
        if watched.method is not None:
            self._ran(watched.method, _first_argument(frame) is not None)

    @staticmethod
    def _ran(counts: Counts, is_error: bool) -> None:
        counts.entered += 1
        if is_error:
            counts.error += 1
        else:
            counts.normal += 1

    def line(self, frame: FrameType, watched: Watched) -> None:
        """A line is about to run."""
        loops = watched.marks.loops
        before = self._lines.get(id(frame))
        if loops:
            self._lines[id(frame)] = frame.f_lineno
        for number, way in watched.marks.by_offset.get(frame.f_lasti, ()):
            if way == "entered":
                watched.counts[number].entered += 1
                self._open.setdefault(id(frame), set()).add(number)
            elif number not in watched.marks.withs:
                if before not in loops.get(number, ()):  # a further turn is none of the path
                    self._ran(watched.counts[number], way == "error")
            elif number in self._open.get(id(frame), ()):
                # once: what follows belongs to the other items of the same `with`
                self._open[id(frame)].discard(number)
                counts = watched.counts[number]
                counts.entered -= 1
                self._ran(counts, way == "error")

    def thrown(self, frame: FrameType, watched: Watched) -> None:
        """An error, or the end that `close` brings, was thrown into a generator that waits at a `yield`."""
        if watched.generator is not None and id(frame) not in self._thrown:
            self._thrown.add(id(frame))
            self._ran(watched.generator, True)

    def returned(self, frame: FrameType, watched: Watched) -> None:
        """A function came to its end."""
        key = id(frame)
        self._open.pop(key, None)
        self._lines.pop(key, None)
        if watched.generator is not None and key not in self._thrown:
            self._ran(watched.generator, False)
        self._thrown.discard(key)


def _first_argument(frame: FrameType) -> Any:
    """The error type that `__exit__` is called with."""
    code = frame.f_code
    names = code.co_varnames
    if code.co_argcount > 1:
        return frame.f_locals.get(names[1])
    star = names[code.co_argcount + code.co_kwonlyargcount] if code.co_flags & 0x04 else ""
    given: tuple[Any, ...] = frame.f_locals.get(star, ())
    return next(iter(given[1 - code.co_argcount :]), None)  # `self` may be one of them
