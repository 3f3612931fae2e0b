"""Instances of the classes that ``leakguard_track`` names, noticed when they are made.

A class of Python code is instrumented in place, when its module has been
imported: that costs what the tests make of it. A class of C code can't be
changed; its instances are found among the young objects of a test.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import partial
from types import FrameType
from typing import Any

from pytest_leakguard import _real, native
from pytest_leakguard.core.demands import Demand
from pytest_leakguard.core.ledger import OUTSIDE
from pytest_leakguard.core.model import Key
from pytest_leakguard.origins import frames, hook
from pytest_leakguard.origins.audit import Recorder
from pytest_leakguard.origins.instrument import Called, Made
from pytest_leakguard.origins.record import Record
from pytest_leakguard.probes.nursery import FULL
from pytest_leakguard.probes.objects import ObjectProbe, is_weakly_referenceable
from pytest_leakguard.probes.references import may_have_instances
from pytest_leakguard.probes.watched import Watched, WatchedClasses
from pytest_leakguard.probes.young import YoungLook

_OF_C = "a C type tells nobody that an instance is made: it was found among the new objects of the test"
_OF_PROJECT = "found among the new objects of the test; name its class in leakguard_track and its line is known"
_DEL_DEPTH = 6
_CONSTRUCTORS = ("__init__", "__new__", "__call__")
_NOTHING: frozenset[Key] = frozenset()


class Instances:
    """Finds the classes, notices their instances and hands them to the object probe."""

    def __init__(self, objects: ObjectProbe, recorder: Recorder) -> None:
        self._objects = objects
        self._recorder = recorder
        self.classes = WatchedClasses(self._made, self._quick_called(), self._look_from_now, self._quick_made)
        self._own: set[str] | None = set()  # the tests whose own types are watched, None: every test
        self._is_of_project: Callable[[type], bool] = lambda cls: False
        self._is_before = False  # what is found now was there before the test
        self._before: set[int] = set()  # ids of what was young before the test and can't be weakly referenced
        self._has_searched = False  # for instances of the classes of Python code
        self._has_scanned = False  # the whole heap, for all others
        self.young = YoungLook(self._is_looked_for, self._found)

    # -- what is asked for ---------------------------------------------------

    def ask(self, demands: Iterable[Demand], test: str | None = None) -> None:
        """Watch what the demands name: in one test, or in every one."""
        self.classes.ask(demands, test)
        if self.classes:
            self._begin_to_notice()

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
        return bool(self.classes) or self._own is None or bool(self._own)

    @property
    def _watches_own(self) -> bool:
        return self._own is None or self._recorder.ledger.test in self._own

    def begin_test(self) -> frozenset[Key]:
        """Get ready. Returns what was there before the test: it is nobody's.

        Once in a session that takes a look at the heap, later at what is young. There is none where all watched
        classes are of Python code and only modules, functions and classes refer to them: they have no instances.
        """
        self.classes.search()
        self.classes.watch_new_subclasses()
        needs_young = self.classes.has_c_types or self._own is None or self._recorder.ledger.test in self._own
        if self.young.on:
            self._look_at_young(False)
        if self._has_searched and not needs_young:
            return _NOTHING
        before = self._objects.keys()
        self._before.clear()
        self._is_before = True
        try:
            if needs_young:
                self._look_at_young(True)
                self.young.look(everything=not self._has_scanned)
                self._has_scanned = True
            else:
                self._search()
            now = self._objects.keys()
        finally:
            self._is_before = False
        self._has_searched = True
        if needs_young:
            self.young.start()
        return now - before

    def stop(self) -> None:
        """Leave classes, imports and the collector as they were found."""
        self.young.stop()
        self.classes.stop()

    def _search(self) -> None:
        classes = may_have_instances(self.classes.refs())
        for obj in _real.gc_get_referrers(*classes) if classes else ():
            if self.classes.entry(type(obj)) is not None:
                self._found(obj)

    def _begin_to_notice(self) -> None:
        import objgraph  # noqa: F401  the object probe will ask it, when there may be no descriptor left to load it

        self._objects.moves_are_recorded = False

    def _look_from_now(self) -> None:
        if self._recorder.ledger.test:  # a test that runs has imported a C type that is watched
            self.young.start()
            self._look_at_young(True)

    def _look_at_young(self, on: bool) -> None:
        self.young.on = on
        self._objects.before_look = self.young.look if on else None

    # -- instances -----------------------------------------------------------

    def _quick_made(self, entry: Watched, slowly: Made) -> Made:
        """What is told of each instance first."""
        if native.part is None:
            return slowly
        return partial(native.part.made, self._recorder, self._objects.nursery, FULL, entry, slowly)

    def _quick_called(self) -> Called:
        if native.part is None:
            return self._called
        return partial(native.part.called, self._recorder, self._objects.nursery, self._called)

    def _made(self, entry: Watched, obj: Any, frame: FrameType) -> None:
        """An instance of a class of Python code was made by the code of `frame`."""
        if not self._recorder.active:
            return
        try:
            context = self._recorder.context()
            plan = entry.plan(context.test)
            if plan is not None:
                stack = _stack_of_maker(obj, frame) if context is not OUTSIDE else ()
                self._objects.born(obj, plan, context, stack)
        except Exception as error:  # never out of a user's constructor
            self._tell_failure(error)

    def _notice(self, obj: Any, entry: Watched, record: Record | None, test: str, reason: str) -> None:
        plan = entry.plan(test)
        if plan is not None:
            self._objects.add(
                obj, record, must_go=plan.must_go, duties=plan.duties, may_follow=plan.must_go, closed=entry.closed,
                reason=reason,
            )  # fmt: skip

    def _called(self, obj: Any, method: str) -> None:
        if self._recorder.active:
            try:
                by_finalizer = self._has_finalizer(type(obj)) and _is_in_finalizer(obj, _real.getframe(2))
                self._objects.called(obj, method, by_finalizer=by_finalizer)
            except Exception as error:  # never out of a user's close()
                self._tell_failure(error)

    def _has_finalizer(self, cls: type) -> bool:
        """Whether a class has a `__del__`; asked of the class once, for to ask in vain is dear."""
        entry = self.classes.entry(cls)
        if entry is None:
            return hasattr(cls, "__del__")
        if entry.has_finalizer is None:
            entry.has_finalizer = hasattr(cls, "__del__")
        return entry.has_finalizer

    @staticmethod
    def _tell_failure(error: Exception) -> None:
        hook.note_failure(error)

    # -- instances that nothing tells of -------------------------------------

    def _is_looked_for(self, cls: type) -> bool:
        if self._is_before and self.classes.entry(cls) is not None:
            return True  # made before its class was found, by the class's own module
        if self.classes.c_base(cls) is not None:
            known = self.classes.entry(cls)
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
        base = self.classes.entry(cls) or self.classes.c_base(cls)
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
        return next(
            (record for record in reversed(tuple(self._recorder.records)) if record.object_id == identity), None
        )


def _stack_of_maker(obj: Any, frame: FrameType) -> frames.Stack:
    """The stack from the frame that asked for the object: constructors of subclasses and `__new__` are passed over."""
    stack = frames.walk(frame)
    found: FrameType | None = frame
    passed = 0
    for code, _ in stack:
        if found is None or code.co_name not in _CONSTRUCTORS or not _is_of(found, obj):
            break
        found = found.f_back
        passed += 1
    return stack[passed:] or stack


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
