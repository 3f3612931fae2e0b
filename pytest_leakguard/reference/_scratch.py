"""A file that is removed again, made under a name that is known before the file exists."""

from __future__ import annotations

import os
import secrets
from pathlib import Path
from typing import IO, Any


class ScratchFile:
    """One file to be removed.

    The name is drawn first, so `remove` can be promised before the file is
    there, and an interrupt right after the file was made finds it promised.
    `mkstemp` tells the name only when it is too late for that.

    Args:
        folder: where it is made.
        prefix, suffix: parts of its name; between them 96 random bits.
        permissions: of the new file, less the umask.
    """

    def __init__(self, folder: Path, prefix: str = "", suffix: str = "", permissions: int = 0o600) -> None:
        self.path = folder / f"{prefix}{secrets.token_hex(12)}{suffix}"
        self._permissions = permissions
        self._file: IO[Any] | None = None
        self._is_ours = False

    def open(self, mode: str, **options: Any) -> IO[Any]:
        """Make the file and open it.

        Args:
            mode: with `x`, so that a file that is there already is not taken.
        Raises:
            FileExistsError: somebody else has that name; `remove` will not touch it.
            OSError: as `open` does.
        """
        self._is_ours = True
        try:
            self._file = open(self.path, mode, opener=self._opener, **options)  # noqa: SIM115 - `close` does
            return self._file
        except FileExistsError:
            self._is_ours = False
            raise

    def _opener(self, path: str, flags: int) -> int:
        return os.open(path, flags, self._permissions)

    def close(self) -> None:
        """Close it; nothing when it never was open."""
        if self._file is not None:
            self._file.close()

    def remove(self) -> None:
        """Remove it; nothing when it is gone already or never was there."""
        if self._is_ours:
            self.path.unlink(missing_ok=True)
            self._is_ours = False
