"""Pictures of holders: a DOT file for each, and SVG and PNG where graphviz is installed."""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import subprocess

from pytest_leakguard.core.holding import Path
from pytest_leakguard.report.holding import dot

_SECONDS_AT_MOST = 20
_NAME_AT_MOST = 80


class Graphs:
    """Writes pictures into one folder, made with the first of them.

    Args:
        folder: as it was given; reports name the files so.
        start: what the folder is relative to.
    """

    def __init__(self, folder: str, start: str) -> None:
        self._folder = folder
        self._start = start
        self._written: dict[str, None] = {}

    def write(self, path: Path, fingerprint: str) -> str:
        """Write one picture. Returns its name for a report. Raises OSError.

        The name is made of the fingerprint, and the same in the next run; equal pictures are one file.
        """
        text = dot(path, fingerprint)
        words = re.sub(r"[^A-Za-z0-9_.]+", "-", fingerprint).strip("-.")[:_NAME_AT_MOST]
        short = hashlib.sha256(text.encode("utf-8", "replace")).hexdigest()[:8]
        name = f"{words or 'leak'}-{short}.dot"
        file = os.path.join(self._start, self._folder, name)
        if file not in self._written:
            os.makedirs(os.path.dirname(file), exist_ok=True)
            beside = f"{file}.{os.getpid()}.part"  # another worker may write the same one
            with open(beside, "w", encoding="utf-8") as stream:
                stream.write(text)
            os.replace(beside, file)
            self._written[file] = None
        return os.path.join(self._folder, name)

    def render(self) -> str:
        """Draw everything with graphviz, if it is there. Returns what went wrong, or nothing."""
        program = shutil.which("dot") if self._written else None
        if program is None:
            return ""
        command = [program, "-Tsvg", "-Tpng", "-O", *self._written]
        try:
            ran = subprocess.run(
                command, stdin=subprocess.DEVNULL, capture_output=True, timeout=_SECONDS_AT_MOST, check=False
            )
        except (OSError, subprocess.TimeoutExpired) as error:
            return f"{type(error).__name__}: {error}"
        return ran.stderr.decode("utf-8", "replace").strip().partition("\n")[0] if ran.returncode else ""
