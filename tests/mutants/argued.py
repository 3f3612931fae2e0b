"""Mutants that no test can kill, each with the reason: module -> what was changed -> why it does not matter."""

from __future__ import annotations

ARGUED: dict[str, dict[str, str]] = {}
