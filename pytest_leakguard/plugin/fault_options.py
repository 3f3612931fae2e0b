"""What was asked of the fault engine: command line and ini settings -> checked settings."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

import pytest

from pytest_leakguard.core.allow import near
from pytest_leakguard.faults.model import FAMILIES, STRICT_INTERRUPT, BadPoint, FaultPoint
from pytest_leakguard.faults.targets import BadTarget, places_of


@dataclass(frozen=True, slots=True, kw_only=True)
class FaultSettings:
    """What the user asked the fault engine for, checked.

    Attributes:
        every_test: sweep every test, not only marked ones.
        only: ids of the points to try; all when empty.
        trials, seconds: the budget of each test.
        seed: None is a random one.
        places: absolute paths of the code under test; the default when empty.
        cleanup_report: count which cleanup paths run.
    """

    every_test: bool = False
    families: tuple[str, ...] = FAMILIES
    only: tuple[str, ...] = ()
    trials: int | None = None
    seconds: float | None = None
    seed: int | None = None
    places: tuple[str, ...] = ()
    strict: bool = False
    cleanup_report: bool = False


def read(config: pytest.Config) -> FaultSettings:
    """Check and freeze what was asked for. Raises pytest.UsageError."""
    only, only_source = pick(config, "fault")
    for text in only or ():
        try:
            FaultPoint.parse(text)
        except BadPoint as error:
            raise pytest.UsageError(f"{only_source}: {error}") from None
    words, families_source = pick(config, "fault_families")
    budget, budget_source = pick(config, "fault_budget")
    trials, seconds = _budget(str(budget), budget_source) if budget else (None, None)
    seed, seed_source = pick(config, "fault_seed")
    if seed and not re.fullmatch(r"\d+", str(seed)):
        raise pytest.UsageError(f"{seed_source}: bad seed {seed!r}. Allowed: a whole number, 0 or more.")
    targets, targets_source = pick(config, "fault_target")
    given_on_command_line = config.getoption("leakguard_fault_target") is not None
    folder = config.invocation_params.dir if given_on_command_line else config.rootpath
    try:
        places = places_of(targets or (), folder=str(folder))
    except BadTarget as error:
        raise pytest.UsageError(f"{targets_source}: {error}") from None
    return FaultSettings(
        every_test=bool(pick(config, "faults")[0] or only),
        cleanup_report=bool(pick(config, "cleanup_report")[0]),
        families=families_of(str(words or "all"), families_source),
        only=tuple(text.strip() for text in only or ()),
        trials=trials,
        seconds=seconds,
        seed=int(seed) if seed else None,
        places=places,
        strict=bool(pick(config, "fault_strict")[0]),
    )


def families_of(text: str, source: str) -> tuple[str, ...]:
    """The families that a list names, with `STRICT_INTERRUPT` where that is asked for. Raises pytest.UsageError."""
    words = [word for word in re.split(r"[,\s]+", text) if word]
    known = f"Known: {', '.join((*FAMILIES, STRICT_INTERRUPT))}, all."
    for word in words:
        if word not in (*FAMILIES, STRICT_INTERRUPT, "all"):
            raise pytest.UsageError(f"{source}: unknown family {word!r}{near(word, FAMILIES)}\n{known}")
    if not words:
        raise pytest.UsageError(f"{source}: no family given.\n{known}")
    if STRICT_INTERRUPT in words:
        words.append("interrupt")
    chosen = FAMILIES if "all" in words else tuple(family for family in FAMILIES if family in words)
    return (*chosen, STRICT_INTERRUPT) if STRICT_INTERRUPT in words else chosen


def pick(config: pytest.Config, name: str) -> tuple[Any, str]:
    """A setting of the command line, else of the ini file, and where it comes from. Raises pytest.UsageError."""
    option = config.getoption(f"leakguard_{name}")
    if option is not None:
        source = f"--leakguard-{name.replace('_', '-')}"
        if option == "" or option == [""]:
            raise pytest.UsageError(f"{source}: empty value.")
        return option, source
    where = f"ini file {config.inipath.name}" if config.inipath else "ini settings"
    return config.getini(f"leakguard_{name}"), f"leakguard_{name} ({where})"


def _budget(text: str, source: str) -> tuple[int | None, float | None]:
    if re.fullmatch(r"[1-9]\d*", text):
        return int(text), None
    match = re.fullmatch(r"(\d+(?:\.\d+)?)\s*s", text)
    if match is None or float(match[1]) == 0:
        raise pytest.UsageError(f"{source}: bad budget {text!r}. Allowed: a number of trials, or seconds: 50, 2.5s.")
    return None, float(match[1])
