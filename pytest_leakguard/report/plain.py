"""Text of users made harmless: no control characters, no lone surrogates, no endless lines."""

from __future__ import annotations

MOST = 600
"""Characters of one value that are shown; the JSON report has all of them."""


def printable(text: str) -> str:
    """Text that can't move the cursor, change colours or break the encoding of the output."""
    if text.isprintable():
        return text
    return "".join(char if char.isprintable() else repr(char)[1:-1] for char in text)  # a surrogate is not printable


def clipped(text: str, most: int = MOST) -> str:
    """`printable`, and of a long text only both its ends, with the number of characters left out.

    Args:
        most: characters that are kept.
    """
    if len(text) <= most:
        return printable(text)
    end = most // 3
    left_out = len(text) - most
    return f"{printable(text[: most - end])} [... {left_out:,} characters ...] {printable(text[-end:])}"


def code_line(text: str, most: int = MOST) -> str:
    """A line of source: as `clipped`, but tabs stay."""
    return "\t".join(clipped(part, most) for part in text.split("\t"))


def counted(number: int, noun: str) -> str:
    """``1 leak``, ``1,204 leaks``."""
    return f"{number:,} {noun}{'s' if number != 1 else ''}"
