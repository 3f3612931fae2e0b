"""Instances of the classes that ``leakguard_track`` names, noticed when they are made.

A class of Python code is instrumented in place, when its module has been
imported: that costs what the tests make of it. A class of C code can't be
changed; its instances are found among the young objects of a test.
"""

from __future__ import annotations

import sys
import weakref
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from types import FrameType, ModuleType
from typing import Any

from pytest_leakguard.core.demands import Demand
from pytest_leakguard.core.ledger import OUTSIDE
from pytest_leakguard.core.model import Key
from pytest_leakguard.origins import frames
from pytest_leakguard.origins.audit import Recorder
from pytest_leakguard.origins.holders import class_name
from pytest_leakguard.origins.imports import ImportWatch
from pytest_leakguard.origins.instrument import Instrument, NotAMethod
from pytest_leakguard.origins.record import Record
from pytest_leakguard.probes.classes import asker_for, classes_in
from pytest_leakguard.probes.objects import Asker, ObjectProbe, is_weakly_referenceable
from pytest_leakguard.probes.young import YoungLook

_OF_C = "a C type tells nobody that an instance is made: it was found among the new objects of the test"
_OF_PROJECT = "found among the new objects of the test; name its class in leakguard_track and its line is known"
_DEL_DEPTH = 6


@dataclass(slots=True)
class _Asked:
    """A demand, and the tests that it is for: None means every one."""

    demand: Demand
    tests: set[str] | None
    found: bool = False
    reason: str = ""

    def is_for(self, test: str) -> bool:
        return self.tests is None or test in self.tests


@dataclass(slots=True)
class _Class:
    """A class that is watched, with what is asked of its instances."""

    ref: weakref.ref[type]
    asked: list[_Asked]
    wrapped: set[str] = field(default_factory=set)
    closed: Asker | None = None
    is_c: bool = False


class Instances:
    """Finds the classes, notices their instances and hands them to the object probe."""

    def __init__(self, objects: ObjectProbe, recorder: Recorder) -> None:
        self._objects = objects
        self._recorder = recorder
        self._asked: list[_Asked] = []
        self._classes: dict[int, _Class] = {}
        self._seen: set[str] = set()  # names of the modules that were looked into
        self._modules = 0
        self._instrument = Instrument()
        self._imports = ImportWatch(self._is_wanted, self._look_into)
        self._own: set[str] | None = set()  # the tests whose own types are watched, None: every test
        self._is_of_project: Callable[[type], bool] = lambda cls: False
        self._is_before = False  # what is found now was there before the test
        self._before: set[int] = set()  # ids of what was young before the test and can't be weakly referenced
        self._has_scanned = False
        self.young = YoungLook(self._is_looked_for, self._found)

    # -- what is asked for ---------------------------------------------------

    def ask(self, demands: Iterable[Demand], test: str | None = None) -> None:
        """Watch what the demands name: in one test, or in every one."""
        for demand in demands:
            known = next((a for a in self._asked if a.demand == demand and (a.tests is None) == (test is None)), None)
            if known is None:
                known = _Asked(demand, None if test is None else set())
                self._asked.append(known)
                if len(self._asked) == 1:
                    self._begin_to_notice()
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

    def ask_for_own_types(self, is_of_project: Callable[[type], bool], test: str | None = None) -> None:
        """Watch all instances of the project's own classes: in one test, or in every one."""
        self._is_of_project = is_of_project
        if test is None:
            self._own = None
        elif self._own is not None:
            self._own.add(test)
        self._begin_to_notice()

    @property
    def is_asked(self) -> bool:
        """Whether anything is watched at all."""
        return bool(self._asked) or self._own is None or bool(self._own)

    @property
    def needs_young(self) -> bool:
        """Whether a look at the young objects is part of the test that runs."""
        return self._watches_own or any(entry.is_c for entry in self._classes.values())

    @property
    def _watches_own(self) -> bool:
        return self._own is None or self._recorder.ledger.test in self._own

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

    def begin_test(self) -> frozenset[Key]:
        """Get ready. Returns what was there before the test: it is nobody's.

        Once in a session that takes a look at the heap, later at what is young.
        """
        self.search()
        for entry in tuple(self._classes.values()):
            self._watch_subclasses(entry)
        self.young.on = False
        if self._has_scanned and not self.needs_young:
            return frozenset()
        before = self._objects.keys()
        self._before.clear()
        self._is_before = True
        try:
            self.young.on = self.needs_young
            self.young.look(everything=not self._has_scanned)
            now = self._objects.keys()
        finally:
            self._is_before = False
        self._has_scanned = True
        if self.young.on:
            self.young.start()
        return now - before

    def stop(self) -> None:
        """Leave classes, imports and the collector as they were found."""
        self.young.stop()
        self._imports.stop()
        self._instrument.undo()

    # -- classes -------------------------------------------------------------

    def _begin_to_notice(self) -> None:
        self._objects.moves_are_recorded = False
        self._objects.before_look = self.young.look

    def _is_wanted(self, name: str) -> bool:
        return any(asked.demand.may_be_in(name) for asked in self._asked)

    def _look_into(self, module: ModuleType) -> None:
        for asked in self._asked:
            self._look_for(asked, module.__name__, module)

    def _look_for(self, asked: _Asked, name: str, module: object) -> None:
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
        if missing:
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

    def _watch(self, cls: type, asked: _Asked) -> None:
        entry = self._class(cls)
        if entry is None:
            entry = self._classes[id(cls)] = _Class(weakref.ref(cls), [])
            entry.is_c = not Instrument.can_wrap(cls)
            if entry.is_c:
                entry.closed = asker_for(cls)
                if self._recorder.ledger.test:  # imported by a test that runs
                    self.young.start()
                    self.young.on = True
        if asked not in entry.asked:
            entry.asked.append(asked)
        if not entry.is_c:
            self._wrap(cls, entry, always=True)
        self._watch_subclasses(entry)

    def _watch_subclasses(self, entry: _Class) -> None:
        cls = entry.ref()
        below: list[type] = type.__subclasses__(cls) if cls is not None else []
        for sub in below:
            for asked in entry.asked:
                known = self._class(sub)
                if known is None or asked not in known.asked:
                    self._watch_subclass(sub, asked)

    def _watch_subclass(self, cls: type, asked: _Asked) -> None:
        """A subclass answers to what its base is asked; only what it defines itself has to be wrapped."""
        if not self._why_unwatchable(cls, asked.demand):
            self._watch(cls, asked)

    def _class(self, cls: type) -> _Class | None:
        entry = self._classes.get(id(cls))
        return entry if entry is not None and entry.ref() is cls else None

    def _wrap(self, cls: type, entry: _Class, *, always: bool) -> None:
        space = type.__getattribute__(cls, "__dict__")
        inherits = any(self._class(base) is not None for base in type.__getattribute__(cls, "__mro__")[1:])
        names = {"__init__", *(method for asked in entry.asked for method in asked.demand.methods)} - entry.wrapped
        for name in sorted(names):
            entry.wrapped.add(name)
            if inherits and name not in space and self._is_wrapped_above(cls, name):
                continue
            try:
                if name == "__init__":
                    self._instrument.wrap_init(cls, self._made)
                else:
                    self._instrument.wrap_method(cls, name, self._called)
            except (NotAMethod, TypeError) as error:
                for asked in entry.asked:
                    if name in asked.demand.methods:
                        asked.found, asked.reason = False, str(error)

    def _is_wrapped_above(self, cls: type, name: str) -> bool:
        for base in type.__getattribute__(cls, "__mro__")[1:]:
            entry = self._class(base)
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

    # -- instances -----------------------------------------------------------

    def _made(self, obj: Any, frame: FrameType) -> None:
        """An instance of a class of Python code was made by the code of `frame`."""
        if not self._recorder.active:
            return
        try:
            entry = self._class(type(obj)) or self._adopt(type(obj))
            if entry is not None:
                context = self._recorder.context()
                record = Record(f"{type(obj).__name__}()", None, (), context)
                if context is not OUTSIDE:
                    record.stack = frames.walk(_maker(obj, frame))
                record.how = "wrap"
                self._notice(obj, entry, record, context.test)
        except Exception as error:  # never out of a user's constructor
            self._tell_failure(error)

    def _adopt(self, cls: type) -> _Class | None:
        """A class that came after its base was found."""
        for base in type.__getattribute__(cls, "__mro__")[1:]:
            known = self._class(base)
            if known is not None:
                for asked in known.asked:
                    self._watch_subclass(cls, asked)
                break
        return self._class(cls)

    def _notice(self, obj: Any, entry: _Class, record: Record | None, test: str, reason: str = "") -> None:
        asked = [one.demand for one in entry.asked if one.is_for(test) or not test]
        if not asked:
            return
        must_go = any(not demand.methods for demand in asked)
        # what nobody owns need not be closed, but may have to make room for another
        duties = tuple(dict.fromkeys(demand.methods for demand in asked if demand.methods)) if test else ()
        if must_go or duties or entry.is_c:
            self._objects.add(
                obj, record, must_go=must_go, duties=duties, may_follow=must_go, closed=entry.closed, reason=reason
            )  # fmt: skip

    def _called(self, obj: Any, method: str, frame: FrameType) -> None:
        if self._recorder.active:
            try:
                self._objects.called(obj, method, by_finalizer=_is_in_finalizer(obj, frame))
            except Exception as error:  # never out of a user's close()
                self._tell_failure(error)

    @staticmethod
    def _tell_failure(error: Exception) -> None:
        from pytest_leakguard.origins import audit

        audit._note_failure(error)

    # -- instances that nothing tells of -------------------------------------

    def _is_looked_for(self, cls: type) -> bool:
        if self._is_before and self._class(cls) is not None:
            return True  # made before its class was found, by the class's own module
        if any(entry.is_c and entry.ref() in cls.__mro__ for entry in self._classes.values()):
            known = self._class(cls)
            return known is None or known.is_c
        return self._watches_own and is_weakly_referenceable(cls) and self._is_of_project(cls)

    def _found(self, obj: Any) -> None:
        cls = type(obj)
        if id(obj) in self._before:
            return
        known = self._objects.entry(obj)
        if known is not None:
            if known.ref is None:
                self._tell_apart(obj)
            return
        if self._is_before and not is_weakly_referenceable(cls):
            self._before.add(id(obj))
            return
        test = "" if self._is_before else self._recorder.ledger.test
        base = self._class(cls) or next((e for e in self._classes.values() if e.is_c and e.ref() in cls.__mro__), None)
        if base is not None:
            self._notice(obj, base, self._record_of(obj), test, _OF_C)
        else:
            self._objects.add(obj, None, must_go=True, may_follow=True, reason=_OF_PROJECT)

    def _tell_apart(self, obj: Any) -> None:
        """Without a weak reference an id is all there is, and ids are used again: the acquisition tells a new one."""
        record = self._record_of(obj)
        if record is not None and self._objects.is_another(obj, record):
            self._found(obj)

    def _record_of(self, obj: Any) -> Record | None:
        """The acquisition that carried this very object, if one did."""
        identity = id(obj)
        return next((record for record in reversed(self._recorder.records) if record.object_id == identity), None)


_HAVE_GC = 1 << 14  # Py_TPFLAGS_HAVE_GC


def _maker(obj: Any, frame: FrameType) -> FrameType:
    """The frame that asked for the object: constructors of subclasses and `__new__` are passed over."""
    found: FrameType | None = frame
    while found is not None and found.f_code.co_name in ("__init__", "__new__", "__call__") and _is_of(found, obj):
        found = found.f_back
    return found or frame


def _is_of(frame: FrameType, obj: Any) -> bool:
    code = frame.f_code
    if not code.co_argcount and not code.co_varnames:
        return False
    first = frame.f_locals.get(code.co_varnames[0])
    return first is obj or first is type(obj)


def _is_in_finalizer(obj: Any, frame: FrameType | None) -> bool:
    """Whether a call comes out of the object's own `__del__`."""
    for _ in range(_DEL_DEPTH):
        if frame is None:
            return False
        if frame.f_code.co_name == "__del__" and _is_of(frame, obj):
            return True
        frame = frame.f_back
    return False
