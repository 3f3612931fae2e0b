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
from pytest_leakguard.report.plain import clipped

GROUP = "pytest_leakguard.rules"
_RULES_NAMED = 5


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


def idle_lines(idle: Iterable[tuple[str, str]]) -> list[str]:
    """One line for each package that brought rules which let nothing pass.

    That is no fault of the suite: it may not use what they are for. So they are told to those who ask for
    details, and their number stays small however many rules a package has.

    Args:
        idle: rule and source of each.
    """
    of_sources: dict[str, list[str]] = {}
    for rule, source in idle:
        of_sources.setdefault(source, []).append(rule)
    lines = []
    for source, rules in of_sources.items():
        named = ", ".join(repr(clipped(rule, 200)) for rule in rules[:_RULES_NAMED])
        more = f" and {len(rules) - _RULES_NAMED:,} more" if len(rules) > _RULES_NAMED else ""
        lines.append(f"shared rules that let nothing pass here: {named}{more}; from {clipped(source)}")
    return lines


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
