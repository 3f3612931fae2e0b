"""The cleanup ledger of the page: which cleanup paths ran under an error, which only without one, which never."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from pytest_leakguard.report.html.markup import code, shown
from pytest_leakguard.report.plain import counted

MOST_PATHS = 1000

Path = dict[str, Any]


def never(path: Path) -> bool:
    """It did not run at all."""
    return not (path["normal"] or path["error"])


def untried(path: Path) -> bool:
    """It ran, but under no error."""
    return bool(path["normal"]) and not path["error"]


def proven(path: Path) -> bool:
    """It ran under an error."""
    return bool(path["error"])


_GROUPS: tuple[tuple[str, str, Callable[[Path], bool]], ...] = (
    ("never ran", "bad", never),
    ("only without an error", "warn", untried),
    ("under an error", "good", proven),
)


def section(paths: Sequence[Path]) -> str:
    """Totals by kind, and three lists; nothing when nothing was counted."""
    if not paths:
        return ""
    kinds = dict.fromkeys(path["kind"] for path in paths)
    head = "".join(f'<th class="number" scope="col">{title}</th>' for title, _, _ in _GROUPS)
    rows = "".join(_row(kind, [path for path in paths if path["kind"] == kind]) for kind in kinds)
    lists = "".join(_list(title, grade, [path for path in paths if fits(path)]) for title, grade, fits in _GROUPS)
    return (
        '<h2 id="cleanup">Cleanup paths</h2>'
        f'<p class="run">{counted(len(paths), "path")} of the project that clean something up, and how they ran.</p>'
        '<div class="card scroll"><table id="ledger"><caption class="hidden-text">Cleanup paths by kind</caption>'
        f'<thead><tr><th scope="col">kind</th><th class="number" scope="col">paths</th>{head}</tr></thead>'
        f'<tbody>{rows}</tbody></table></div><div class="space-above">{lists}</div>'
    )


def _row(kind: str, paths: Sequence[Path]) -> str:
    cells = []
    for _, grade, fits in _GROUPS:
        number = sum(map(fits, paths))
        inside = f'<span class="cell {grade}">{number:,}</span>' if number else ""
        cells.append(f'<td class="number">{inside}</td>')
    return f'<tr><th scope="row">{shown(kind, 60)}</th><td class="number">{len(paths):,}</td>{"".join(cells)}</tr>'


def _list(title: str, grade: str, paths: Sequence[Path]) -> str:
    if not paths:
        return ""
    rows = "".join(
        f"<tr><td>{code(_place(path), 300)}</td>"
        f"<td>{shown(path['kind'], 60)} {code(path['what'], 160)}</td>"
        f'<td class="number">{path["normal"]:,}</td><td class="number">{path["error"]:,}</td></tr>'
        for path in paths[:MOST_PATHS]
    )
    left = len(paths) - MOST_PATHS
    more = f'<p class="none">{counted(left, "more path")}: see the JSON report</p>' if left > 0 else ""
    return (
        f'<details class="plain card"><summary><span class="cell {grade}">{title}</span>'
        f"<small>{counted(len(paths), 'path')}</small></summary>"
        '<div class="scroll"><table><thead><tr><th scope="col">where</th><th scope="col">what</th>'
        '<th class="number" scope="col">normally</th><th class="number" scope="col">under an error</th></tr></thead>'
        f"<tbody>{rows}</tbody></table></div>{more}</details>"
    )


def _place(path: Path) -> str:
    return f"{path['path']}:{path['line']} in {path['qualname']}"
