"""Kills mutants: every small wrong change to the pure code has to make a test fail.

    python tests/mutants/run.py                       all modules
    python tests/mutants/run.py core/grace.py ...     some
    python tests/mutants/run.py --table               writes the table into the documentation, too
    python tests/mutants/run.py --again               only those that survived when the table was written

The changes are those of cosmic-ray. Exit status: 0 when each one is killed by a test or argued away, and each argument
is needed.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
from collections import Counter

from argued import argued_of
from cosmic import mutants
from modules import MODULES
from table import Row, read, write
from trial import PACKAGE, Killer, with_killer


def row_of(module: str, former: Row | None) -> Row:
    """What became of all mutants of a module.

    Args:
        former: its row in the table, when only those are to be tried that survived or were argued away.
    """
    row = Row(module, Counter() if former is None else former.killed)
    argued = argued_of(module)
    left = None if former is None else former.left()
    unused = set(argued)

    def work(killer: Killer) -> None:
        for mutant in mutants((PACKAGE / module).read_text("utf-8")):
            if left is not None and mutant.where not in left:
                continue
            name = killer(mutant.source)
            if name:
                row.killed[name] += 1
            elif mutant.change in argued:
                unused.discard(mutant.change)
                row.argued.append((mutant.where, argued[mutant.change]))
            else:
                row.survivors.append(mutant.where)
                print(f"  survives  {module}:{mutant.where}", flush=True)

    with_killer(module, MODULES[module], work)
    row.needless.extend(sorted(unused))
    return row


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("modules", nargs="*", help="of pytest_leakguard, e.g. core/grace.py")
    parser.add_argument("--table", action="store_true", help="write the result into the documentation")
    parser.add_argument("--again", action="store_true", help="try only what survived; writes the table, too")
    args = parser.parse_args()
    modules = args.modules or list(MODULES)
    if len(modules) > 1:
        # each in a process of its own: a module that was imported for the one before could not be imported changed
        flags = [flag for flag, is_given in (("--table", args.table), ("--again", args.again)) if is_given]
        sys.exit(max(subprocess.run([sys.executable, __file__, *flags, module]).returncode for module in modules))
    os.environ["PYTEST_DISABLE_PLUGIN_AUTOLOAD"] = "1"
    (module,) = modules
    row = row_of(module, read()[module] if args.again else None)
    print(row.told(), flush=True)
    if args.table or args.again:
        write(row)
    sys.exit(1 if row.survivors or row.needless else 0)


if __name__ == "__main__":
    main()
