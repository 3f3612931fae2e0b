"""The changelog is made of fragments: one file a change, `docs/changelog/<topic>.<kind>.md`.

    python .ci/changelog.py                   print what the next release says
    python .ci/changelog.py 0.2.0 2027-01-31  write that into CHANGELOG.md as this release, and remove the fragments

Exit status: 2 when the arguments, the name of a fragment or the changelog are not as they should be.
"""

from __future__ import annotations

import re
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
# in the order in which a reader who updates needs them
KINDS = {
    "removal": "Removed",
    "change": "Changed",
    "feature": "Added",
    "fix": "Repaired",
    "docs": "Documentation",
}
UNRELEASED = "## Unreleased\n"


class ChangelogError(Exception):
    """Says which file is not as it should be, and how it should be."""


def read(folder: Path) -> dict[str, list[str]]:
    """Kind -> the texts of its fragments, by topic; kinds and texts that are not there are left out.

    Raises: ChangelogError for a name of another form, or a fragment without a word.
    """
    found: dict[str, list[str]] = {kind: [] for kind in KINDS}
    for file in sorted(folder.glob("*")):
        name = re.fullmatch(r"[a-z0-9]+(?:-[a-z0-9]+)*\.(\w+)\.md", file.name)
        if name is None or name[1] not in KINDS:
            raise ChangelogError(f"{file.name}: not <topic>.<{'|'.join(KINDS)}>.md, the topic in small letters, 1-2-3")
        text = file.read_text("utf-8").strip()
        if not text or text.startswith(("#", "-", "*")):
            raise ChangelogError(f"{file.name}: must be a paragraph for users, without heading or list mark")
        found[name[1]].append(text)
    return {kind: texts for kind, texts in found.items() if texts}


def assemble(fragments: dict[str, list[str]]) -> str:
    """The fragments as Markdown: a heading for each kind, a list item for each change."""
    parts = []
    for kind, texts in fragments.items():
        items = ["- " + text.replace("\n", "\n  ") for text in texts]
        parts.append("\n".join([f"### {KINDS[kind]}", "", *items]))
    return "\n\n".join(parts) + "\n"


def release(changelog: str, version: str, date: str, changes: str) -> str:
    """The changelog with a new release on top.

    Raises: ChangelogError when the version or the date are none, or there is no place for it.
    """
    if not re.fullmatch(r"\d+\.\d+\.\d+", version) or not re.fullmatch(r"\d{4}-\d\d-\d\d", date):
        raise ChangelogError(f"{version} {date}: the arguments are a version like 0.2.0 and a day like 2027-01-31")
    before, found, after = changelog.partition(UNRELEASED)
    if not found or f"## {version} " in after:
        raise ChangelogError(f"CHANGELOG.md: has no {UNRELEASED.strip()!r}, or has {version} already")
    # what stands below "Unreleased" itself is a hint for readers between releases; it ends with the next heading
    older = after[after.index("\n## ") + 1 :] if "\n## " in after else ""
    hint = "\nFragments are in `docs/changelog/`.\n"
    return "\n".join([f"{before}{found}{hint}", f"## {version} ({date})\n", changes, older]).rstrip() + "\n"


def main(argv: list[str], root: Path = ROOT) -> int:
    folder, changelog = root / "docs" / "changelog", root / "CHANGELOG.md"
    try:
        changes = assemble(read(folder))
        if not argv:
            print(changes, end="")
            return 0
        if len(argv) != 2:
            raise ChangelogError("give a version and a day, or nothing")
        version, date = argv
        changelog.write_text(release(changelog.read_text("utf-8"), version, date, changes), "utf-8")
    except ChangelogError as error:
        print(error, file=sys.stderr)
        return 2
    for file in folder.glob("*"):
        file.unlink()
    return 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
