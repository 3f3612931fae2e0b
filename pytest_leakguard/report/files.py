"""Text to a file: whole or not at all."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import TextIO


def write_text(path: str, text: str) -> None:
    """Write a file, its folder made when it is missing; lone surrogates are written as escapes. Raises OSError."""
    replace_file(path, lambda stream: stream.write(text))


def replace_file(path: str, fill: Callable[[TextIO], object]) -> None:
    """Have a file filled and put in its place; never half a file: it is written beside its place and moved there.

    Args:
        fill: is given the open file; what it raises goes on, and nothing is left.
    Raises: OSError.
    """
    os.makedirs(os.path.dirname(os.path.abspath(path)), exist_ok=True)
    beside = f"{path}.{os.getpid()}.part"
    try:
        with open(beside, "w", encoding="utf-8", errors="backslashreplace", newline="\n") as stream:
            fill(stream)
        os.replace(beside, path)
    except BaseException:
        if os.path.exists(beside):
            os.unlink(beside)
        raise


def append_text(path: str, text: str) -> None:
    """Write at the end of a file that others write to as well. Raises OSError."""
    with open(path, "a", encoding="utf-8", errors="backslashreplace", newline="\n") as stream:
        stream.write(text)
