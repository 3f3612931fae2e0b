"""Allow rules that packages bring along: by a hook of theirs, or by an entry point without any import of pytest."""

from __future__ import annotations

import os
from collections.abc import Collection, Iterable
from importlib import metadata
from typing import Any

import pytest

from pytest_leakguard.core.allow import AllowRule
from pytest_leakguard.plugin.delivery import call_each
from pytest_leakguard.plugin.options import rules_of

GROUP = "pytest_leakguard.rules"


def shared_rules(config: pytest.Config, known: Collection[str], errors: list[str]) -> list[AllowRule]:
    """The rules of hooks and of entry points.

    Args:
        known: the kinds that can be named.
        errors: told of what an entry point gives that is no rule; the run goes on without it.
    Raises:
        pytest.UsageError: a hook gives a rule that can't be read.
    """
    rules: list[AllowRule] = []
    for name, lines in call_each(config.hook, "pytest_leakguard_allow", errors, config=config):
        if _are_lines(lines):
            rules += rules_of(lines, known, "hook pytest_leakguard_allow")
        else:
            errors.append(f"hook pytest_leakguard_allow of {name} gave {lines!r}, not a list of strings")
    if not (os.environ.get("PYTEST_DISABLE_PLUGIN_AUTOLOAD") or config.getoption("disable_plugin_autoload", False)):
        rules += _of_entry_points(metadata.entry_points(group=GROUP), known, errors)
    return rules


def _of_entry_points(
    points: Iterable[metadata.EntryPoint], known: Collection[str], errors: list[str]
) -> list[AllowRule]:
    rules: list[AllowRule] = []
    for point in points:
        source = f"entry point {point.name!r} in the group {GROUP}" + (f" of {point.dist.name}" if point.dist else "")
        try:
            given = point.load()
            lines = given() if callable(given) else given
            if not _are_lines(lines):
                raise TypeError(f"it gave {lines!r}, not a list of strings")
            rules += rules_of(lines, known, source)
        except pytest.UsageError as error:
            errors.append(str(error))
        except Exception as error:  # a package that is broken, or older than we are, costs its own rules only
            errors.append(f"{source}: {type(error).__name__}: {error}")
    return rules


def _are_lines(lines: Any) -> bool:
    return isinstance(lines, (list, tuple)) and all(isinstance(line, str) for line in lines)
