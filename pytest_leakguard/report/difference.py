"""A difference between two reports, as text and as Markdown."""

from __future__ import annotations

from collections.abc import Sequence

from pytest_leakguard.report.compare import Difference
from pytest_leakguard.report.groups import Group, owner_in_words, place
from pytest_leakguard.report.markdown import MOST_GROUPS, code, escaped
from pytest_leakguard.report.plain import clipped, counted

_MOST_GONE = 50


def as_text(difference: Difference) -> str:
    """A line of totals, then a few lines for each leak that is new, moved or gone."""
    lines = [_totals(difference)]
    for group in difference.new:
        lines += ["", f"NEW {clipped(_place(group))}", *_facts(group)]
    for old, new in difference.moved:
        lines += ["", f"MOVED {clipped(_place(new))}", f"  from      {clipped(_place(old))}"]
    for group in difference.gone:
        lines += ["", f"GONE {clipped(_place(group))}"]
    return "\n".join(lines) + "\n"


def as_markdown(difference: Difference) -> str:
    """For a comment on a pull request: the new ones in a table, then the others."""
    sign = "❌" if difference.new else "✅"
    lines = [f"## {sign} leakguard: {_totals(difference)}"]
    if difference.new:
        lines += ["", "| new | acquired | owner | leaks | fix |", "| --- | --- | --- | ---: | --- |"]
        for group in difference.new[:MOST_GROUPS]:
            first = group.first
            where, owner = (
                code(text, 160, in_table=True) for text in (place(first) or first.subject, owner_in_words(first))
            )
            lines.append(
                f"| {escaped(first.kind, 60)} | {where} | {owner} | {group.count:,} | {escaped(first.fix, 200)} |"
            )
        lines += _more(difference.new, MOST_GROUPS, "more new fingerprint")
    if difference.moved:
        lines += ["", "Moved:", ""]
        lines += [f"- {code(_place(old))} is now {code(_place(new))}" for old, new in difference.moved[:MOST_GROUPS]]
    if difference.gone:
        lines += ["", "Gone:", "", *(f"- {code(_place(group))}" for group in difference.gone[:_MOST_GONE])]
        lines += _more(difference.gone, _MOST_GONE, "more fingerprint")
    return "\n".join(lines) + "\n"


def _more(groups: Sequence[Group], shown: int, words: str) -> list[str]:
    return ["", f"and {counted(len(groups) - shown, words)}"] if len(groups) > shown else []


def _totals(difference: Difference) -> str:
    parts = [f"{len(difference.new):,} new", f"{len(difference.gone):,} gone", f"{len(difference.moved):,} moved"]
    return f"{', '.join(parts)}, {len(difference.same):,} as before (leaks by fingerprint)"


def _place(group: Group) -> str:
    return f"{group.first.kind}  {place(group.first) or group.first.subject}"


def _facts(group: Group) -> list[str]:
    first = group.first
    tests = counted(len(group.tests), "test")
    rows = [
        ("what", first.what),
        ("owner", owner_in_words(first)),
        ("fix", first.fix),
        ("count", f"{counted(group.count, 'leak')} in {tests}, first {group.tests[0]}" if group.tests else ""),
    ]
    return [f"  {label:<10}{clipped(value)}" for label, value in rows if value]
