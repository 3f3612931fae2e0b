"""The options and ini settings for suites that leak already. Loaded in every run: keep it light."""

from __future__ import annotations

from typing import Any

import pytest

INI_NAMES = (
    "leakguard_baseline",
    "leakguard_baseline_update",
    "leakguard_baseline_strict",
    "leakguard_confirm",
    "leakguard_explain",
    "leakguard_isolate",
)


def add_options(group: Any, parser: pytest.Parser) -> None:
    """Declare the options and their ini twins."""
    group.addoption(
        "--leakguard-baseline",
        metavar="FILE",
        help="the leaks that are known: they pass, new ones fail, gone ones are listed",
    )
    group.addoption(
        "--leakguard-baseline-update",
        action="store_true",
        default=None,
        help="write what leaks now into the baseline; reasons, dates and comments are kept",
    )
    group.addoption(
        "--leakguard-baseline-strict",
        action="store_true",
        default=None,
        help="a known leak that is gone fails the run, until it is taken out of the baseline",
    )
    group.addoption(
        "--leakguard-confirm",
        action="store_true",
        default=None,
        help="repeat each test that leaked once, and only tell, not fail, what does not leak again",
    )
    group.addoption(
        "--leakguard-explain",
        metavar="NODEID|all",
        help="tell for a test how its verdict came about: settings, suspects, rules; a glob names several",
    )
    group.addoption(
        "--leakguard-isolate",
        action="store_true",
        default=None,
        help="run each leaking test again in fresh processes and tell whether it leaks alone, or only after which test",
    )
    parser.addini("leakguard_baseline", "file with the leaks that are known", default="")
    parser.addini("leakguard_baseline_update", "as --leakguard-baseline-update", type="bool", default=False)
    parser.addini("leakguard_baseline_strict", "as --leakguard-baseline-strict", type="bool", default=False)
    parser.addini("leakguard_explain", "as --leakguard-explain", default="")
    parser.addini("leakguard_isolate", "as --leakguard-isolate", type="bool", default=False)
    parser.addini("leakguard_confirm", "as --leakguard-confirm", type="bool", default=False)
