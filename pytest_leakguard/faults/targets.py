"""Which code is made to fail: told from the name of its file."""

from __future__ import annotations

import importlib.util
import os
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from types import FrameType

from pytest_leakguard.faults.names import RELEASES
from pytest_leakguard.origins import frames

TEST_PATTERNS = ("test_*.py", "*_test.py", "conftest.py")
_REFERENCE = os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), "reference")


class BadTarget(ValueError):
    """A target that is neither a path nor a package; says so."""


@dataclass(frozen=True, slots=True)
class Targets:
    """The code under test.

    Attributes:
        root: points tell paths relative to it.
        given: absolute folders and files; nothing means all below `root` that is no test.
        is_test_file: which files hold tests; those are targets only when named.
        also: absolute files that are targets besides, whatever else they are.
    """

    root: str
    given: tuple[str, ...] = ()
    is_test_file: Callable[[str], bool] = field(default=lambda name: is_test_name(name))
    also: frozenset[str] = frozenset()
    _known: dict[str, bool] = field(default_factory=dict, compare=False)

    def is_target(self, filename: str) -> bool:
        """Whether code of that file may fail."""
        known = self._known.get(filename)
        if known is None:
            known = self._known[filename] = self._decide(filename)
        return known

    def path_of(self, filename: str) -> str:
        """The path that a point tells."""
        return frames.shorten(filename, self.root)

    def _decide(self, filename: str) -> bool:
        if filename in self.also:
            return True
        where = frames.region(filename)
        if where == "runner" or not os.path.isabs(filename):
            return False
        # of our own, only the bundled managers can be made to fail, and only when they are named:
        # a folder that happens to hold this plugin too does not name them
        places = [place for place in self.given if where != "self" or _is_below(place, _REFERENCE)]
        if self.given:
            return any(_is_below(filename, place) for place in places)
        return where == "project" and _is_below(filename, self.root) and not self.is_test_file(filename)


def is_test_name(filename: str) -> bool:
    """Whether pytest's default patterns take a file for a test file."""
    name = os.path.basename(filename)
    return any(fnmatchcase(name, pattern) for pattern in TEST_PATTERNS)


def places_of(words: Iterable[str], *, folder: str) -> tuple[str, ...]:
    """Absolute paths for what the user named: paths, else importable modules and packages.

    Args:
        folder: relative paths start here.
    Raises: BadTarget.
    """
    places: list[str] = []
    for word in words:
        path = os.path.abspath(os.path.join(folder, word))
        if os.path.exists(path):
            places.append(path)
            continue
        found = _package_places(word)
        if not found:
            raise BadTarget(f"no such file, folder or package: {word!r}. Allowed: a path, or a package by name.")
        places += found
    return tuple(places)


def _package_places(name: str) -> list[str]:
    try:
        spec = importlib.util.find_spec(name)
    except (ImportError, ValueError, AttributeError):
        return []
    if spec is None:
        return []
    if spec.submodule_search_locations:
        return [os.path.abspath(place) for place in spec.submodule_search_locations]
    return [os.path.abspath(spec.origin)] if spec.origin and os.path.exists(spec.origin) else []


def _is_below(filename: str, place: str) -> bool:
    return filename == place or filename.startswith(place.rstrip(os.sep) + os.sep)


def target_frame(frame: FrameType | None, targets: Targets) -> FrameType | None:
    """The frame whose call fails: the first one outwards that is no standard library's, if it is a target.

    A call made by a dependency, by a test or while a module is being imported is
    none of the target's own; one inside a release would be the failure of the release.
    """
    while frame is not None:
        filename = frame.f_code.co_filename
        if frame.f_code.co_name in RELEASES:
            return None
        if targets.is_target(filename):
            return None if _imports(frame) else frame
        if filename.startswith("<frozen importlib") or frames.region(filename) != "stdlib":
            return None
        frame = frame.f_back
    return None


def _imports(frame: FrameType | None) -> bool:
    while frame is not None:
        code = frame.f_code
        if code.co_filename.startswith("<frozen importlib"):
            return True
        frame = frame.f_back
    return False


def stack_of(frame: FrameType | None, targets: Targets, limit: int = 40) -> tuple[str, ...]:
    """``file:line in function``, innermost first, as far as the call of the test."""
    lines: list[str] = []
    for code, lasti in frames.walk(frame):
        if frames.region(code.co_filename) in ("runner", "self") and not targets.is_target(code.co_filename):
            continue
        name = frames.shorten(code.co_filename, targets.root)
        lines.append(f"{name}:{frames.line_of(code, lasti)} in {frames.name_of(code)}")
    return tuple(lines[:limit])
