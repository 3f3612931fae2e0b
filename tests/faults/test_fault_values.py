"""The values of the fault engine: frozen, slotted, made by keyword; what collects or works is slotted only."""

from __future__ import annotations

import dataclasses
import inspect

import pytest

from pytest_leakguard.faults import (
    acquire,
    await_chain,
    callees,
    cancel_judge,
    changes,
    cleanup,
    cleanup_marks,
    cleanup_paths,
    cleanups,
    entered,
    instructions,
    leftovers,
    lines,
    model,
    observe,
    operations,
    oracles,
    points,
    source,
    steps,
    suspensions,
    sweep,
    targets,
    witness,
)

MODULES = (
    acquire,
    await_chain,
    callees,
    cancel_judge,
    changes,
    cleanup,
    cleanup_marks,
    cleanup_paths,
    cleanups,
    entered,
    instructions,
    leftovers,
    lines,
    model,
    observe,
    operations,
    oracles,
    points,
    source,
    steps,
    suspensions,
    sweep,
    targets,
    witness,
)
CLASSES = [
    value
    for module in MODULES
    for value in vars(module).values()
    if isinstance(value, type) and dataclasses.is_dataclass(value) and value.__module__ == module.__name__
]
WORKS = {
    await_chain.Link,
    cleanup.Counts,
    observe.Observation,
    points.Shot,
    points.Counting,
    points.Aiming,
    source.Source,
    suspensions.Observation,
    sweep.Sweep,
    witness.Witness,
    witness._Watched,
}
"""Not values: they fill while something runs."""
BY_PLACE = {
    *WORKS,
    acquire.AcquireInjector,
    callees.Callee,
    changes.Changes,
    cleanup.Watched,
    cleanup_marks.Marks,
    entered.Entered,
    instructions.Step,
    lines.Lines,
    steps.StepInjector,
    targets.Targets,
}
"""One or two fields in their natural order, or tables that are filled by their name."""


@pytest.mark.parametrize("value", CLASSES, ids=lambda value: value.__name__)
def test_a_value_cannot_be_changed_nor_extended(value):
    """So that it can be shared between trials and travel to a report."""
    assert value.__dataclass_params__.frozen is (value not in WORKS)
    assert "__slots__" in vars(value)


@pytest.mark.parametrize("value", CLASSES, ids=lambda value: value.__name__)
def test_a_value_is_made_by_keyword(value):
    """The fields are told by name where there are many of them, or equal ones."""
    assert {field.kw_only for field in dataclasses.fields(value)} == {value not in BY_PLACE}


NAMED_ONLY = {
    await_chain.locate: 2,
    cancel_judge.judge: 3,
    leftovers.count_open_generators: 1,
    leftovers.describe: 1,
    leftovers.describe_coroutine: 1,
    oracles.findings_of: 4,
    oracles.is_only_told: 3,
    steps.interrupt_injector: 1,
    suspensions.Register: 1,
    suspensions.Register.meet: 2,
    targets.places_of: 1,
}
"""What takes options -> how many arguments it takes by their place."""


@pytest.mark.parametrize("function", NAMED_ONLY, ids=lambda function: function.__qualname__)
def test_options_are_given_by_name_only(function):
    """A call tells what it asks for; one more argument by place is an error, all of them by name are not."""
    signature, by_place = inspect.signature(function), NAMED_ONLY[function]
    signature.bind(**dict.fromkeys(signature.parameters))
    with pytest.raises(TypeError, match="too many positional"):
        signature.bind(*range(by_place + 1), **dict.fromkeys(list(signature.parameters)[by_place + 1 :]))
