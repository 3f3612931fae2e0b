"""A nightly job of the weather station that checks itself."""

from __future__ import annotations

import asyncio
import socket
import sys
from pathlib import Path

from pytest_leakguard import LeakError, guard

JOURNALS = []


@guard("fd", "socket")
def rotate(path: Path) -> None:
    """Forgets the new journal's file."""
    JOURNALS.append(open(path, "w", encoding="utf-8"))


async def report(place: str) -> None:
    """Closes what it opens: nothing is told."""
    async with guard("socket", grace=0.2):
        with socket.socket():
            await asyncio.sleep(0)


def main() -> int:
    asyncio.run(report("roof"))
    with guard("-temp", allow="fd:*/state.db -- one connection for the whole run"):
        Path("station.log").write_text("3.5\n", encoding="utf-8")
    try:
        rotate(Path("night.log"))
    except LeakError as error:
        sys.stdout.write(f"{error}\n")
        return len(error.findings)
    return 0


if __name__ == "__main__":
    sys.exit(main())
