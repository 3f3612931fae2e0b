"""The values of the core: frozen, slotted, made by keyword. Whatever holds one may share it."""

from __future__ import annotations

import dataclasses
import importlib
import inspect
import pkgutil

import pytest

import pytest_leakguard.core
from pytest_leakguard.core import allow, baseline, baseline_text, bisect, grace, ledger, timeline, verdict

CLASSES = [
    value
    for found in pkgutil.iter_modules(pytest_leakguard.core.__path__, "pytest_leakguard.core.")
    for value in vars(importlib.import_module(found.name)).values()
    if isinstance(value, type) and dataclasses.is_dataclass(value) and value.__module__ == found.name
]
GROWS = {baseline._Seen, timeline.Timeline}
"""Not values: they collect."""
BY_PLACE = {*GROWS, ledger.Context, baseline_text._Token}
"""A few fields in their natural order, made often."""


@pytest.mark.parametrize("value", CLASSES, ids=lambda value: value.__name__)
def test_a_value_cannot_be_changed_nor_extended(value):
    """Frozen and slotted, so that it can be shared; what collects is slotted, too."""
    assert value.__dataclass_params__.frozen is (value not in GROWS)
    assert "__slots__" in vars(value)


@pytest.mark.parametrize("value", CLASSES, ids=lambda value: value.__name__)
def test_a_value_is_made_by_keyword(value):
    """The fields are told by name where there are many of them, or equal ones."""
    assert {field.kw_only for field in dataclasses.fields(value)} == {value not in BY_PLACE}


NAMED_ONLY = {
    allow.parse_rule: 1,
    allow.parse_line: 1,
    baseline.Sieve: 1,
    bisect.condition_of: 2,
    grace.settle: 2,
    grace.settling: 2,
    ledger.Ledger.open_scope: 5,
    verdict.judge: 2,
}
"""What takes options -> how many arguments it takes by their place."""


@pytest.mark.parametrize("function", NAMED_ONLY, ids=lambda function: function.__qualname__)
def test_options_are_given_by_name_only(function):
    """A call tells what it asks for; one more argument by place is an error, all of them by name are not."""
    signature, by_place = inspect.signature(function), NAMED_ONLY[function]
    signature.bind(**dict.fromkeys(signature.parameters))
    with pytest.raises(TypeError, match="too many positional"):
        signature.bind(*range(by_place + 1), **dict.fromkeys(list(signature.parameters)[by_place + 1 :]))
