"""The options and ini settings of the fault engine. Loaded in every run: keep it light."""

from __future__ import annotations

from typing import Any

import pytest

FAMILIES_IN_WORDS = "acquire, call, body, release, interrupt, cancel, timeout, custom"
INI_NAMES = (
    "leakguard_faults",
    "leakguard_fault_families",
    "leakguard_fault",
    "leakguard_fault_budget",
    "leakguard_fault_seed",
    "leakguard_fault_target",
    "leakguard_fault_strict",
    "leakguard_cleanup_report",
)


def add_options(group: Any, parser: pytest.Parser) -> None:
    """Declare the options and their ini twins."""
    group.addoption(
        "--leakguard-faults",
        action="store_true",
        default=None,
        help="make each operation of each passing test fail in turn and check that cleanup ran",
    )
    group.addoption(
        "--leakguard-fault-families",
        metavar="LIST",
        help=f"which faults to inject: all (default), or a list of {FAMILIES_IN_WORDS}",
    )
    group.addoption(
        "--leakguard-fault",
        metavar="ID",
        action="append",
        help="repeat the trial of one fault point, FAMILY:PATH:QUALNAME:WHAT#N; repeatable",
    )
    group.addoption(
        "--leakguard-fault-budget",
        metavar="N|SECONDS",
        help="try at most N points of each test, or for so long: 50, 2.5s",
    )
    group.addoption("--leakguard-fault-seed", metavar="N", help="which points a budget chooses (default: random)")
    group.addoption(
        "--leakguard-fault-target",
        metavar="PATH|PACKAGE",
        action="append",
        help="the code that is made to fail (default: below the root folder, tests left out); repeatable",
    )
    group.addoption(
        "--leakguard-fault-strict",
        action="store_true",
        default=None,
        help="a fault that the test never hears of is a failure",
    )
    group.addoption(
        "--leakguard-cleanup-report",
        action="store_true",
        default=None,
        help="tell which `with`, `finally`, `except` and other cleanup paths ran normally, under an error, or never",
    )
    parser.addini("leakguard_faults", "as --leakguard-faults", type="bool", default=False)
    parser.addini("leakguard_fault_families", "as --leakguard-fault-families", default="")
    parser.addini("leakguard_fault", "ids of fault points, one a line", type="linelist", default=[])
    parser.addini("leakguard_fault_budget", "as --leakguard-fault-budget", default="")
    parser.addini("leakguard_fault_seed", "as --leakguard-fault-seed", default="")
    parser.addini("leakguard_fault_target", "paths or packages, one a line", type="linelist", default=[])
    parser.addini("leakguard_fault_strict", "as --leakguard-fault-strict", type="bool", default=False)
    parser.addini("leakguard_cleanup_report", "as --leakguard-cleanup-report", type="bool", default=False)
