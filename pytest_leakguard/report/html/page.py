"""The whole page, put together of its parts."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from pytest_leakguard.report.groups import Group, groups_of, leaks_of
from pytest_leakguard.report.html import chart, cleanup, ending, leaks, meaning, sweeps
from pytest_leakguard.report.html.markup import code, shown
from pytest_leakguard.report.pages import slug_of_error
from pytest_leakguard.report.plain import counted

_HERE = Path(__file__).parent
_NOTHING_ELSE = "base-uri 'none'; form-action 'none'"


def render(report: dict[str, Any]) -> str:
    """One self-contained page: styles, script and pictures inside, nothing loaded, readable without the script.

    The page forbids itself everything else: a script that got in by some name would not run.
    """
    style = _HERE.joinpath("page.css").read_text("utf-8")
    script = _HERE.joinpath("page.js").read_text("utf-8")
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    policy = f"default-src 'none'; style-src 'unsafe-inline'; script-src 'sha256-{digest}'; {_NOTHING_ELSE}"
    groups = groups_of(report)
    word, grade = _verdict(report, leaks_of(groups))
    parts = (
        _head(report, word, grade),
        "<main id=main>",
        _tiles(report, leaks_of(groups)),
        _alerts(report),
        chart.section(report["timelines"]),
        leaks.section(groups, report["excerpts"]),
        sweeps.section(report["faults"]),
        cleanup.section(report["cleanup"]),
        ending.baseline(report["baseline"]),
        ending.isolated(report["isolated"]),
        ending.still_there(report["still_there"]),
        ending.explained(report["explained"]),
        _rules(report["unused_allows"]),
        _probes(report["probes"]),
        meaning.section(report, groups),
        f"</main><footer class=top>Made by pytest-leakguard {shown(report['plugin_version'], 40)}.</footer>",
    )
    return (
        '<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8">'
        f'<meta http-equiv="Content-Security-Policy" content="{policy}">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        '<meta name="referrer" content="no-referrer">'
        f"<title>{shown(word)} - leakguard</title><style>\n{style}</style></head><body>\n"
        + "\n".join(part for part in parts if part)
        + f"\n<script>{script}</script></body></html>\n"
    )


def _verdict(report: dict[str, Any], found: Sequence[Group]) -> tuple[str, str]:
    if found:
        grade = "bad" if any(group.disposition == "fails" for group in found) else "warn"
        return counted(report["summary"]["leaks"], "leak"), grade
    if report["blind"]:
        return "blind", "bad"
    return "no leaks", "good"


def _head(report: dict[str, Any], word: str, grade: str) -> str:
    session = report["session"]
    facts = [
        session["started"].replace("T", " ").replace("+00:00", " UTC"),
        f"{session['seconds']:,.1f} s",
        f"Python {report['python']}",
        f"pytest {report['pytest']}",
        report["platform"],
    ]
    return (
        '<a class="skip" href="#leaks">To the leaks</a><header><div class="top"><h1>Resource leaks</h1>'
        f'<span class="verdict {grade}">{shown(word)}</span><span class="space"></span>'
        '<button type="button" id="theme" data-script hidden>light / dark</button>'
        f'<p class="run">{" &middot; ".join(shown(fact, 60) for fact in facts)}</p></div></header>'
    )


def _tiles(report: dict[str, Any], found: Sequence[Group]) -> str:
    summary = report["summary"]
    tests = {test for group in found for test in group.tests}
    peak, limit = summary["peak_descriptors"], summary["descriptor_limit"]
    meter = (
        f'<meter min="0" max="{limit}" value="{min(peak, limit)}" high="{limit * 0.8:.0f}">{peak} of {limit}</meter>'
    )
    tiles = [
        ("Leaks", summary["leaks"], "bad" if summary["leaks"] else "good",
         f"{counted(len(found), 'fingerprint')} in {counted(len(tests), 'test')}" if found else "nothing left behind"),
        ("Tests checked", summary["tests"], "", f"+{summary['overhead_seconds']:.1f} s spent in checks"),
        ("Peak descriptors", peak, "warn" if peak > limit * 0.8 else "",
         f"of {limit:,}{meter}{shown(summary['peak_test'], 120)}"),
    ]  # fmt: skip
    tiles += [
        (label, summary[name], grade, text)
        for label, name, grade, text in (
            ("In failed tests", "notes", "warn", "left by tests that failed by themselves"),
            ("Known", "known", "", "in the baseline"),
            ("Not confirmed", "once", "warn", "leaked once, and not when repeated"),
            ("Allowed", "allowed", "", "let pass by a rule"),
            ("Late", "late", "", "gone, but only within the grace"),
        )
        if summary.get(name)
    ]
    inside = "".join(
        f'<div class="tile {grade}"><dt>{label}</dt><dd>{number:,}<small>{text}</small></dd></div>'
        for label, number, grade, text in tiles
    )
    return f'<dl class="tiles">{inside}</dl>'


def _alerts(report: dict[str, Any]) -> str:
    parts = []
    if report["blind"]:
        rows = "".join(f"<li><b>{shown(kind)}</b>: {shown(why)}</li>" for kind, why in report["blind"].items())
        parts.append(
            f'<div class="card alert bad"><h2>Blind: leaks of these kinds are not seen</h2>'
            f'<ul>{rows}</ul><p class="run">what it means: {meaning.links(["blind"])}</p></div>'
        )
    if report["errors"]:
        rows = "".join(f"<li>{shown(error)}</li>" for error in report["errors"][:50])
        about = meaning.links(dict.fromkeys(map(slug_of_error, report["errors"])))
        parts.append(
            f'<div class="card alert"><h2>Errors of checks; the run went on</h2><ul>{rows}</ul>'
            f'<p class="run">what it means: {about}</p></div>'
        )
    return "".join(parts)


def _rules(unused: Sequence[dict[str, str]]) -> str:
    if not unused:
        return ""
    rows = "".join(f"<tr><td>{code(rule['rule'])}</td><td>{shown(rule['source'])}</td></tr>" for rule in unused[:500])
    return (
        '<h2>Allow rules that hide nothing any more</h2><div class="card scroll"><table><thead><tr>'
        f'<th scope="col">rule</th><th scope="col">from</th></tr></thead><tbody>{rows}</tbody></table></div>'
    )


def _probes(probes: dict[str, dict[str, Any]]) -> str:
    rows = "".join(
        f'<tr><th scope="row">{shown(kind, 60)}</th><td><span class="cell {"good" if state["active"] else ""}">'
        f"{'watched' if state['active'] else 'off'}</span></td>"
        f"<td>{shown(state['note'] or state['mechanism'])}</td></tr>"
        for kind, state in probes.items()
    )
    return (
        f'<h2>What was watched</h2><details class="plain card"><summary>{counted(len(probes), "kind")} '
        f"<small>{shown(', '.join(kind for kind, state in probes.items() if state['active']))}</small></summary>"
        f'<div class="scroll"><table><tbody>{rows}</tbody></table></div></details>'
    )
