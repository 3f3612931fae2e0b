"""Whether a class can have instances: told right for each way in which something may refer to it."""

from __future__ import annotations

import functools
import weakref

import pytest

from pytest_leakguard.origins.instrument import Instrument
from pytest_leakguard.probes.references import may_have_instances


class Plain:
    """Nothing but this module and itself refers to it."""


class WithSuper:
    """Its method has a cell with the class in it."""

    def method(self) -> str:
        return super().__repr__()


class Base:
    """Its subclass refers to it."""


class Below(Base):
    pass


BOUND = functools.partial(Plain)


def annotated(one: WithSuper) -> Base | None:
    """A function that names classes."""


@pytest.mark.parametrize("cls", [Plain, WithSuper, Base, Below], ids=lambda cls: cls.__name__)
def test_a_class_has_instances_when_one_is_alive(cls):
    """The search of the heap is left out only where it could find nothing."""
    ref = weakref.ref(cls)
    it = cls()
    assert may_have_instances([ref]) == [cls]
    del it


def test_what_refers_to_a_class_in_plain_sight_is_no_instance():
    """Modules, functions, partials, cells, subclasses; and our own wrappers."""
    classes = {name: type(name, (), {"method": lambda self: None}) for name in ("One", "Two")}
    globals().update(classes)
    refs = [weakref.ref(cls) for cls in classes.values()]
    classes.clear()
    instrument = Instrument()
    for ref in refs:
        instrument.wrap_init(ref(), lambda obj, frame: None)
    try:
        assert may_have_instances(refs) == []
    finally:
        instrument.undo()
        del globals()["One"], globals()["Two"]
    assert may_have_instances([]) == []
