"""Applies the sabotages one by one to a copy of the package; the named test of each has to fail, or a reason be given.

Those of `native/` are compiled into the copy, and told as not run where that can't be done.

    python tests/sabotage/run.py                 all
    python tests/sabotage/run.py fds litter      those whose file or test has one of these words in it
    python tests/sabotage/run.py --table         writes the results into the documentation too
    python tests/sabotage/run.py --missing       those that are not in that table yet

Exit status: 0 when each that was run was noticed, or argued away. A reason that stands there without need is an error.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path

from copies import ROOT, CannotBuild, Copy, NativeCopy
from planned import Sabotage
from sabotages import SABOTAGES

PAGE = ROOT / "docs" / "explanation" / "kill-table.md"
START = "## Sabotages\n"
_TOLD_AT_MOST = 90
KILLED, ARGUED = "killed", "argued: "
NO_TEST = "NO TEST"
"""The test fails or is skipped anyway."""
NO_C = "DOES NOT COMPILE"
NOT_RUN = "not run"
"""The part in C can't be built here."""


class Bench:
    """Where sabotages are applied: a copy for those in Python, and one for those in C, made when there is one."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._copies: dict[type[Copy], Copy | None] = {}
        self._sound: dict[tuple[type[Copy], str], bool | None] = {}

    def try_out(self, sabotage: Sabotage) -> str:
        """What became of it, in words."""
        kind = NativeCopy if sabotage.is_native else Copy
        copy = self._copy(kind)
        if copy is None:
            return NOT_RUN
        if (kind, sabotage.test) not in self._sound:
            self._sound[kind, sabotage.test] = copy.passes(sabotage.test)
        if not self._sound[kind, sabotage.test]:
            return NO_TEST
        try:
            with copy.with_(sabotage):
                passed = copy.passes(sabotage.test)
        except CannotBuild:
            return NO_C
        if passed is None:
            return NO_TEST
        if sabotage.argued:
            return _sound(sabotage) if passed else "NEEDLESSLY ARGUED"
        return "SURVIVES" if passed else KILLED

    def _copy(self, kind: type[Copy]) -> Copy | None:
        if kind not in self._copies:
            try:
                self._copies[kind] = kind(self._folder / kind.__name__)
            except CannotBuild as error:
                print(f"the part in C is not built, and none of its sabotages run: {error}", flush=True)
                self._copies[kind] = None
        return self._copies[kind]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("words", nargs="*")
    parser.add_argument("--table", action="store_true", help="write the results into the documentation")
    parser.add_argument("--missing", action="store_true", help="only what does not stand there as killed or argued")
    args = parser.parse_args()
    chosen = [s for s in SABOTAGES if not args.words or any(word in f"{s.file} {s.test}" for word in args.words)]
    if args.missing:
        chosen = [sabotage for sabotage in chosen if _row(sabotage, _sound(sabotage)) not in table()]
    results: dict[Sabotage, str] = {}
    with tempfile.TemporaryDirectory() as folder:
        bench = Bench(Path(folder))
        # those of one test one after the other: it has to pass once without any
        for sabotage in sorted(chosen, key=lambda one: one.test):
            word = results[sabotage] = bench.try_out(sabotage)
            print(f"{word[:8]:8}  {sabotage.file}: {_short(sabotage.old)} -> {_short(sabotage.new)}", flush=True)
            if word not in (_sound(sabotage), NOT_RUN):
                print(f"          {word}: {sabotage.test}", flush=True)
            if args.table:
                write({one: told for one, told in results.items() if told != NOT_RUN})
    killed, skipped = (sum(word == each for word in results.values()) for each in (KILLED, NOT_RUN))
    argued = sum(word.startswith(ARGUED) for word in results.values())
    print(f"{len(results)} sabotages, {killed} killed, {argued} argued away, {skipped} not run")
    sys.exit(killed + argued + skipped != len(results))


def _sound(sabotage: Sabotage) -> str:
    """What has to become of it."""
    return f"{ARGUED}{sabotage.argued}" if sabotage.argued else KILLED


def _short(text: str) -> str:
    text = " ".join(text.split())
    return (text if len(text) <= _TOLD_AT_MOST else f"{text[: _TOLD_AT_MOST - 3]}...") or "nothing"


def table() -> set[str]:
    """The rows that stand in the documentation."""
    return set(PAGE.read_text("utf-8").partition(START)[2].splitlines())


def write(results: Mapping[Sabotage, str]) -> None:
    """The table, below its heading, which is the page's last; what was not run now stays as it stands there."""
    text, before = PAGE.read_text("utf-8"), table()
    lines = ["| file | from | to | noticed by | |", "| --- | --- | --- | --- | --- |"]
    for sabotage in SABOTAGES:
        start = _row(sabotage, "").removesuffix(" |")
        known = [row for row in before if row.startswith(start)]
        lines += [_row(sabotage, results[sabotage])] if sabotage in results else known
    PAGE.write_text(text[: text.index(START)] + START + "\n" + "\n".join(lines) + "\n", "utf-8")


def _row(sabotage: Sabotage, word: str) -> str:
    old, new = (_code(_short(text)) for text in (sabotage.old, sabotage.new))
    return f"| `{sabotage.file}` | {old} | {new} | `{sabotage.test}` | {word} |"


def _code(text: str) -> str:
    """Text as code in a cell of a table."""
    fence = "``" if "`" in text else "`"
    space = " " if fence == "``" else ""
    return f"{fence}{space}{text}{space}{fence}".replace("|", "\\|")


if __name__ == "__main__":
    main()
