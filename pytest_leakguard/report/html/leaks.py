"""The leaks of the page: one entry for each fingerprint, to be opened."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Sequence
from typing import Any

from pytest_leakguard.core.model import Finding
from pytest_leakguard.report import pages
from pytest_leakguard.report.groups import Group, owner_in_words, place
from pytest_leakguard.report.html import meaning
from pytest_leakguard.report.html.markup import code, facts, row, shown
from pytest_leakguard.report.plain import counted

FULL_ENTRIES = 500
"""So many can be opened; the others are two lines each, for a page that a browser has at once."""

MOST_ENTRIES = 10_000
_MOST_TESTS = 40
_WHOLE = 20_000
"""What is there to be copied is not cut, but for what nobody can have meant."""

_STATES = {
    "fails": "leaks", "warned": "warned", "note": "in failed tests", "told": "told", "late": "late",
    "allowed": "allowed", "known": "known", "once": "not confirmed",
}  # fmt: skip


def section(groups: Sequence[Group], excerpts: dict[str, Any]) -> str:
    """The heading, the tools and all entries."""
    if not groups:
        return '<h2 id="leaks">Leaks</h2><div class="card none">Nothing was left behind.</div>'
    entries = "\n".join(
        _entry(group, excerpts) if number < FULL_ENTRIES else _short_entry(group)
        for number, group in enumerate(groups[:MOST_ENTRIES])
    )
    in_short = len(groups) - FULL_ENTRIES
    hint = f"<p class=run>{counted(in_short, 'fingerprint')} at the end in short: the JSON report has them in full.</p>"
    left = len(groups) - MOST_ENTRIES
    more = f'<p class="none">{counted(left, "more fingerprint")}: see the JSON report.</p>' if left > 0 else ""
    return (
        f'<h2 id="leaks">Leaks by fingerprint</h2>{hint if in_short > 0 else ""}{_tools(groups)}'
        f'<div id="list">{entries}</div>{more}<div id="none" class="card none" hidden>Nothing fits.</div>'
    )


def _tools(groups: Sequence[Group]) -> str:
    kinds = Counter(group.first.kind for group in groups)
    states = Counter(group.disposition for group in groups)
    chips = _chips("state", states, _STATES) + _chips("kind", kinds, {})
    return (
        '<div class="tools" role="search" data-script hidden>'
        '<label class="hidden-text" for="search">Search in the leaks</label>'
        '<input id="search" type="search" placeholder="Search: file, test, words &hellip;" '
        'autocomplete="off" spellcheck="false">'
        f'{chips}<output id="shown" for="search" aria-live="polite"></output></div>'
    )


def _chips(group: str, counts: Counter[str], words: dict[str, str]) -> str:
    if len(counts) < 2:
        return ""
    return "".join(
        f'<button type="button" class="chip" data-group="{group}" value="{shown(name)}" aria-pressed="false">'
        f"{shown(words.get(name, name), 40)} {count:,}</button>"
        for name, count in counts.most_common()
    )


def entry_id(group: Group) -> str:
    """The anchor of an entry: the same in every run."""
    text = f"{group.fingerprint} {group.disposition}".encode("utf-8", "backslashreplace")
    return f"leak-{hashlib.sha256(text).hexdigest()[:12]}"


def _entry(group: Group, excerpts: dict[str, Any]) -> str:
    first = group.first
    return (
        f'<details {_attributes(group, "leak card")} id="{entry_id(group)}"><summary>{_headline(group)}</summary>'
        f'<div class="inside"><div>{_facts(group)}{_source(first, excerpts)}{_patch(first)}</div>'
        f"<div>{_held(first)}{_tests(group)}</div></div></details>"
    )


def _short_entry(group: Group) -> str:
    return f"<div {_attributes(group, 'leak short')}>{_headline(group)}</div>"


def _attributes(group: Group, classes: str) -> str:
    return (
        f'class="{classes} {_class(group.disposition)}" data-kind="{shown(group.first.kind)}" '
        f'data-state="{shown(group.disposition)}"'
    )


def _headline(group: Group) -> str:
    first = group.first
    times = f"&times;{group.count:,}" if group.count > 1 else ""
    label = "" if group.is_leak else f"{shown(_STATES.get(group.disposition, group.disposition), 40)} "
    return (
        f'<span class="kind">{shown(first.kind, 40)}</span>'
        f'<span class="where mono">{shown(place(first) or first.subject or first.kind, 240)}</span>'
        f'<span class="times">{label}{times}</span><span class="gist">{shown(first.what, 240)}</span>'
        f'<span class="owner">{shown(owner_in_words(first), 160)}</span>'
    )


def _class(disposition: str) -> str:
    return disposition if disposition in _STATES else "note"


def _facts(group: Group) -> str:
    first, origin = group.first, group.first.origin
    owners = list(dict.fromkeys(owner_in_words(finding) for finding in group.findings))
    more = f" and {len(owners) - 1:,} more" if len(owners) > 1 else ""
    if origin.file is None:
        acquired = f"unknown: {shown(origin.reason)}"
    else:
        via = f"<br>called from {code(origin.via)}" if origin.via else ""
        phase = f"{shown(first.phase)} phase, " if first.phase else ""
        acquired = (
            f"{phase}{code(place(first))}{via} <span class=run>[{shown(origin.how)}: {shown(origin.event)}]</span>"
        )
    return "<h3>What happened</h3>" + facts(
        [
            ("what", shown(first.what)),
            ("owner", f"{shown(owners[0])}{more}" + (f"<br>{code(first.owner.where)}" if first.owner.where else "")),
            ("acquired", acquired),
            ("due", shown(first.due)),
            ("fault", shown(first.fault)),
            ("fix", shown(first.fix)),
            ("allow", code(first.allow, _WHOLE)),
            *(("held then", shown(line)) for line in first.held_then[:12]),
            *(("cleanup", shown(line)) for line in first.cleanups[:12]),
            ("repeat", code(first.repeat, _WHOLE)),
            *(("note", shown(note)) for note in first.notes[:12]),
            ("meaning", meaning.links(pages.slugs_of(first))),
            ("id", code(group.fingerprint)),
        ]
    )


def _source(finding: Finding, excerpts: dict[str, Any]) -> str:
    origin = finding.origin
    excerpt = excerpts.get(f"{origin.file}:{origin.line}")
    if excerpt is None:
        return ""
    lines = "".join(
        row(text, "hit" if number == origin.line else "", number)
        for number, text in enumerate(excerpt["lines"], excerpt["first"])
    )
    return f"<h3>{shown(origin.file)}</h3><pre tabindex=0>{lines}</pre>"


def _patch(finding: Finding) -> str:
    if not finding.patch:
        return ""
    marks = {"+": "add", "-": "cut", "@": "file"}
    lines = "".join(
        row(line, "file" if number < 2 else marks.get(line[:1], ""))
        for number, line in enumerate(finding.patch.rstrip("\n").split("\n"))
    )
    return (
        f"<h3>Patch</h3><div class=copyable><pre tabindex=0>{lines}</pre>"
        '<button type="button" data-copy data-script hidden>copy</button></div>'
    )


def _held(finding: Finding) -> str:
    held = finding.held
    if held.chain:
        boxes = "".join(f"<li>{code(reference, 300)}</li>" for reference in held.chain)
        picture = f"<p class=run>picture: {code(held.graph)}</p>" if held.graph else ""
        return f'<h3>Held by</h3><ol class="chain">{boxes}</ol>{picture}'
    return f"<h3>Held by</h3><div>{shown(held.reason)}</div>" if held.reason else ""


def _tests(group: Group) -> str:
    tests = group.tests
    if len(tests) < 2:
        return f"<h3>Test</h3>{code(tests[0])}" if tests else ""
    ends = facts([("first", code(tests[0])), ("last", code(tests[-1]))])
    if len(tests) == 2:
        return f"<h3>Tests</h3>{ends}"
    listed = "".join(f"<li>{code(test)}</li>" for test in tests[:_MOST_TESTS])
    left = f"<li>and {len(tests) - _MOST_TESTS:,} more</li>" if len(tests) > _MOST_TESTS else ""
    every = f"<details><summary>all {len(tests):,}</summary><ul class=tests>{listed}{left}</ul></details>"
    return f"<h3>{len(tests):,} tests</h3>{ends}{every}"
