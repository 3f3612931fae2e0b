"""The timeline of the page: descriptors, threads, children and memory over the session, with leaks marked."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from pytest_leakguard.report.html.markup import shown
from pytest_leakguard.report.plain import counted

WIDTH, HEIGHT = 1000, 60
_MARK_BINS = 200
_NAMED_IN_A_BIN = 6


def _plain(value: float) -> str:
    return f"{value:,.0f}"


def _megabytes(value: float) -> str:
    return f"{value / 1e6:,.1f} MB"


_CHARTS: tuple[tuple[str, str, Callable[[float], str]], ...] = (
    ("descriptors", "Descriptors", _plain),
    ("threads", "Threads", _plain),
    ("children", "Children", _plain),
    ("memory", "Memory", _megabytes),
)


def section(timelines: Sequence[dict[str, Any]]) -> str:
    """All charts, one below the other on one time axis; for the workers of a distributed run one line each."""
    timelines = [timeline for timeline in timelines if len(timeline["rows"]) > 1]
    if not timelines:
        return ""
    end = max(timeline["rows"][-1][0] for timeline in timelines) or 1.0
    marks = sorted((mark for timeline in timelines for mark in timeline["marks"]), key=lambda mark: float(mark[0]))
    charts = "".join(_chart(timelines, name, title, words, end, marks) for name, title, words in _CHARTS)
    workers = f" of {len(timelines)} workers" if len(timelines) > 1 else ""
    tests = sum(timeline["rows"][-1][_column(timeline, "tests")] for timeline in timelines)
    return (
        f'<h2 id="timeline">Timeline</h2><div class="card charts">{_marks(marks, end)}{charts}'
        f'<div class="chart"><span></span><div class="axis"><span>0 s</span>'
        f"<span>{counted(tests, 'test')}{workers}</span><span>{end:,.1f} s</span></div><span></span></div></div>"
    )


def _column(timeline: dict[str, Any], name: str) -> int:
    columns: list[str] = timeline["columns"]
    return columns.index(name)


def _chart(
    timelines: Sequence[dict[str, Any]],
    name: str,
    title: str,
    words: Callable[[float], str],
    end: float,
    marks: Sequence[Sequence[Any]],
) -> str:
    series = [
        [(float(row[0]), float(row[_column(timeline, name)])) for row in timeline["rows"]] for timeline in timelines
    ]
    values = [value for points in series for _, value in points]
    most, least = max(values), min(values)
    first, last = (sum(points[end_of][1] for points in series) for end_of in (0, -1))
    base = 0.0 if name != "memory" or least < most / 2 else least * 0.98  # what memory there is hides what it gains
    span = (most - base) or 1.0

    def x(seconds: float) -> str:
        return f"{seconds / end * WIDTH:.1f}"

    def y(value: float) -> str:
        return f"{HEIGHT - 2 - (value - base) / span * (HEIGHT - 6):.1f}"

    paths = []
    for points in series:
        steps = f"M{x(points[0][0])} {y(points[0][1])}" + "".join(f"H{x(at)}V{y(value)}" for at, value in points[1:])
        if len(series) == 1:
            paths.append(f'<path class="area" d="{steps}V{HEIGHT}H{x(points[0][0])}Z"/>')
        paths.append(f'<path class="run-line" d="{steps}"/>')
    at_leaks = dict.fromkeys(x(float(mark[0])) for mark in marks)
    lines = "".join(f'<line class="told" x1="{at}" x2="{at}" y1="0" y2="{HEIGHT}"/>' for at in list(at_leaks)[:300])
    told = f"{title}: {words(first)} at the start, {words(last)} at the end, {words(most)} at most"
    change = f"{'+' if last >= first else '-'}{words(abs(last - first))}"
    return (
        f'<div class="chart" id="chart-{name}"><div class="name">{title}<small>{change} at the end</small></div>'
        f'<svg viewBox="0 0 {WIDTH} {HEIGHT}" preserveAspectRatio="none" role="img" aria-label="{told}">'
        f"<title>{told}</title>{lines}{''.join(paths)}</svg>"
        f'<div class="most"><span>{words(most)}</span><span>{words(base)}</span></div></div>'
    )


def _marks(marks: Sequence[Sequence[Any]], end: float) -> str:
    """A strip with a bar wherever leaks were told; hovering names the tests."""
    if not marks:
        return ""
    bins: dict[int, list[Sequence[Any]]] = {}
    for mark in marks:
        bins.setdefault(min(_MARK_BINS - 1, int(float(mark[0]) / end * _MARK_BINS)), []).append(mark)
    width = WIDTH / _MARK_BINS
    bars = []
    for number, members in bins.items():
        tests = [shown(mark[1], 160) for mark in members[:_NAMED_IN_A_BIN]]
        more = [f"and {len(members) - _NAMED_IN_A_BIN:,} more"] if len(members) > _NAMED_IN_A_BIN else []
        leaks = counted(sum(int(mark[2]) for mark in members), "leak")
        title = "\n".join([f"{leaks} at {float(members[0][0]):,.1f} s", *tests, *more])
        bars.append(
            f'<rect x="{number * width:.1f}" y="3" width="{width - 1:.1f}" height="12"><title>{title}</title></rect>'
        )
    total = counted(sum(int(mark[2]) for mark in marks), "leak")
    return (
        f'<div class="chart marks" id="chart-leaks"><div class="name">Leaks</div><svg viewBox="0 0 {WIDTH} 18" '
        f'preserveAspectRatio="none" role="img" aria-label="{total} over the session">{"".join(bars)}</svg>'
        f'<div class="most"><span>{total}</span></div></div>'
    )
