"""What the page tells beside leaks and sweeps: the baseline, fresh processes, what was still there, explanations."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from pytest_leakguard.report.html.markup import code, facts, shown
from pytest_leakguard.report.plain import counted

_MOST_LISTED = 500
_BASELINE_LISTS = (("new", "new", "bad"), ("gone", "gone: take them out", "good"), ("fewer", "fewer now", "good"))
_HOLDS_EXIT = '<span class="cell warn">may hold the exit</span>'


def baseline(data: dict[str, Any]) -> str:
    """The fingerprints that are new, gone and fewer than the baseline says; nothing without one."""
    if not data:
        return ""
    lists = "".join(_list(title, grade, data[name]) for name, title, grade in _BASELINE_LISTS)
    words = f"{code(data['file'])}: {counted(data['entries'], 'fingerprint')}, {counted(data['known'], 'known leak')}"
    return f'<h2 id="baseline">Baseline</h2><p class="run">{words}</p>{lists}'


def still_there(data: dict[str, Any]) -> str:
    """What is left after the last teardown; nothing when nothing is."""
    if not data or not data["counts"]:
        return ""
    counts = ", ".join(f"{count:,} {shown(kind, 60)}" for kind, count in sorted(data["counts"].items()))
    rows = "".join(
        f"<tr><td>{shown(one['kind'], 60)}</td><td>{shown(one['what'])}</td><td>{code(one['acquired'])}</td>"
        f"<td>{_HOLDS_EXIT if one['holds_exit'] else ''}</td></tr>"
        for one in data["found"][:_MOST_LISTED]
    )
    return (
        f'<h2 id="still-there">Still there after the last teardown</h2><p class="run">{counts}</p>'
        '<div class="card scroll"><table><thead><tr><th scope="col">kind</th><th scope="col">what</th>'
        f'<th scope="col">acquired</th><th scope="col"></th></tr></thead><tbody>{rows}</tbody></table></div>'
    )


def explained(data: dict[str, Any]) -> str:
    """For each test that was asked about: its settings, and what was decided step by step."""
    entries = "".join(
        f'<details class="plain card"><summary>{code(test, 240)}</summary><div class="inside"><div><h3>Settings</h3>'
        f"{_items(one['settings'])}</div><div><h3>Steps</h3>{_items(one['steps'])}</div></div></details>"
        for test, one in list(data.items())[:_MOST_LISTED]
    )
    return f'<h2 id="explained">How the verdicts came about</h2>{entries}' if entries else ""


def isolated(data: dict[str, Any]) -> str:
    """What leaking tests needed to leak again; the words stand as notes at each leak."""
    leaks = data.get("leaks", [])
    if not leaks:
        return ""
    alone = sum(one["answer"] == "alone" for one in leaks)
    after = sum(one["answer"] in ("after one", "after several") for one in leaks)
    told = [("tried", f"{len(leaks):,}"), ("leak alone", f"{alone:,}"), ("only after others", f"{after:,}")]
    told += [("not tried", f"{data['left_out']:,}")] if data["left_out"] else []
    return f'<h2 id="isolated">Again in fresh processes</h2><div class="card charts">{facts(told)}</div>'


def _list(title: str, grade: str, fingerprints: Sequence[str]) -> str:
    if not fingerprints:
        return ""
    return (
        f'<details class="plain card"><summary><span class="cell {grade}">{title}</span>'
        f"<small>{counted(len(fingerprints), 'fingerprint')}</small></summary>"
        f'<div class="inside"><div>{_items(fingerprints)}</div></div></details>'
    )


def _items(lines: Sequence[str]) -> str:
    rows = "".join(f"<li>{shown(line)}</li>" for line in lines[:_MOST_LISTED])
    left = len(lines) - _MOST_LISTED
    return f'<ul class="tests">{rows}{f"<li>and {left:,} more</li>" if left > 0 else ""}</ul>' if rows else "nothing"
