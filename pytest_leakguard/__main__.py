"""``python -m pytest_leakguard COMMAND``."""

from __future__ import annotations

import argparse
import sys

from pytest_leakguard import differ


def main(argv: list[str] | None = None) -> int:
    """Run a command. Returns its exit status."""
    parser = argparse.ArgumentParser(prog="python -m pytest_leakguard")
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("doctor", help="leak one of each kind on purpose and say which are seen on this machine")
    differ.add_command(commands)
    commands.add_parser("schema", help="print the JSON schema of the JSON report")
    given = parser.parse_args(argv)
    if given.command == "diff":
        return differ.main(given.old, given.new, given.format)
    if given.command == "schema":
        from pytest_leakguard.report.schema import main as schema

        return schema()
    from pytest_leakguard.doctor import main as doctor

    return doctor()


if __name__ == "__main__":
    sys.exit(main())
