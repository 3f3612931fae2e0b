"""Kills mutants: every small wrong change to the pure code has to make a test fail.

    python tests/mutants/run.py                       all modules
    python tests/mutants/run.py core/grace.py ...     some
    python tests/mutants/run.py --table               writes the table into the documentation, too

The changes are those of cosmic-ray. Exit status: 0 when each one is killed by a test or argued away, and each argument
is needed.
"""

from __future__ import annotations

import argparse
import os
import sys

from argued import argued_of
from cosmic import mutants
from modules import MODULES
from table import Row, write
from trial import PACKAGE, Killer, with_killer


def row_of(module: str) -> Row:
    """What became of all mutants of a module."""
    row = Row(module)
    argued = argued_of(module)
    unused = set(argued)

    def work(killer: Killer) -> None:
        for mutant in mutants((PACKAGE / module).read_text("utf-8")):
            name = killer(mutant.source)
            if name:
                row.killed[name] += 1
            elif mutant.change in argued:
                unused.discard(mutant.change)
                row.argued.append((mutant.change, argued[mutant.change]))
            else:
                row.survivors.append(f"{mutant.line}: {mutant.change}")
                print(f"  survives  {module}:{row.survivors[-1]}", flush=True)

    with_killer(module, MODULES[module], work)
    row.needless.extend(sorted(unused))
    return row


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("modules", nargs="*", help="of pytest_leakguard, e.g. core/grace.py")
    parser.add_argument("--table", action="store_true", help="write the result into the documentation")
    args = parser.parse_args()
    os.environ["PYTEST_DISABLE_PLUGIN_AUTOLOAD"] = "1"
    bad = 0
    for module in args.modules or MODULES:
        row = row_of(module)
        bad += len(row.survivors) + len(row.needless)
        print(row.told(), flush=True)
        if args.table:
            write(row)
    sys.exit(1 if bad else 0)


if __name__ == "__main__":
    main()
