"""Curves on two logarithmic axes, side by side, as SVG text. Pure."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

WIDTH, HEIGHT = 340, 300  # of a panel, in pixels
LEFT, RIGHT, TOP, BOTTOM = 58, 14, 30, 42
COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#999999")  # told apart by most eyes
LEGEND_ROW = 18


@dataclass(frozen=True, slots=True, kw_only=True)
class Curve:
    """The points of one name: (x, y), both above 0."""

    name: str
    points: tuple[tuple[float, float], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Panel:
    """One pair of axes and the curves in it."""

    title: str
    x_title: str
    curves: tuple[Curve, ...]


def _decades(values: Sequence[float]) -> range:
    """The powers of ten that enclose the values."""
    low, high = math.floor(math.log10(min(values)) + 1e-9), math.ceil(math.log10(max(values)) - 1e-9)
    return range(low, max(high, low + 1) + 1)


def _label(power: int) -> str:
    """A power of ten as people read it."""
    return f"{10**power:,}" if 0 <= power < 5 else (f"{10.0**power:g}" if -3 < power < 0 else f"1e{power}")


def _panel(panel: Panel, colours: dict[str, str], powers_y: range) -> list[str]:
    powers_x = _decades([x for curve in panel.curves for x, _ in curve.points])
    inner_width, inner_height = WIDTH - LEFT - RIGHT, HEIGHT - TOP - BOTTOM

    def at_x(value: float) -> float:
        return LEFT + inner_width * (math.log10(value) - powers_x[0]) / (powers_x[-1] - powers_x[0])

    def at_y(value: float) -> float:
        return TOP + inner_height * (powers_y[-1] - math.log10(value)) / (powers_y[-1] - powers_y[0])

    parts = [f'<text x="{LEFT}" y="18" font-weight="bold">{escape(panel.title)}</text>']
    for power in powers_x:
        x = at_x(10.0**power)
        parts.append(f'<path d="M{x:.1f} {TOP}V{TOP + inner_height}" stroke="#ddd"/>')
        parts.append(f'<text x="{x:.1f}" y="{TOP + inner_height + 15}" text-anchor="middle">{_label(power)}</text>')
    for power in powers_y:
        y = at_y(10.0**power)
        parts.append(f'<path d="M{LEFT} {y:.1f}H{LEFT + inner_width}" stroke="#ddd"/>')
        parts.append(f'<text x="{LEFT - 6}" y="{y + 4:.1f}" text-anchor="end">{_label(power)}</text>')
    parts.append(f'<text x="{LEFT + inner_width / 2}" y="{HEIGHT - 8}" text-anchor="middle">{panel.x_title}</text>')
    for curve in panel.curves:
        places = [(at_x(x), at_y(y)) for x, y in curve.points]
        line = "M" + "L".join(f"{x:.1f} {y:.1f}" for x, y in places)
        colour = colours[curve.name]
        parts.append(f'<path d="{line}" fill="none" stroke="{colour}" stroke-width="2"/>')
        parts += [f'<circle cx="{x:.1f}" cy="{y:.1f}" r="3" fill="{colour}"/>' for x, y in places]
    return parts


def draw(panels: Sequence[Panel], y_title: str) -> str:
    """All panels, two in a row, with one scale upwards, and one legend below."""
    names = list(dict.fromkeys(curve.name for panel in panels for curve in panel.curves))
    colours = dict(zip(names, COLOURS, strict=False))
    powers_y = _decades([y for panel in panels for curve in panel.curves for _, y in curve.points])
    rows = math.ceil(len(panels) / 2)
    width, height = 2 * WIDTH, rows * HEIGHT + 26 + LEGEND_ROW * math.ceil(len(names) / 2)
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" width="{width}" height="{height}" '
        'font-family="sans-serif" font-size="11" fill="#222">',
        f'<rect width="{width}" height="{height}" fill="#fff"/>',
    ]
    for number, panel in enumerate(panels):
        place = f"translate({number % 2 * WIDTH} {number // 2 * HEIGHT})"
        parts += [f'<g transform="{place}">', *_panel(panel, colours, powers_y), "</g>"]
    parts.append(f'<text x="{LEFT}" y="{rows * HEIGHT + 12}">Upwards: {escape(y_title)}</text>')
    for number, name in enumerate(names):
        x, y = LEFT + number % 2 * WIDTH, rows * HEIGHT + 32 + LEGEND_ROW * (number // 2)
        parts.append(f'<path d="M{x} {y - 4}h20" stroke="{colours[name]}" stroke-width="3"/>')
        parts.append(f'<text x="{x + 26}" y="{y}">{escape(name)}</text>')
    return "\n".join([*parts, "</svg>", ""])
