"""What the messages of the page mean: the sections of the reference, inside it, for what is linked has to be there."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from pytest_leakguard.report import pages
from pytest_leakguard.report.groups import Group
from pytest_leakguard.report.html.markup import code, shown

_WHOLE = 20_000
"""The sections are our own text: nothing of it is cut."""


def links(slugs: Iterable[str]) -> str:
    """Links to sections of this very page."""
    return ", ".join(f'<a href="#{_anchor(slug)}">{shown(slug)}</a>' for slug in slugs)


def section(report: dict[str, Any], groups: Sequence[Group]) -> str:
    """The sections that some message of the page links to; nothing when there is no message."""
    slugs = [slug for group in groups for slug in pages.slugs_of(group.first)]
    slugs += [*map(pages.slug_of_error, report["errors"]), *(["blind"] if report["blind"] else [])]
    entries = "".join(map(_entry, dict.fromkeys([*slugs, *report["messages"]])))
    words = f'<p class="run">On a terminal: {code(f"{pages.COMMAND} NAME")}</p>'
    return f'<h2 id="meaning">What the messages mean</h2>{words}{entries}' if entries else ""


def _entry(slug: str) -> str:
    # browsers open what is folded when a link leads inside of it, not when it leads to the fold itself
    lines = "\n".join(shown(line, _WHOLE) for line in pages.plain(slug).split("\n"))
    return (
        f'<details class="plain card"><summary><b>{shown(slug)}</b> <small>{shown(pages.gist(slug), 240)}</small>'
        f'</summary><pre class="prose" id="{_anchor(slug)}" tabindex=0>{lines}</pre></details>'
    )


def _anchor(slug: str) -> str:
    return f"means-{slug}"
