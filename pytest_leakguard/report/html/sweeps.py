"""The fault sweeps of the page: families by outcome, then each point with what its trials came to."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any

from pytest_leakguard.report.html.markup import code, shown
from pytest_leakguard.report.plain import counted

MOST_POINTS = 2000
_SOUND = ("raised", "passed")
_ORDER = (
    "leak", "hang", "hung", "polluted", "unrelated", "unraisable", "swallowed", "raised", "passed", "not reached",
    "not tried",
)  # fmt: skip
_WORDS = {"raised": "clean, raised", "passed": "clean, passed"}


def section(faults: dict[str, Any]) -> str:
    """Everything about sweeps; nothing when nothing was swept."""
    sweeps = faults.get("sweeps") or []
    if not sweeps:
        return ""
    left = faults.get("points_left_out", 0)
    entries, room = [], MOST_POINTS
    told = [sweep for sweep in sweeps if sweep["points"] or sweep["stopped"]]
    for sweep in sorted(told, key=lambda one: -_bad_points(one)):
        entries.append(_sweep(sweep, sweep["points"][:room]))
        left += len(sweep["points"]) - len(sweep["points"][:room])
        room = max(0, room - len(sweep["points"]))
    skipped = "".join(f"<li>{count:,} left out: {shown(why)}</li>" for why, count in faults.get("skipped", {}).items())
    more = f"<li>{counted(left, 'more point')}: see the JSON report</li>" if left else ""
    if len(told) < len(sweeps):
        more += f"<li>{counted(len(sweeps) - len(told), 'test')} with nothing in it that could fail</li>"
    facts = (
        f"{counted(sum(faults['points'].values()), 'point')} in {counted(faults['tests'], 'test')}, "
        f"{counted(faults['trials'], 'trial')}, {faults['seconds']:.1f} s"
    )
    notes = f'<ul class="left">{skipped}{more}</ul>' if skipped or more else ""
    return (
        f'<h2 id="faults">Fault sweeps</h2><p class="run">{facts}; each point was made to fail in turn.</p>'
        f'<div class="card scroll">{_matrix(sweeps)}</div>{notes}<div class="space-above">{"".join(entries)}</div>'
    )


def outcomes(point: dict[str, Any]) -> list[str]:
    """What the trials of a point showed: its faults, or how the run ended."""
    if not point["trials"]:
        return ["not tried"]
    return [word for _, outcome, faults in point["trials"] for word in (faults or [outcome])]


def worst(point: dict[str, Any]) -> str:
    """The one that counts for the matrix."""
    return min(outcomes(point), key=_rank)


def _rank(word: str) -> int:
    return _ORDER.index(word) if word in _ORDER else 0


def _class(word: str) -> str:
    if word in _SOUND:
        return "good"
    if word in ("not reached", "not tried"):
        return ""
    return "warn" if word == "swallowed" else "bad"


def _bad_points(sweep: dict[str, Any]) -> int:
    return sum(_class(worst(point)) == "bad" for point in sweep["points"])


def _cell(word: str, text: str) -> str:
    return f'<span class="cell {_class(word)}">{shown(text, 60)}</span>'


def _matrix(sweeps: Sequence[dict[str, Any]]) -> str:
    counts: dict[str, Counter[str]] = {}
    for sweep in sweeps:
        for point in sweep["points"]:
            counts.setdefault(point["id"].partition(":")[0], Counter())[worst(point)] += 1
    words = sorted({word for counter in counts.values() for word in counter}, key=_rank)
    head = "".join(f'<th class="number" scope="col">{shown(_WORDS.get(word, word), 40)}</th>' for word in words)
    rows = "".join(
        f'<tr><th scope="row">{shown(family, 40)}</th>'
        + "".join(
            f'<td class="number">{_cell(word, f"{counter[word]:,}") if counter[word] else ""}</td>' for word in words
        )
        + f'<td class="number">{sum(counter.values()):,}</td></tr>'
        for family, counter in counts.items()
    )
    return (
        '<table id="matrix"><caption class="hidden-text">Points by family and outcome</caption>'
        f'<thead><tr><th scope="col">points</th>{head}<th class="number" scope="col">all</th></tr></thead>'
        f"<tbody>{rows}</tbody></table>"
    )


def _sweep(sweep: dict[str, Any], points: Sequence[dict[str, Any]]) -> str:
    bad = _bad_points(sweep)
    sign = _cell("leak", counted(bad, "finding")) if bad else _cell("raised", "clean")
    stopped = f'<p class="none">stopped: {shown(sweep["stopped"])}</p>' if sweep["stopped"] else ""
    rows = "".join(_point(point) for point in points)
    return (
        f'<details class="plain card"><summary>{sign} {code(sweep["test"], 240)} '
        f"<small>{counted(len(sweep['points']), 'point')}</small></summary>{stopped}"
        '<div class="scroll"><table><thead><tr><th scope="col">fails</th><th scope="col">where</th>'
        '<th scope="col">once</th><th scope="col">for good</th></tr></thead>'
        f"<tbody>{rows}</tbody></table></div></details>"
    )


def _point(point: dict[str, Any]) -> str:
    family, _, rest = point["id"].partition(":")
    place, _, what = rest.rpartition(":")
    path, _, function = place.rpartition(":")
    by_mode = {mode: faults or [outcome] for mode, outcome, faults in point["trials"]}
    once, always = (
        " ".join(_cell(word, _WORDS.get(word, word)) for word in by_mode.get(mode, []))
        for mode in ("transient", "persistent")
    )
    line = f":{point['line']}" if point["line"] else ""
    return (
        f"<tr><td>{shown(family, 40)} {code(what, 120)}</td>"
        f"<td>{code(f'{path}{line}', 240)}<br>{code(function, 240)}</td>"
        f"<td>{once or _cell('not tried', 'not tried')}</td><td>{always}</td></tr>"
    )
