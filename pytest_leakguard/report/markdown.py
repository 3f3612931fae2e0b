"""A summary in Markdown, for the page of a CI job or a comment on a pull request."""

from __future__ import annotations

import html
import re
from typing import Any

from pytest_leakguard.report import holding, pages
from pytest_leakguard.report.groups import Group, groups_of, leaks_of, owner_in_words, place
from pytest_leakguard.report.plain import clipped, counted

MOST_GROUPS = 100
MOST_CHARACTERS = 900_000
"""GitHub takes one MiB of a step's summary, and refuses all of a longer one."""

_VALUE_AT_MOST = 300
_COMMAND_AT_MOST = 5000
_SPECIAL = re.compile(r"([\\`*_{}\[\]<>()#!|~&@$])")
_ENTITIES = {
    "<": "&lt;",
    ">": "&gt;",
    "&": "&amp;",
    "@": "&#64;<!-- -->",
}  # GitHub finds names in text that hangs together


def escaped(text: str, most: int = _VALUE_AT_MOST) -> str:
    """Text in which nothing is Markdown, HTML, a mention or a link."""
    plain = _SPECIAL.sub(lambda match: _ENTITIES.get(match[0], f"\\{match[0]}"), clipped(text, most))
    return plain.replace("://", "&#58;//")


def code(text: str, most: int = _VALUE_AT_MOST, *, in_table: bool = False) -> str:
    """Text as code in a line, or in a cell of a table; a fence longer than any in the text."""
    plain = clipped(text, most)
    if in_table:
        plain = plain.replace("|", "\\|")
    fence = "`" * (1 + max((len(run) for run in re.findall("`+", plain)), default=0))
    space = " " if plain.startswith("`") or plain.endswith("`") else ""
    return f"{fence}{space}{plain}{space}{fence}" if plain else ""


def block(text: str, language: str) -> list[str]:
    """Lines of code between fences that nothing in the text can close."""
    lines = [clipped(line, 1000) for line in text.rstrip("\n").split("\n")]
    fence = "`" * max(3, 1 + max((len(run) for line in lines for run in re.findall("`+", line)), default=0))
    return [f"{fence}{language}", *lines, fence]


def render(report: dict[str, Any]) -> str:
    """The whole summary: what came of it, a table of the leaks, then each of them to be opened."""
    groups = groups_of(report)
    leaks = leaks_of(groups)
    parts = ["\n".join(_head(report, leaks)), "\n".join(_table(leaks)) if leaks else ""]
    used = sum(map(len, parts))
    left = len(leaks)
    for group in leaks[:MOST_GROUPS]:
        text = "\n".join(_details(group, report))
        if used + len(text) > MOST_CHARACTERS:
            break
        parts.append(text)
        used += len(text)
        left -= 1
    if left:
        parts.append(f"_{counted(left, 'more fingerprint')} not shown here: see the JSON or the HTML report._")
    parts.append("\n".join(_tail(report)))
    return "\n\n".join(part for part in parts if part) + "\n"


def _head(report: dict[str, Any], leaks: list[Group]) -> list[str]:
    summary = report["summary"]
    sign, word = ("❌", counted(summary["leaks"], "leak")) if leaks else ("✅", "no leaks")
    fingerprints = f" ({counted(len(leaks), 'fingerprint')})" if leaks else ""
    facts = [counted(summary["tests"], "test")]
    facts += [f"{summary[name]:,} {label}" for name, label in _EXTRA if summary.get(name)]
    facts.append(f"peak {summary['peak_descriptors']:,} of {summary['descriptor_limit']:,} descriptors")
    return [f"## {sign} leakguard: {word}{fingerprints}", "", ", ".join(facts) + "."]


def _table(leaks: list[Group]) -> list[str]:
    rows = ["| kind | acquired | owner | leaks | tests |", "| --- | --- | --- | ---: | ---: |"]
    for group in leaks[:MOST_GROUPS]:
        first = group.first
        where = code(place(first) or first.subject, 160, in_table=True)
        owner = code(owner_in_words(first), 160, in_table=True)
        rows.append(f"| {escaped(first.kind, 60)} | {where} | {owner} | {group.count:,} | {len(group.tests):,} |")
    return rows


def _details(group: Group, report: dict[str, Any]) -> list[str]:
    first = group.first
    kind, what = (html.escape(clipped(text, 160)) for text in (first.kind, first.what))
    title = f"<code>{kind}</code> <code>{what}</code>"  # inside HTML no Markdown is read
    origin = first.origin
    acquired = (
        f"{code(place(first))} \\[{escaped(origin.how)}: {escaped(origin.event)}\\]"
        if place(first)
        else (f"unknown: {escaped(origin.reason)}")
    )
    rows = [
        ("owner", code(owner_in_words(first))),
        ("acquired", acquired),
        ("held", code(holding.line(first.held), 600)),
        ("due", escaped(first.due)),
        ("fault", escaped(first.fault)),
        ("fix", escaped(first.fix)),
        ("allow", code(first.allow, _COMMAND_AT_MOST)),
        ("repeat", code(first.repeat, _COMMAND_AT_MOST)),
        ("meaning", code(pages.command(pages.slugs_of(first)))),
        ("first test", code(group.tests[0]) if group.tests else ""),
        ("last test", code(group.tests[-1]) if len(group.tests) > 1 else ""),
    ]
    lines = [
        "<details>",
        f"<summary>{title}</summary>",
        "",
        *(f"- **{name}** {value}" for name, value in rows if value),
    ]
    excerpt = report["excerpts"].get(f"{origin.file}:{origin.line}")
    if excerpt is not None:
        lines += ["", *block(_numbered(excerpt, origin.line or 0), "text")]
    if first.patch:
        lines += ["", "Patch:", "", *block(first.patch, "diff")]
    return [*lines, "", "</details>"]


def _numbered(excerpt: dict[str, Any], line: int) -> str:
    rows = enumerate(excerpt["lines"], excerpt["first"])
    return "\n".join(f"{'>' if number == line else ' '} {number:>4}  {text}" for number, text in rows)


def _tail(report: dict[str, Any]) -> list[str]:
    rows = [f"- ⚠️ blind for {escaped(kind)}: {escaped(why)}" for kind, why in report["blind"].items()]
    rows += [f"- ⚠️ {escaped(error)}" for error in report["errors"][:20]]
    rows += [f"- allow rule hides nothing any more: {code(rule['rule'])}" for rule in report["unused_allows"][:20]]
    return rows


_EXTRA = (
    ("notes", "in failed tests"),
    ("known", "known"),
    ("once", "not confirmed"),
    ("allowed", "allowed"),
    ("late", "late"),
)
