"""The values of the core: frozen, slotted, made by keyword. Whatever holds one may share it."""

from __future__ import annotations

import dataclasses
import importlib
import pkgutil

import pytest

import pytest_leakguard.core
from pytest_leakguard.core import baseline, baseline_text, ledger, timeline

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
