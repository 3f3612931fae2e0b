"""Reads the station's settings."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, TextIO


def read_settings_carelessly(path: Path) -> Any:
    """Careless: the file is closed by the garbage collector, whenever that is."""
    return json.load(open(path, encoding="utf-8"))


def read_settings(path: Path) -> Any:
    with open(path, encoding="utf-8") as source:
        return json.load(source)


class Section:
    """One section of the settings file, and its parent. The two point at each other.

    Only a garbage collection can end such a cycle, so the file stays open until then
    unless `close` is called.
    """

    def __init__(self, path: Path) -> None:
        self.source: TextIO = open(path, encoding="utf-8")
        self.parent = Parent(self)

    def text(self) -> str:
        self.source.seek(0)
        return self.source.read()

    def close(self) -> None:
        self.source.close()


class Parent:
    def __init__(self, section: Section) -> None:
        self.section = section
