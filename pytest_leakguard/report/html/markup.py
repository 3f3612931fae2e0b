"""The only way text gets into the page: escaped, and without characters that could move or hide anything."""

from __future__ import annotations

from collections.abc import Iterable
from html import escape

from pytest_leakguard.report.plain import MOST, clipped, code_line


def shown(text: object, most: int = MOST) -> str:
    """Any text, for the page.

    Args:
        most: characters that are kept.
    """
    return escape(clipped(str(text), most))


def row(text: str, mark: str = "", number: int | None = None) -> str:
    """One line of a block of code.

    Args:
        mark: a class of the line.
        number: told in front of it.
    """
    before = f"<b>{number}</b>" if number is not None else ""
    named = f"row {mark}" if mark else "row"
    return f'<span class="{named}">{before}{escape(code_line(text)) or " "}</span>'


def facts(rows: Iterable[tuple[str, str]]) -> str:
    """A list of terms and what they are; those without a value are left out. Values are HTML already."""
    inside = "".join(f"<dt>{name}</dt><dd>{value}</dd>" for name, value in rows if value)
    return f'<dl class="facts">{inside}</dl>'


def code(text: object, most: int = MOST) -> str:
    """Text as code, or nothing."""
    inside = shown(text, most)
    return f"<code>{inside}</code>" if inside else ""
