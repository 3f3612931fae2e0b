"""Mutants that no test can kill, each with the reason: module -> what was changed -> why it does not matter."""

from __future__ import annotations

ARGUED: dict[str, dict[str, str]] = {
    "core/grace.py": {
        "'T' -> 'xTx'": "the name of a type variable is for readers",
        "list(waits(grace_seconds)) if left else [] -> list(waits(grace_seconds))": (
            "waits that are planned and never made cost a few microseconds; the loop asks `left` again"
        ),
    },
    "core/kinds.py": {
        "'' -> 'xx'": "a word without a sign is neither + nor -; which other text says so does not matter",
    },
}
