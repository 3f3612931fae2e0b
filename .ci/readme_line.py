"""Print the one shell line that README.md gives for a purpose, so that it is run as it stands there.

    python .ci/readme_line.py examples [README.md]

The line is the only one in the ```sh block that follows the comment `<!-- ci:examples -->`.
"""

from __future__ import annotations

import re
import sys
from pathlib import Path


def shell_line(text: str, purpose: str) -> str:
    """The shell line of a README that is marked for a purpose.

    Args:
        text: the README, whole.
        purpose: the word in the marker, `examples` for `<!-- ci:examples -->`.
    Raises: LookupError when there is not exactly one such marker with one block of one line after it.
    """
    marker = f"<!-- ci:{purpose} -->"
    if (found := text.count(marker)) != 1:
        raise LookupError(f"{marker} must be there once, found {found} times")
    block = re.match(r"\s*```sh\n(.*?)^```", text.split(marker)[1], re.DOTALL | re.MULTILINE)
    if block is None:
        raise LookupError(f"{marker} must be followed by a ```sh block")
    lines = [line for line in block[1].splitlines() if line.strip()]
    if len(lines) != 1 or lines[0].endswith("\\"):
        raise LookupError(f"the ```sh block after {marker} must hold one line, it holds {len(lines)}")
    return lines[0].strip()


def main(argv: list[str]) -> int:
    if len(argv) not in (1, 2):
        print(__doc__, file=sys.stderr)
        return 2
    readme = Path(argv[1] if len(argv) == 2 else "README.md")
    try:
        print(shell_line(readme.read_text(encoding="utf-8"), argv[0]))
    except LookupError as error:
        print(f"{readme}: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
