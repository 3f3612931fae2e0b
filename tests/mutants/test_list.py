"""The list of mutated modules, and what is written of them, is whole and still fits the code."""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path

import pytest
from modules import LIVE, MODULES, NOTHING_TO_CHANGE

TESTS = Path(__file__).parents[1]
PACKAGE = TESTS.parent / "pytest_leakguard"
RESULTS = json.loads(Path(__file__).with_name("results.json").read_text("utf-8"))


def test_each_module_is_mutated_or_live():
    """None of the core is live; of the fault engine each is the one or the other, or has nothing to change."""
    there = {f"{part}/{file.name}" for part in ("core", "faults") for file in (PACKAGE / part).glob("*.py")}
    assert there == set(MODULES) | set(LIVE) | NOTHING_TO_CHANGE
    assert len(there) == len(MODULES) + len(LIVE) + len(NOTHING_TO_CHANGE)
    assert not [module for module in LIVE if module.startswith("core/")]


def test_the_tests_of_the_list_are_there():
    """By their files."""
    assert all((TESTS / test.partition("::")[0]).is_file() for tests in MODULES.values() for test in tests)


def test_no_mutant_of_the_table_survives():
    """Each is killed by a test that is there, or argued away."""
    assert list(RESULTS) == list(MODULES)
    for module, row in RESULTS.items():
        assert row["survivors"] == [], module
        for test in row["killed"]:
            file, _, name = test.partition("::")
            assert test.startswith("(") or f"def {name}(" in (TESTS / file).read_text("utf-8"), test


@pytest.mark.skipif(sys.version_info < (3, 11), reason="the standard library reads TOML since 3.11")
def test_what_is_argued_away_still_stands_in_the_code():
    """A line that was changed has to be argued anew; each change has a reason."""
    import tomllib

    argued = tomllib.loads(Path(__file__).with_name("argued.toml").read_text("utf-8"))
    assert set(argued) <= set(MODULES)
    for module, blocks in argued.items():
        lines = {line.strip() for line in (PACKAGE / module).read_text("utf-8").splitlines()}
        for block in blocks:
            assert block["why"]
            for change in block["changes"]:
                assert set(re.split(" / ", change.split(" -> ")[0])) <= lines, f"{module}: {change}"
