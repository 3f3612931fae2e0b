"""Which section of the reference explains a message, and the sections themselves, which come with the package.

A message names the slug of its section, and `python -m pytest_leakguard explain SLUG` prints it: that works from an
installed wheel, without a network, and says what this very version means by it.
"""

from __future__ import annotations

import posixpath
import re
from collections.abc import Iterable
from functools import cache
from pathlib import Path

from pytest_leakguard.core.model import Finding

COMMAND = "python -m pytest_leakguard explain"
"""What prints a section; the slugs follow."""

USAGE_ERROR = "usage-error"
WAITING_TO_EXIT = "waiting-to-exit"
NOT_NAMED = frozenset({"header", "closing-line"})
"""Printed in every run, so that a link on them would be noise; what they say is listed by the command all the same."""

_PACKAGE = Path(__file__).parents[1]
# the wheel has a copy, made when it is built; in a checkout there is only the page
_PLACES = (_PACKAGE / "messages.md", _PACKAGE.parent / "docs" / "reference" / "messages.md")
_FOLDER = "docs/reference"

_OF_DISPOSITION = {
    "late": "late", "known": "known", "once": "leaked-once", "allowed": "allowed", "note": "note",
}  # fmt: skip
_OF_VERDICT = {
    "unclosed": "unclosed", "misclosed": "misclosed", "growth": "growth", "late": "late", "fault": "fault",
}  # fmt: skip
_OF_OWNER = {"fixture": "leak-of-a-fixture", "node": "leak-of-a-fixture"}
_OF_PART = {"explained": "explained", "still_there": "still-there", "isolated": "isolated", "baseline": "gone"}

# how an error of checks that is told at the end begins, or what stands in it
_OF_ERROR = (
    (re.compile(r"probe .* switched off: "), "probe-off"),
    (re.compile(r"nothing is watched for "), "nothing-is-watched"),
    (re.compile(r"\S.* can't be repeated: "), "growth"),
    (re.compile(r"worker \S+ crashed( before |: )"), "worker-crashed"),
)
_OTHER_ERROR = "trouble"


def slugs_of(finding: Finding) -> tuple[str, ...]:
    """The sections that explain a finding, that of what it is first."""
    first = (
        _OF_DISPOSITION.get(finding.disposition)
        or _OF_VERDICT.get(finding.verdict)
        or ("task" if finding.kind == "task" else "")
        or ("never-closed" if finding.kind == "object" and " was never closed" in finding.what else "")
        or _OF_OWNER.get(finding.owner.kind, "leaked")
    )
    more = []
    if finding.point and first != "fault":
        more.append("fault")
    if "might have released it" in finding.due:
        more.append("leak-told-later")
    if any(note.startswith("the baseline knows ") for note in finding.notes):
        more.append("known")
    if finding.held.chain or finding.held.reason:
        more.append("held")
    if finding.origin.file is None and finding.verdict != "growth":
        more.append("acquired-unknown")
    return (first, *more)


def slug_of_error(error: str) -> str:
    """The section on an error of the checks themselves."""
    return next((slug for pattern, slug in _OF_ERROR if pattern.match(error)), _OTHER_ERROR)


def slug_of_part(name: str) -> str:
    """The section on what a part of the summary prints."""
    return _OF_PART[name]


def named() -> frozenset[str]:
    """Every slug that a message can name."""
    return frozenset(
        [
            *_OF_DISPOSITION.values(), *_OF_VERDICT.values(), *_OF_OWNER.values(), *_OF_PART.values(),
            *(slug for _, slug in _OF_ERROR), _OTHER_ERROR, USAGE_ERROR, WAITING_TO_EXIT,
            "leaked", "task", "never-closed", "leak-told-later", "held", "acquired-unknown",
            "unused-allow", "blind", "swept", "cleanup-paths",
        ]
    )  # fmt: skip


def command(slugs: Iterable[str]) -> str:
    """The command that prints these sections, each once, ready to be pasted."""
    return " ".join([COMMAND, *dict.fromkeys(slugs)])


def line(slugs: Iterable[str]) -> str:
    """What a message ends with."""
    return f"what it means: {command(slugs)}"


# -- the sections


@cache
def sections() -> dict[str, str]:
    """Slug -> the text of its section in Markdown, without the heading, in the order of the page.

    Raises: FileNotFoundError when the package was installed without it.
    """
    page = next((place for place in _PLACES if place.is_file()), _PLACES[0])
    text = page.read_text("utf-8")
    parts = re.findall(r"^## (\S+)\n(.*?)(?=^## |\Z)", text, re.MULTILINE | re.DOTALL)
    return {slug: body.strip() for slug, body in parts}


def gist(slug: str) -> str:
    """The first sentence of a section, or what it shows."""
    text = next(block for block in _blocks(sections()[slug]) if not _is_example(block))
    sentence = re.split(r"(?<=[.:])\s", _unlinked(" ".join(text.split())), maxsplit=1)[0]
    return sentence.rstrip(":")


def _is_example(block: str) -> bool:
    return "\n" not in block and block.startswith("`") and block.endswith("`")


def plain(slug: str) -> str:
    """A section for a terminal: links as the paths of pages, tables in columns."""
    blocks = [_table(block) if block.startswith("|") else block for block in _blocks(sections()[slug])]
    return _unlinked("\n\n".join(blocks))


def markdown(slug: str) -> str:
    """A section as it is written, but links as the paths of pages: there is no address they could lead to."""
    return _unlinked(sections()[slug])


def _blocks(text: str) -> list[str]:
    return [block for block in text.split("\n\n") if block.strip()]


def _unlinked(text: str) -> str:
    return re.sub(r"\[([^\]\n]*(?:\n[^\]\n]*)?)\]\(([^)]+)\)", _as_path, text)


def _as_path(link: re.Match[str]) -> str:
    words, target = link.groups()
    if target.startswith("#"):
        return f"{words} ({COMMAND} {target[1:]})" if words != target[1:] else words
    return f"{words} ({posixpath.normpath(posixpath.join(_FOLDER, target.partition('#')[0]))})"


def _table(block: str) -> str:
    rows = [[cell.strip() for cell in _unlinked(row).strip("|").split(" | ")] for row in block.splitlines()]
    rows = [row for row in rows if not set("".join(row)) <= set("- :")]
    width = max(len(row[0]) for row in rows)
    return "\n".join(f"  {row[0]:<{width}}  {' | '.join(row[1:])}".rstrip() for row in rows)
