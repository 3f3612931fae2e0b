"""Files and folders that a test created outside pytest's own tmp tree and left there.

Only paths that the record saw being created are looked at: a scan of the temp
folder would find what other programs write there.
"""

from __future__ import annotations

import os
import stat
import tempfile
from collections.abc import Callable, Iterable
from typing import cast

from pytest_leakguard import _real
from pytest_leakguard.core.litter import is_litter
from pytest_leakguard.core.model import Key, Resource
from pytest_leakguard.origins.audit import Recorder


class TempProbe:
    """Sees recorded paths that still exist."""

    kind = "temp"
    moves_are_recorded = True
    mechanism = "audit events that create a path, then lstat"

    def __init__(
        self, recorder: Recorder, shorten: Callable[[str], str] = str, caches: Iterable[str] | None = None
    ) -> None:
        self._recorder = recorder
        self._shorten = shorten
        self._caches = tuple(user_caches() if caches is None else caches)

    def unavailable(self) -> str | None:
        return None

    def mark(self) -> int:
        return len(self._recorder.created)

    def keys(self) -> frozenset[Key]:
        return frozenset(
            path for path in tuple(self._recorder.created) if os.path.lexists(path) and is_litter(path, self._caches)
        )

    def describe(self, key: Key) -> Resource:
        path = cast(str, key)
        short = self._shorten(path)
        try:
            status = _real.lstat(path)
        except OSError:
            words = "path"
        else:
            folder = stat.S_ISDIR(status.st_mode)
            words = "folder" if folder else f"file, {status.st_size:,} bytes"
        place = "" if _below(path, temp_folder()) else "outside the temp folder, "
        return Resource(
            kind=self.kind, key=key, what=f"{words}: {place}{short}", subject=short,
            fix="delete it on every path, or create it under the `tmp_path` fixture",
            clues=(("created", path),), reason="no event tells of its creation",
        )  # fmt: skip


def temp_folder() -> str:
    """The folder for temporary files; asking leaves no trace that a test could see."""
    before = tempfile.tempdir
    try:
        return tempfile.gettempdir()
    finally:
        tempfile.tempdir = before


def _below(path: str, folder: str) -> bool:
    return path.startswith(folder.rstrip(os.sep) + os.sep)


def user_caches() -> list[str]:
    """Where programs keep caches from run to run."""
    found = [os.path.join(os.path.expanduser("~"), ".cache")]
    variable = os.environ.get("XDG_CACHE_HOME")
    if variable:
        found.append(os.path.abspath(variable))
    return found
