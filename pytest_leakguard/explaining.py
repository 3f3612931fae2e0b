"""``python -m pytest_leakguard explain [SLUG ...]``: prints what the reference says about a message."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from difflib import get_close_matches

from pytest_leakguard.report import pages

EXPLAINED, UNKNOWN = 0, 2


def add_command(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Declare the command."""
    parser = commands.add_parser(
        "explain",
        help="print what a message means and what to do about it, by its slug",
        description="Print the sections of the reference that explain messages. Without a slug: list all of them.",
    )
    parser.add_argument("slugs", metavar="SLUG", nargs="*", help="as a message names it: leaked, held, blind ...")


def main(slugs: Sequence[str]) -> int:
    """Print the sections, or the list of them. Returns the exit status: 2 when one is unknown, and nothing printed."""
    known = pages.sections()
    for slug in slugs:
        if slug not in known:
            near = get_close_matches(slug, known, 1)
            hint = f"; did you mean {near[0]!r}?" if near else ""
            sys.stderr.write(f"leakguard explain: unknown message {slug!r}{hint}\nKnown: {', '.join(known)}.\n")
            return UNKNOWN
    if slugs:
        text = "\n\n".join(f"{slug}\n{'-' * len(slug)}\n{pages.plain(slug)}" for slug in dict.fromkeys(slugs))
    else:
        width = max(map(len, known))
        text = "\n".join(f"{slug:<{width}}  {pages.gist(slug)}" for slug in known)
    # a pipe may have an encoding that can't say everything
    encoding = sys.stdout.encoding or "utf-8"
    sys.stdout.write(text.encode(encoding, "backslashreplace").decode(encoding) + "\n")
    return EXPLAINED
