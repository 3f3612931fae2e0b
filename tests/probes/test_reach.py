"""What a fixture can release is what it reaches: values, locals, closures, globals that its code names."""

from __future__ import annotations

import functools
import gc
import pathlib
import sys
import threading
import types
import weakref
from collections import deque
from dataclasses import dataclass
from typing import Any

import pytest

from pytest_leakguard.origins.reach import reach


class Target:
    """What is looked for: it can be weakly referenced, and nothing else is like it."""


class Slotted:
    __slots__ = ("kept",)


@dataclass
class Pool:
    kept: Any


@pytest.fixture
def target() -> Target:
    return Target()


def reaches(root: Any, target: object) -> bool:
    found = reach([root], [target])
    assert found.complete
    return id(target) in found.objects


# -- from a value


def slotted(target: object) -> Slotted:
    slots = Slotted()
    slots.kept = target
    return slots


def cyclic(target: object) -> list[Any]:
    ring: list[Any] = []
    ring.append([ring, {"next": ring, "target": target}])
    return ring


HOLDERS = {
    "itself": lambda target: target,
    "list": lambda target: [1, [target]],
    "tuple and set": lambda target: (frozenset({target}),),
    "dict value": lambda target: {"a": {"b": target}},
    "dict key": lambda target: {target: 1},
    "deque": lambda target: deque([target]),
    "instance": Pool,
    "slots": slotted,
    "instance in an instance": lambda target: Pool(Pool([target])),
    "bound method": lambda target: Pool(target).__eq__,
    "partial": lambda target: functools.partial(print, target, sep=""),
    "partial keyword": lambda target: functools.partial(print, file=target),
    "iterator": lambda target: iter([target]),
    "weak reference": weakref.ref,
    "weak value": lambda target: weakref.WeakValueDictionary({1: target}),
    "weak key": lambda target: weakref.WeakKeyDictionary({target: 1}),
    "weak set": lambda target: weakref.WeakSet([target]),
    "cycle": cyclic,
    "simple namespace": lambda target: types.SimpleNamespace(deep=types.SimpleNamespace(kept=target)),
    "exception": lambda target: ValueError(target),
    "finalizer's argument": lambda target: weakref.finalize(Target, id, target).peek(),
}


@pytest.mark.parametrize("holder", HOLDERS.values(), ids=HOLDERS.keys())
def test_what_a_value_holds_is_reached(target, holder):
    """Containers, attributes, slots, methods, partials and weak references lead to what they hold."""
    assert reaches(holder(target), target)


@pytest.mark.parametrize(
    "root", [None, 1, "text", [], object(), Pool([1, 2]), weakref.ref(Target), print, len, sys, threading.Event()]
)
def test_what_is_unrelated_is_not_reached(target, root):
    """A value that has nothing to do with the target does not lead to it."""
    assert not reaches(root, target)


def test_a_dead_weak_reference_leads_nowhere(target):
    """What is gone can't be reached any more, and is no error."""
    reference = weakref.ref(Target())
    gc.collect()
    assert not reaches([reference], target)


# -- from code

HELD_BY_NAME: list[object] = []
HELD_BY_ANOTHER_NAME: list[object] = []


def release_by_name() -> None:
    HELD_BY_NAME.clear()


def release_through_a_helper() -> None:
    if HELD_BY_ANOTHER_NAME is not None:
        release_by_name()


def release_in_a_nested_function() -> Any:
    def inner() -> None:
        HELD_BY_NAME.clear()

    return inner


class Releaser:
    def close(self) -> None:
        HELD_BY_NAME.clear()


def releases_by_class() -> None:
    Releaser().close()


def names_nothing() -> None:
    local: list[object] = []
    local.clear()


@pytest.fixture
def named(target):
    """The target behind a module global."""
    HELD_BY_NAME.append(target)
    yield target
    HELD_BY_NAME.clear()


@pytest.mark.parametrize(
    "function", [release_by_name, release_through_a_helper, release_in_a_nested_function, releases_by_class]
)
def test_a_global_that_the_code_names_is_reached(named, function):
    """By the code itself, by a helper it calls, by a function inside it, by the methods of a class it uses."""
    assert reaches(function, named)


def test_a_global_that_nothing_names_is_not(named):
    """All functions of a module share its globals; only what is named counts."""
    assert not reaches(names_nothing, named)


def test_a_module_is_no_way_to_everything_in_it(named):
    """A module that is merely held does not lead to its globals: else every module would hold everything."""
    assert not reaches([sys.modules[__name__]], named)


def test_an_attribute_of_a_module_is_reached_when_code_names_both(target, monkeypatch):
    """`registry.pool.clear()` leads to the pool of the module registry, and not to its other attributes."""
    registry = types.ModuleType("leakguard_test_registry")
    registry.__file__ = __file__
    registry.pool = [target]  # type: ignore[attr-defined]
    registry.other = [Target()]  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, registry.__name__, registry)
    namespace: dict[str, Any] = {"registry": registry}
    source = """
def release():
    registry.pool.clear()

def late():
    import leakguard_test_registry
    leakguard_test_registry.pool.clear()
"""
    exec(compile(source, __file__, "exec"), namespace)
    for name in ("release", "late"):
        assert reaches(namespace[name], target)
        assert not reaches(namespace[name], registry.other[0])


def test_a_closure_is_reached(target):
    """What a function closes over is its own, filled or not."""
    kept = [target]

    def release() -> None:
        kept.clear()
        unfilled.clear()

    assert reaches(release, target)
    unfilled: list[object] = []


def test_defaults_and_attributes_of_functions_are_reached(target):
    """Default values, keyword defaults and attributes belong to a function."""

    def by_default(kept=[target]):  # noqa: B006
        pass

    def by_keyword(*, kept=target):
        pass

    def by_attribute():
        pass

    by_attribute.kept = target  # type: ignore[attr-defined]
    for function in (by_default, by_keyword, by_attribute):
        assert reaches(function, target)
    assert reaches(functools.lru_cache(by_default), target)


def test_a_generators_locals_are_reached_while_it_lives(target):
    """A fixture that waits at its yield holds its local variables; one that is over holds nothing."""

    def fixture():
        kept = [target]
        yield 1
        kept.clear()

    generator = fixture()
    assert next(generator) == 1
    assert reaches(generator, target)
    assert list(generator) == []
    del fixture
    assert not reaches(generator, target)


def test_a_generators_globals_are_reached_when_its_code_names_them(named):
    """The teardown after the yield may empty a module's pool."""

    def fixture():
        yield 1
        HELD_BY_NAME.clear()

    def other():
        yield 1

    for function, expected in ((fixture, True), (other, False)):
        generator = function()
        next(generator)
        assert reaches(generator, named) is expected
        generator.close()


def test_async_generators_and_coroutines_hold_their_locals(target):
    """Fixtures of asyncio plugins wait in these."""

    async def agen():
        kept = [target]
        yield 1
        kept.clear()

    async def coroutine():
        kept = [target]
        await forever()
        kept.clear()

    @types.coroutine
    def forever():
        yield

    waiting = agen()
    step = waiting.asend(None)
    with pytest.raises(StopIteration):
        step.send(None)
    assert reaches(waiting, target)
    ending = waiting.aclose()
    with pytest.raises(StopIteration):
        ending.send(None)
    task = coroutine()
    task.send(None)
    assert reaches(task, target)
    task.close()


def test_a_running_threads_locals_are_reached(target):
    """A server thread that a fixture holds may hold connections in its frames."""
    up, stop = threading.Event(), threading.Event()

    def serve(kept: list[object]) -> None:
        connection = kept.pop()
        up.set()
        stop.wait()
        del connection

    thread = threading.Thread(target=serve, args=([target],), daemon=True)
    assert not reaches(threading.Thread(target=names_nothing), target)
    thread.start()
    up.wait()
    try:
        assert reaches([thread], target)
    finally:
        stop.set()
        thread.join()
    assert not reaches([thread], target)


def test_class_attributes_of_the_project_are_reached(target):
    """A registry on a class is held by what holds the class; of classes of others it is not followed."""
    registry = type("Registry", (), {"kept": [target], "__module__": __name__})
    assert reaches(registry, target)
    assert reaches([registry()], target)


def test_the_search_goes_around_pytest(target, request):
    """From pytest's own objects everything can be reached: a request or a config leads nowhere."""
    request.node.leakguard_kept = target
    request.config.leakguard_kept = target
    try:
        for root in (request, request.node, request.config, [request.session], request.getfixturevalue):
            assert not reaches(root, target)
    finally:
        del request.config.leakguard_kept
        del request.node.leakguard_kept


# -- texts


@pytest.mark.parametrize(
    "root",
    [
        ["/tmp/a"],
        {"path": "/tmp/a"},
        Pool("/tmp/a"),
        pathlib.PurePosixPath("/tmp/a"),
        [pathlib.PurePosixPath("/tmp") / "a"],
        functools.partial(print, "/tmp/a"),
    ],
)
def test_a_path_is_reached_as_a_string_or_inside_a_path_object(root):
    """A file has no object; the fixture that can delete it holds its path."""
    [str(path) for path in (root if isinstance(root, list) else [root])]  # a path object makes its string when asked
    assert reach([root], [], ["/tmp/a"]).texts == {"/tmp/a"}


@pytest.mark.parametrize("root", [["/tmp/ab"], ["tmp/a"], ["/tmp"], [b"/tmp/a"], []])
def test_another_path_is_not(root):
    """Only the whole path counts."""
    assert reach([root], [], ["/tmp/a"]).texts == frozenset()


# -- the search itself


def test_a_number_is_found_where_it_is_held():
    """A fixture that keeps a pid can end that process; another number is another's."""
    assert reach([Pool({"pid": 471123})], [], numbers=[471123, 99]).numbers == {471123}
    assert reach([Pool(True), [1.0, "471123"]], [], numbers=[471123, 1]).numbers == frozenset()


def test_all_targets_and_texts_are_told_apart():
    """One search answers for many."""
    one, two, three = Target(), Target(), Target()
    found = reach([[one, ["x"]], {"k": three}], [one, two, three], ["x", "y"])
    assert found.objects == {id(one), id(three)}
    assert found.texts == {"x"}
    assert found.complete


def test_a_search_that_gives_up_says_so(target):
    """More objects than allowed: what was found so far, and not complete."""
    chain: list[Any] = [target]
    for _ in range(100):
        chain = [chain]
    found = reach([chain], [target], at_most=50)
    assert (found.objects, found.complete) == (frozenset(), False)
    assert reach([chain], [target], at_most=200).objects == {id(target)}


def test_near_things_are_found_before_far_ones(target):
    """The search is breadth first: a large heap beside the target does not hide it."""
    deep: list[Any] = []
    for _ in range(5000):
        deep = [deep]
    found = reach([[deep, [target]]], [target], at_most=1000)
    assert found.objects == {id(target)}


def test_the_search_keeps_nothing_alive():
    """What it met may die afterwards."""
    holder = Pool(Target())
    alive = weakref.ref(holder.kept)
    reach([holder], [object()])
    del holder
    gc.collect()
    assert alive() is None


def test_no_code_of_the_user_is_run(target):
    """Properties, comparisons, lengths and hashes of what is met are never asked for."""

    class Rude:
        def __init__(self) -> None:
            self.kept = target

        def _raise(self, *_: object) -> Any:
            raise AssertionError("code of the user ran")

        __eq__ = __len__ = __iter__ = __bool__ = __repr__ = __getattr__ = _raise  # type: ignore[assignment]
        __hash__ = _raise  # type: ignore[assignment]
        value = property(_raise)

    assert reaches([Rude()], target)


def test_the_search_ends_with_what_it_looks_for():
    """What lies further away need not be looked at: not even what would make the answer unsure."""
    resisting = threading.Thread.__new__(threading.Thread)
    target = Target()
    found = reach([target, [[resisting]], ["x"]], [target], ["x"])
    assert (found.objects, found.texts, found.complete) == (frozenset({id(target)}), frozenset({"x"}), True)


def test_an_object_that_resists_makes_the_answer_unsure():
    """The search goes on without it, and says that it did not see everything."""
    resisting = threading.Thread.__new__(threading.Thread)  # never initialised: it has no ident to ask for
    target, missing = Target(), Target()
    found = reach([resisting, [target]], [target, missing])
    assert (found.objects, found.complete) == (frozenset({id(target)}), False)
