"""``python -m pytest_leakguard COMMAND``."""

from __future__ import annotations

import argparse
import os
import sys

from pytest_leakguard import differ, explaining


def main(argv: list[str] | None = None) -> int:
    """Run a command. Returns its exit status."""
    arguments = sys.argv[1:] if argv is None else argv
    parser = argparse.ArgumentParser(prog="python -m pytest_leakguard")
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("doctor", help="leak one of each kind on purpose and say which are seen on this machine")
    sweep = commands.add_parser("sweep", help="make each operation of something callable fail in turn")
    differ.add_command(commands)
    explaining.add_command(commands)
    commands.add_parser("schema", help="print the JSON schema of the JSON report")
    if arguments[:1] == ["sweep"]:
        from pytest_leakguard import sweep_command

        sweep_command.add_arguments(sweep)
        try:
            return sweep_command.run(parser.parse_args(arguments), os.getcwd())
        except sweep_command.BadCommand as error:
            sweep.error(str(error))
    given = parser.parse_args(arguments)
    if given.command == "diff":
        return differ.main(given.old, given.new, given.format)
    if given.command == "explain":
        return explaining.main(given.slugs)
    if given.command == "schema":
        from pytest_leakguard.report.schema import main as schema

        return schema()
    from pytest_leakguard.doctor import main as doctor

    return doctor()


if __name__ == "__main__":
    sys.exit(main())
