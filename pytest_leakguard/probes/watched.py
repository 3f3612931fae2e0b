"""Which classes ``leakguard_track`` names: found when their modules come, and instrumented where that can be done."""

from __future__ import annotations

import sys
import weakref
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from functools import partial
from types import FrameType, ModuleType
from typing import Any

from pytest_leakguard import _real, native
from pytest_leakguard.core.demands import Demand
from pytest_leakguard.origins.holders import class_name
from pytest_leakguard.origins.imports import ImportWatch
from pytest_leakguard.origins.instrument import Called, Instrument, Made, NotAMethod
from pytest_leakguard.probes.classes import asker_for, classes_in
from pytest_leakguard.probes.nursery import Plan
from pytest_leakguard.probes.objects import Asker, is_weakly_referenceable

_HAVE_GC = 1 << 14  # Py_TPFLAGS_HAVE_GC


@dataclass(slots=True)
class Asked:
    """A demand, and the tests that it is for: None means every one."""

    demand: Demand
    tests: set[str] | None
    found: bool = False
    reason: str = ""

    def is_same(self, demand: Demand, test: str | None) -> bool:
        """Whether that asks for the same; each marker is another source of it."""
        return self.demand.text == demand.text and (self.tests is None) == (test is None)

    def is_for(self, test: str) -> bool:
        return self.tests is None or test in self.tests


@dataclass(slots=True)
class Watched:
    """A class that is watched, with what is asked of its instances."""

    ref: weakref.ref[type]
    name: str
    asked: list[Asked]
    wrapped: set[str] = field(default_factory=set)
    closed: Asker | None = None
    is_c: bool = False
    subclasses: int = 0
    has_finalizer: bool | None = None
    _is_for_all: bool = True
    _plans: dict[str, Plan | None] = field(default_factory=dict)

    def ask(self, asked: Asked) -> None:
        """Something more is asked."""
        self.asked.append(asked)
        self._is_for_all = self._is_for_all and asked.tests is None
        self._plans.clear()

    def plan(self, test: str) -> Plan | None:
        """What is asked of an instance made in that test, or outside of tests; None: nothing."""
        key = "any" if self._is_for_all and test else test
        if key not in self._plans:
            if len(self._plans) > 1:
                self._plans.clear()  # that of the test before
            self._plans[key] = self._planned(test)
        return self._plans[key]

    def _planned(self, test: str) -> Plan | None:
        asked = [one.demand for one in self.asked if one.is_for(test) or not test]
        must_go = any(not demand.methods for demand in asked)
        # what nobody owns need not be closed, but may have to make room for another
        duties = tuple(dict.fromkeys(demand.methods for demand in asked if demand.methods)) if test else ()
        if not asked or not (must_go or duties or self.is_c):
            return None
        return Plan(name=self.name, event=f"{self.name.rpartition('.')[2]}()", must_go=must_go, duties=duties)


class WatchedClasses:
    """Finds the classes that are named.

    Args:
        made: told of an instance of a class of Python code, with its class and the frame that made it.
        called: told of the calls of its methods.
        found_in_c: called when a class of C code has been found.
        first_told: gives what is told of the instances of a class in place of `made`, and may leave them to that.
    """

    def __init__(
        self,
        made: Callable[[Watched, Any, FrameType], object],
        called: Called,
        found_in_c: Callable[[], object],
        first_told: Callable[[Watched, Made], Made],
    ) -> None:
        self._tell = made
        self._first_told = first_told
        self._called = called
        self._found_in_c = found_in_c
        self._asked: list[Asked] = []
        self._classes: dict[int, Watched] = {}
        self._seen: set[str] = set()  # names of the modules that were looked into
        self._modules = 0
        self.has_c_types = False
        """Whether there are any whose instances have to be looked for."""
        self._instrument = Instrument()
        self._imports = ImportWatch(self._is_wanted, self._look_into)

    def __bool__(self) -> bool:
        """Whether any class is asked for."""
        return bool(self._asked)

    def stop(self) -> None:
        """Leave classes and imports as they were found."""
        self._imports.stop()
        self._instrument.undo()

    # -- what is asked for ---------------------------------------------------

    def ask(self, demands: Iterable[Demand], test: str | None = None) -> None:
        """Watch what the demands name: in one test, or in every one."""
        for demand in demands:
            known = next((one for one in self._asked if one.is_same(demand, test)), None)
            if known is None:
                known = Asked(demand, None if test is None else set())
                self._asked.append(known)
                if len(self._asked) == 1:
                    self._imports.start()
                self.search()
                for name in self._seen:
                    self._look_for(known, name, sys.modules.get(name))
            if known.tests is not None and test is not None:
                known.tests.add(test)

    def search(self) -> None:
        """Look into the modules that came by ways that tell nobody, as test files do."""
        if len(sys.modules) != self._modules:
            self._modules = len(sys.modules)
            names = set(sys.modules)
            for name in names - self._seen:
                for asked in self._asked:
                    self._look_for(asked, name, sys.modules[name])
            self._seen = names

    def unfound(self) -> dict[str, str]:
        """What named no class in this process -> why."""
        return {
            f"{asked.demand.text!r} ({asked.demand.source})": asked.reason or self._why_unfound(asked.demand)
            for asked in self._asked
            if not asked.found
        }

    def unwatchable(self) -> list[tuple[Demand, str]]:
        """Demands whose class is there and can't be watched, with the reason."""
        return [(asked.demand, asked.reason) for asked in self._asked if asked.reason]

    def found(self) -> list[str]:
        """What named a class in this process, in the words of `unfound`."""
        return [f"{asked.demand.text!r} ({asked.demand.source})" for asked in self._asked if asked.found]

    # -- the classes ---------------------------------------------------------

    def entry(self, cls: type) -> Watched | None:
        """What is known of a class that is watched."""
        entry = self._classes.get(_real.identity(cls))
        return entry if entry is not None and entry.ref() is cls else None

    def refs(self) -> list[weakref.ref[type]]:
        """The classes that are watched now."""
        return [entry.ref for entry in self._classes.values()]

    def c_base(self, cls: type) -> Watched | None:
        """The watched C type that a class is, or comes from without being watched itself."""
        bases = type.__getattribute__(cls, "__mro__")
        return next((entry for entry in self._classes.values() if entry.is_c and entry.ref() in bases), None)

    def watch_new_subclasses(self) -> None:
        """Subclasses may have come since."""
        if native.part is not None and not native.part.have_new_subclasses(self._classes):
            return
        for entry in tuple(self._classes.values()):
            cls = entry.ref()
            if cls is not None and len(type.__subclasses__(cls)) != entry.subclasses:
                self._watch_subclasses(entry)

    def adopt(self, cls: type) -> Watched | None:
        """A class that came after its base was found."""
        for base in type.__getattribute__(cls, "__mro__")[1:]:
            known = self.entry(base)
            if known is not None:
                for asked in known.asked:
                    self._watch_subclass(cls, asked)
                break
        return self.entry(cls)

    def _is_wanted(self, name: str) -> bool:
        return any(asked.demand.may_be_in(name) for asked in self._asked)

    def _look_into(self, module: ModuleType) -> None:
        for asked in self._asked:
            self._look_for(asked, module.__name__, module)

    def _look_for(self, asked: Asked, name: str, module: object) -> None:
        if not isinstance(module, ModuleType):
            return  # anything may stand in sys.modules
        for cls in classes_in(name, module, asked.demand):
            reason = self._why_unwatchable(cls, asked.demand)
            if reason:
                asked.reason = asked.reason or ("" if asked.demand.is_glob else reason)
                continue
            asked.found, asked.reason = True, ""
            self._watch(cls, asked)

    @staticmethod
    def _why_unwatchable(cls: type, demand: Demand) -> str:
        name = class_name(cls)
        missing = [method for method in demand.methods if not hasattr(cls, method)]
        # of what a glob stands for, each class has its own of the methods
        if len(missing) == len(demand.methods) > 0 or (missing and not demand.is_glob):
            return f"{name} has no method {missing[0]!r}"
        if Instrument.can_wrap(cls):
            if not is_weakly_referenceable(cls):
                return f"{name} objects can't be weakly referenced; add '__weakref__' to the class's __slots__"
            return ""
        if not cls.__flags__ & _HAVE_GC:
            return f"{name} is a C type that the collector does not know: its instances can't be found"
        if demand.methods and ("close" not in demand.methods or asker_for(cls) is None):
            return f"{name} is a C type: calls of {'|'.join(demand.methods)} can't be seen, and it does not tell"
        return ""

    def _watch(self, cls: type, asked: Asked) -> None:
        entry = self.entry(cls)
        if entry is None:
            entry = self._classes[_real.identity(cls)] = Watched(weakref.ref(cls), class_name(cls), [])
            entry.is_c = not Instrument.can_wrap(cls)
            if entry.is_c:
                entry.closed = asker_for(cls)
                self.has_c_types = True
                self._found_in_c()
        if asked not in entry.asked:
            entry.ask(asked)
        if not entry.is_c:
            self._wrap(cls, entry)
        self._watch_subclasses(entry)

    def _watch_subclasses(self, entry: Watched) -> None:
        cls = entry.ref()
        below: list[type] = type.__subclasses__(cls) if cls is not None else []
        entry.subclasses = len(below)
        for sub in below:
            for asked in entry.asked:
                known = self.entry(sub)
                if known is None or asked not in known.asked:
                    self._watch_subclass(sub, asked)

    def _watch_subclass(self, cls: type, asked: Asked) -> None:
        """A subclass answers to what its base is asked; only what it defines itself has to be wrapped."""
        if not self._why_unwatchable(cls, asked.demand):
            self._watch(cls, asked)

    def _wrap(self, cls: type, entry: Watched) -> None:
        space = type.__getattribute__(cls, "__dict__")
        inherits = any(self.entry(base) is not None for base in type.__getattribute__(cls, "__mro__")[1:])
        names = {"__init__", *(method for asked in entry.asked for method in asked.demand.methods)} - entry.wrapped
        for name in sorted(names):
            entry.wrapped.add(name)
            if not hasattr(cls, name):
                continue
            if inherits and name not in space and self._is_wrapped_above(cls, name):
                continue
            try:
                if name == "__init__":
                    self._instrument.wrap_init(cls, self._first_told(entry, partial(self._made, entry)))
                else:
                    self._instrument.wrap_method(cls, name, self._called)
            except (NotAMethod, TypeError) as error:
                for asked in entry.asked:
                    if name in asked.demand.methods:
                        asked.found, asked.reason = False, str(error)

    def _made(self, entry: Watched, obj: Any, frame: FrameType) -> None:
        cls = type(obj)
        found = entry if entry.ref() is cls else self.entry(cls) or self.adopt(cls)
        if found is not None:
            self._tell(found, obj, frame)

    def _is_wrapped_above(self, cls: type, name: str) -> bool:
        for base in type.__getattribute__(cls, "__mro__")[1:]:
            entry = self.entry(base)
            if entry is not None:
                return name in entry.wrapped
            if name in type.__getattribute__(base, "__dict__"):
                return False
        return False

    def _why_unfound(self, demand: Demand) -> str:
        modules = sorted((name for name in [*sys.modules] if demand.fixed.startswith(name + ".")), key=len)
        if demand.is_glob:
            return "no class of that name was imported"
        if not modules or modules[-1].count(".") < demand.pattern.count(".") - 1:
            expected = demand.pattern.rpartition(".")[0]
            return f"module {expected!r} was never imported"
        return f"module {modules[-1]!r} has no such class"
