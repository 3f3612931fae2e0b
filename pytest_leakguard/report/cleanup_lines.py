"""The cleanup ledger as a table: kinds with their counts, then the paths that no error ever took."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from pytest_leakguard.report.text import printable

_MOST_LISTED = 40


def table(paths: Sequence[dict[str, Any]]) -> list[str]:
    """Lines of the summary; nothing when nothing was counted."""
    kinds = dict.fromkeys(path["kind"] for path in paths)
    lines = [f"{'kind':<12} {'paths':>7} {'normally':>10} {'under an error':>15} {'never':>7}"]
    for kind in kinds:
        of_kind = [path for path in paths if path["kind"] == kind]
        normal = "-" if kind == "except" else f"{_count(of_kind, 'normal'):,}"
        not_run = sum(map(_is_never, of_kind))
        lines.append(f"{kind:<12} {len(of_kind):>7,} {normal:>10} {_count(of_kind, 'error'):>15,} {not_run:>7,}")
    never = [path for path in paths if _is_never(path)]
    untried = [path for path in paths if not _is_never(path) and not path["error"]]
    lines += [*_listed("never ran:", never), *_listed("ran, but never under an error:", untried)]
    return lines


def merged(parts: Iterable[Sequence[dict[str, Any]]]) -> list[dict[str, Any]]:
    """The sums of several processes, in the order of the files."""
    found: dict[tuple[Any, ...], dict[str, Any]] = {}
    for path in (path for part in parts for path in part):
        key = (path["path"], path["line"], path["kind"], path["qualname"], path["what"])
        known = found.setdefault(key, {**path, "entered": 0, "normal": 0, "error": 0})
        for name in ("entered", "normal", "error"):
            known[name] += path[name]
    return [found[key] for key in sorted(found)]


def total(paths: Sequence[dict[str, Any]]) -> str:
    """The line of the summary."""
    error, never = _count(paths, "error"), sum(map(_is_never, paths))
    rest = len(paths) - error - never
    return f"cleanup: {len(paths):,} paths, {error:,} ran under an error, {rest:,} only without one, {never:,} never"


def _count(paths: Iterable[dict[str, Any]], name: str) -> int:
    return sum(1 for path in paths if path[name])


def _is_never(path: dict[str, Any]) -> bool:
    return not (path["normal"] or path["error"])


def _listed(title: str, paths: Sequence[dict[str, Any]]) -> list[str]:
    if not paths:
        return []
    lines = [title]
    for path in paths[:_MOST_LISTED]:
        what = f" {path['what']}" if path["what"] else ""
        lines.append(printable(f"  {path['path']}:{path['line']} in {path['qualname']}: {path['kind']}{what}"))
    if len(paths) > _MOST_LISTED:
        lines.append(f"  and {len(paths) - _MOST_LISTED:,} more; the JSON report has them all")
    return lines
