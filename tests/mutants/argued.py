"""Mutants that no test can kill, each with the reason; listed in ``argued.toml``."""

from __future__ import annotations

from pathlib import Path

import tomllib

LIST = Path(__file__).with_name("argued.toml")


def argued_of(module: str) -> dict[str, str]:
    """The changes of a module that are argued away -> why no test can notice."""
    blocks = tomllib.loads(LIST.read_text("utf-8")).get(module, [])
    return {change: block["why"] for block in blocks for change in block["changes"]}
