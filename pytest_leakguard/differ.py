"""``python -m pytest_leakguard diff OLD.json NEW.json``: for pull requests. The new leaks decide the exit status."""

from __future__ import annotations

import argparse
import sys

from pytest_leakguard.report import difference, jsonfile
from pytest_leakguard.report.compare import compare

NONE_NEW, SOME_NEW, NOT_COMPARED = 0, 1, 2
_FORMATS = {"text": difference.as_text, "markdown": difference.as_markdown}


def add_command(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Declare the command."""
    parser = commands.add_parser(
        "diff",
        help="compare two JSON reports: new, gone and moved leaks; exit status 1 when there are new ones",
        description="Compare two JSON reports by fingerprint. Exit status: 0 none new, 1 some new, 2 not compared.",
    )
    parser.add_argument("old", metavar="OLD.json", help="report of the state before, such as the main branch")
    parser.add_argument("new", metavar="NEW.json", help="report of the state after")
    parser.add_argument("--format", choices=tuple(_FORMATS), default="text", help="text (default) or markdown")


def main(old: str, new: str, form: str = "text") -> int:
    """Print the difference. Returns the exit status."""
    try:
        found = compare(jsonfile.read(old), jsonfile.read(new))
    except (OSError, jsonfile.BadReport) as error:
        print(f"leakguard diff: {error}", file=sys.stderr)
        return NOT_COMPARED
    text = _FORMATS[form](found)
    # a pipe may have an encoding that can't say everything
    encoding = sys.stdout.encoding or "utf-8"
    print(text.encode(encoding, "backslashreplace").decode(encoding), end="")
    return SOME_NEW if found.new else NONE_NEW
