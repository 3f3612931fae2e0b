"""What a run covered: only of that it can be said that a known leak is gone.

A place is what an entry of the baseline names: ``t.py::test_a`` (without
parameters), ``t.py::TestA``, ``t.py``, or ``tests/`` for a folder; ``./`` is
the root folder.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from pytest_leakguard.core.model import Finding, Owner

EVERYWHERE = "./"
_PARAMETERS = re.compile(r"\[.*\]$", re.DOTALL)
_GROUP = re.compile(r"@[^@/\]]*$")  # what pytest-xdist appends under --dist loadgroup


def without_parameters(test: str) -> str:
    """The id of a test function: one for all its parameters."""
    return _PARAMETERS.sub("", _GROUP.sub("", test))


def place_of(finding: Finding) -> str:
    """Where a finding has to be looked for, to say that it is gone."""
    test, owner = without_parameters(finding.test), finding.owner
    if owner.kind == "test":
        return test
    if owner.kind == "node":
        return owner.name + "/" if owner.scope == "package" else owner.name
    if owner.scope == "class" and "::" in test:
        return test.rpartition("::")[0]
    if owner.scope == "module" and test:
        return _file_of(test)
    if owner.scope == "package" and "/" in test:
        return _file_of(test).rpartition("/")[0] + "/"
    return _folder_of_definition(owner)


def _folder_of_definition(owner: Owner) -> str:
    """The tests below the folder of a conftest are those that may use its fixtures."""
    file = owner.where.rpartition(":")[0]
    folder, slash, name = file.rpartition("/")
    if name == "conftest.py" and slash and not file.startswith(("/", "..")):
        return folder + "/"
    return EVERYWHERE


def _file_of(place: str) -> str:
    return place.partition("::")[0]


@dataclass(frozen=True, slots=True, kw_only=True)
class Ran:
    """What a run collected, and what became of it.

    Attributes:
        collected: ids of the tests that were to run.
        deselected: ids of those that -k, -m, --lf and the like took out.
        passed, skipped: ids of those of them that ended so; what is in neither failed or never ran.
        roots: the files and folders that were asked for as a whole, relative to the root folder; "" is that itself.
        has_gaps: something was left out that no list tells: an error of the collection, ``--ignore``.
        exists: whether there is such a file or folder.
    """

    collected: frozenset[str] = frozenset()
    deselected: frozenset[str] = frozenset()
    passed: frozenset[str] = frozenset()
    skipped: frozenset[str] = frozenset()
    roots: tuple[str, ...] = ()
    has_gaps: bool = False
    exists: Callable[[str], bool] = lambda path: True

    def covers(self, places: Iterable[str]) -> bool:
        """Whether all of these places were run, so that a leak not seen there is gone."""
        return all(self._covers(place) for place in places)

    def _covers(self, place: str) -> bool:
        if place.endswith("/"):
            return self._covers_folder(place)
        file = _file_of(place)
        if not self.exists(file):
            return True
        if file == place:
            return self._has_all_of(file) and self._went_well(_in_file(self.collected, file))
        if any(_is_in(test, place) for test in self.deselected):
            return False
        tests = [test for test in self.collected if _is_in(test, place)]
        if tests:
            return self.passed.issuperset(tests)
        # renamed or deleted, where the rest of its file is there
        return self._has_all_of(file) and bool(_in_file(self.collected, file))

    def _covers_folder(self, place: str) -> bool:
        folder = "" if place == EVERYWHERE else place
        if folder and not self.exists(folder):
            return True
        tests = [test for test in self.collected if test.startswith(folder)]
        left_out = any(test.startswith(folder) for test in self.deselected)
        return self._is_below_roots(folder.rstrip("/")) and not left_out and self._went_well(tests)

    def _went_well(self, tests: Iterable[str]) -> bool:
        """All ended, and some of them ran."""
        tests = set(tests)
        return bool(tests & self.passed) and tests <= self.passed | self.skipped

    def _has_all_of(self, file: str) -> bool:
        return self._is_below_roots(file) and not _in_file(self.deselected, file)

    def _is_below_roots(self, path: str) -> bool:
        return not self.has_gaps and any(
            not root or path == root or path.startswith(root.rstrip("/") + "/") for root in self.roots
        )


def _is_in(test: str, place: str) -> bool:
    name = without_parameters(test)
    return name == place or name.startswith(place + "::")


def _in_file(tests: Iterable[str], file: str) -> list[str]:
    return [test for test in tests if _file_of(test) == file]
