"""``python -m pytest_leakguard COMMAND``."""

from __future__ import annotations

import argparse
import os
import sys


def main(argv: list[str] | None = None) -> int:
    """Run a command. Returns its exit status."""
    arguments = sys.argv[1:] if argv is None else argv
    parser = argparse.ArgumentParser(prog="python -m pytest_leakguard")
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("doctor", help="leak one of each kind on purpose and say which are seen on this machine")
    sweep = commands.add_parser("sweep", help="make each operation of something callable fail in turn")
    if arguments[:1] != ["sweep"]:
        parser.parse_args(arguments)
        from pytest_leakguard.doctor import main as doctor

        return doctor()
    from pytest_leakguard import sweep_command

    sweep_command.add_arguments(sweep)
    options = parser.parse_args(arguments)
    try:
        return sweep_command.run(options, os.getcwd())
    except sweep_command.BadCommand as error:
        sweep.error(str(error))


if __name__ == "__main__":
    sys.exit(main())
