"""The report files of a run. One that can't be written is told, and keeps no other from being written."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from typing import Any

from pytest_leakguard import _real
from pytest_leakguard.report import files, formats

OUTPUT = "-"
"""In the place of a file: what pytest prints to."""


def write_all(
    asked: Iterable[tuple[str, str]], report: Callable[[], dict[str, Any]], folder: str, errors: list[str]
) -> list[str]:
    """Write each report that was asked for.

    Args:
        asked: format and file.
        report: gives the plain data; asked once, and only when there is something to write.
        folder: what files are relative to.
        errors: told of each that could not be written.
    Returns: the texts that go to the output.
    """
    texts: list[str] = []
    data: dict[str, Any] | None = None
    for form, file in asked:
        try:
            data = report() if data is None else data
            text = formats.render(form, data)
            if file == OUTPUT:
                texts.append(text)
            else:
                _write(os.path.join(folder, file), text)
        except Exception as error:  # whatever goes wrong with one file must not cost the run its results
            errors.append(f"report {file!r} not written: {type(error).__name__}: {error}")
    return texts


def _write(path: str, text: str) -> None:
    summary = _real.environ_get("GITHUB_STEP_SUMMARY")
    if summary and os.path.abspath(summary) == os.path.abspath(path):
        files.append_text(path, text)  # other commands of the same step write to it too
    else:
        files.write_text(path, text)


def folder_in_repository(root: str) -> str:
    """Where the root folder lies below the top of its repository, with forward slashes; empty for the top itself."""
    folder = root
    while not os.path.exists(os.path.join(folder, ".git")):
        parent = os.path.dirname(folder)
        if parent == folder:
            return ""
        folder = parent
    inside = os.path.relpath(root, folder).replace(os.sep, "/")
    return "" if inside == "." else inside
