"""Who holds an object: each kind of reference and each kind of root, by real objects, told in words."""

from __future__ import annotations

import collections
import contextvars
import functools
import gc
import itertools
import signal
import sys
import threading
import traceback
import types
import weakref
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from pytest_leakguard.core.holding import Edge, Path
from pytest_leakguard.origins.holding import find
from pytest_leakguard.origins.roots import Roots, local_items
from pytest_leakguard.report.holding import chain

ROOT = __file__.rpartition("/")[0]
K: dict[Any, Any] = {}
ME = f"module {__name__}, global `K`"
CURRENT: contextvars.ContextVar[Any] = contextvars.ContextVar("current_connection")
LOCAL = threading.local()


class Connection:
    """What is leaked."""

    def send(self) -> None:
        """Something to bind."""


class Pool:
    """Something that holds others."""

    shared: list[Any] = []

    def __init__(self) -> None:
        self._idle: list[Any] = []


class Slotted:
    """Holds by a slot."""

    __slots__ = ("it",)


class Mapping(dict[Any, Any]):
    """A dict with an attribute."""


def told(weak: weakref.ref[Any], **more: Any) -> tuple[str, ...] | str:
    """The chain in words, or why there is none; no frame has the object but those that should."""
    gc.collect()
    ident = getattr(weak(), "ident", None)
    roots_of = {name: more.pop(name) for name in ("test", "values") if name in more}
    with Roots(root=ROOT, without=ident, **roots_of) as roots:
        target = weak()
        assert target is not None
        found = find(target, roots, root=ROOT, **more)
        del target
    return chain(found) if isinstance(found, Path) else found


@pytest.fixture(autouse=True)
def empty() -> Iterator[None]:
    """Nothing held by these tests is left."""
    yield
    forget()


def forget() -> None:
    K.clear()
    Pool.shared.clear()
    LOCAL.__dict__.clear()
    CURRENT.set(None)
    cached.cache_clear()
    cached_for_ever.cache_clear()


@functools.lru_cache(maxsize=8)
def cached(key: int) -> Connection:
    return Connection()


@functools.cache
def cached_for_ever(key: int) -> Connection:
    return Connection()


@types.coroutine
def pause() -> Iterator[None]:
    yield


# -- each kind of reference: name -> (what makes it, the chain that is told)

Make = Callable[[Connection], object]


def in_dict(it: Connection) -> None:
    K["header"] = it


def in_attribute(it: Connection) -> None:
    pool = K["p"] = Pool()
    pool._idle = it


def in_list_of_attribute(it: Connection) -> None:
    pool = K["p"] = Pool()
    pool._idle += [None, it]


def in_slot(it: Connection) -> None:
    slotted = K[1, "a"] = Slotted()
    slotted.it = it


def in_attribute_of_dict(it: Connection) -> None:
    mapping = K["m"] = Mapping(a=1)
    mapping.it = it


def in_closure(it: Connection) -> None:
    def load() -> object:
        return it

    K["f"] = load


def in_default(it: Connection) -> None:
    def load(a: int, b: int = 3, seen: object = it) -> None: ...

    K["f"] = load


def in_keyword_default(it: Connection) -> None:
    def load(a: int, *, seen: object = it) -> None: ...

    K["f"] = load


def in_function_attribute(it: Connection) -> None:
    def load() -> None: ...

    load.it = it
    K["f"] = load


def in_generator(it: Connection) -> None:
    def rows(conn: Connection) -> Iterator[int]:
        yield 1

    K["g"] = rows(it)
    next(K["g"])


def in_cell_of_generator(it: Connection) -> None:
    def rows(conn: Connection) -> Iterator[Any]:
        yield lambda: conn

    K["g"] = rows(it)
    next(K["g"])


def in_loop_of_generator(it: Connection) -> None:
    def rows(conns: list[Connection]) -> Iterator[int]:
        for _ in itertools.repeat(conns.pop()):
            del _
            yield 1

    K["g"] = rows([it])
    next(K["g"])


def in_coroutine(it: Connection) -> None:
    async def serve(conn: Connection) -> None:
        await pause()

    K["c"] = serve(it)
    K["c"].send(None)


def in_awaited_coroutine(it: Connection) -> None:
    async def inner() -> None:
        conn = it
        await pause()
        del conn

    async def outer() -> None:
        await inner()

    K["c"] = outer()
    K["c"].send(None)


def in_async_generator(it: Connection) -> None:
    async def rows(conn: Connection) -> Any:
        await pause()
        yield conn

    K["a"] = rows(it)
    K["n"] = K["a"].asend(None)
    K["n"].send(None)
    del K["n"]


def in_traceback(it: Connection) -> None:
    def load(conn: Connection) -> None:
        raise ValueError

    try:
        load(it)
    except ValueError as error:
        K["e"] = error.with_traceback(error.__traceback__.tb_next)


def in_arguments_of_an_error(it: Connection) -> None:
    K["e"] = ValueError(it)


def as_method(it: Connection) -> None:
    K["m"] = [it.send]


def in_partial(it: Connection) -> None:
    K["p"] = functools.partial(print, 1, it)


def in_keywords_of_partial(it: Connection) -> None:
    K["p"] = functools.partial(Pool, conn=it)


def in_context(it: Connection) -> None:
    CURRENT.set(it)


def in_thread_local(it: Connection) -> None:
    LOCAL.conn = it


def in_callback_of_weak_reference(it: Connection) -> None:
    K["o"] = Pool()
    K["w"] = weakref.ref(K["o"], lambda _, it=it: None)


def in_set(it: Connection) -> None:
    K["s"] = {it}


def as_key(it: Connection) -> None:
    K[it] = 1


def in_deque(it: Connection) -> None:
    K["q"] = collections.deque([0, it])


def in_weak_key_dictionary(it: Connection) -> None:
    K["o"] = Pool()
    K["w"] = weakref.WeakKeyDictionary({K["o"]: it})


def in_something_of_c(it: Connection) -> None:
    K["c"] = itertools.repeat(it)


def in_class(it: Connection) -> None:
    Pool.shared.append(it)


def under_long_and_strange_keys(it: Connection) -> None:
    K["x" * 99] = {Pool: {Slotted(): {(1, None, "a"): {("a", Pool()): it}}}}


def in_context_of_another(it: Connection) -> None:
    K["c"] = contextvars.copy_context()
    K["c"].run(CURRENT.set, it)


def inner(name: str, kind: str) -> str:
    return (f"in_{name}.<locals>." if sys.version_info >= (3, 11) else "") + kind


EDGES: dict[Make, list[str]] = {
    in_dict: [ME, "dict['header']"],
    in_attribute: [ME, "dict['p']", "Pool._idle"],
    in_list_of_attribute: [ME, "dict['p']", "Pool._idle", "list[1]"],
    in_slot: [ME, "dict[(1, 'a')]", "Slotted.it"],
    in_attribute_of_dict: [ME, "dict['m']", "Mapping.it"],
    in_closure: [ME, "dict['f']", "variable 'it' in function in_closure.<locals>.load"],
    in_default: [ME, "dict['f']", "default of argument 'seen' of function in_default.<locals>.load"],
    in_keyword_default: [ME, "dict['f']", "default of argument 'seen' of function in_keyword_default.<locals>.load"],
    in_function_attribute: [ME, "dict['f']", "function in_function_attribute.<locals>.load.it"],
    in_generator: [ME, "dict['g']", f"local 'conn' in generator {inner('generator', 'rows')} (LINE)"],
    in_cell_of_generator: [ME, "dict['g']", f"local 'conn' in generator {inner('cell_of_generator', 'rows')} (LINE)"],
    in_loop_of_generator: [
        ME, "dict['g']", f"in use by generator {inner('loop_of_generator', 'rows')} (LINE)", "repeat",
    ],
    in_coroutine: [ME, "dict['c']", f"local 'conn' in coroutine {inner('coroutine', 'serve')} (LINE)"],
    in_awaited_coroutine: [
        ME, "dict['c']", f"coroutine {inner('awaited_coroutine', 'outer')} (LINE), which waits for",
        f"local 'conn' in coroutine {inner('awaited_coroutine', 'inner')} (LINE)",
    ],
    in_async_generator: [
        ME, "dict['a']", f"local 'conn' in async generator {inner('async_generator', 'rows')} (LINE)",
    ],
    in_traceback: [ME, "dict['e']", "traceback of ValueError", f"local 'conn' in {inner('traceback', 'load')} (LINE)"],
    in_arguments_of_an_error: [ME, "dict['e']", "ValueError.args", "tuple[0]"],
    as_method: [ME, "dict['m']", "list[0]", "bound method Connection.send"],
    in_partial: [ME, "dict['p']", "argument 1 of partial(print)"],
    in_keywords_of_partial: [ME, "dict['p']", f"argument 'conn' of partial({__name__}.Pool)"],
    in_context: ["context variable 'current_connection'"],
    in_context_of_another: ["context variable 'current_connection'"],
    in_thread_local: [f"module {__name__}, global `LOCAL`", "thread-local attribute `conn` of threading.local"],
    in_callback_of_weak_reference: [
        ME, "dict['w']", "callback of a weak reference",
        "default of argument 'it' of function in_callback_of_weak_reference.<locals>.<lambda>",
    ],
    in_set: [ME, "dict['s']", "element of a set"],
    as_key: [ME, "key of a dict"],
    in_deque: [ME, "dict['q']", "deque[1]"],
    in_weak_key_dictionary: [ME, "dict['w']", "WeakKeyDictionary.data", "dict[<ReferenceType>]"],
    in_something_of_c: [ME, "dict['c']", "repeat"],
    in_class: [f"class {__name__}.Pool, attribute `shared`", "list[0]"],
    under_long_and_strange_keys: [
        ME, f"dict['{'x' * 35}...']", f"dict[{__name__}.Pool]", "dict[<Slotted>]", "dict[(1, None, 'a')]",
        "dict[<tuple>]",
    ],
}  # fmt: skip


def without_lines(words: tuple[str, ...] | str) -> list[str]:
    """The chain with ``(test_holding_search.py:12)`` as ``(LINE)``."""
    assert not isinstance(words, str), words
    return [word.replace(word[word.find("(test_holding_search.py:") :].partition(")")[0], "(LINE")
            if "(test_holding_search.py:" in word else word for word in words]  # fmt: skip


def leak(make: Make) -> weakref.ref[Connection]:
    it = Connection()
    make(it)
    return weakref.ref(it)


@pytest.mark.parametrize("make", EDGES, ids=lambda make: make.__name__)
def test_each_kind_of_reference_has_its_words(make):
    """From the root to the object, one phrase for each reference, and the type at the end."""
    assert without_lines(told(leak(make))) == [*EDGES[make], "Connection"]


@pytest.mark.parametrize("make", set(EDGES) - {in_traceback}, ids=lambda make: make.__name__)
def test_nothing_is_kept_alive(make, monkeypatch):
    """Let go by the program the object dies at once, though the collector is switched off."""
    weak = leak(make)
    told(weak)
    gc.disable()
    try:
        forget()
        assert weak() is None
    finally:
        gc.enable()


def test_frames_that_are_cleared_keep_nothing():
    """As assertRaises does with those of an error; also while a debugger or a coverage tool has its trace function."""

    def load() -> None:
        conn = Connection()
        K["weak"] = weakref.ref(conn)
        raise ValueError

    try:
        load()
    except ValueError as error:
        K["e"] = error
    threading.settrace(lambda *_: None)
    try:
        assert told(K["weak"])[1] == "dict['e']"
    finally:
        threading.settrace(None)  # type: ignore[arg-type]
    traceback.clear_frames(K["e"].__traceback__)
    assert K["weak"]() is None


def test_the_search_works_while_the_collector_is_off():
    """A program that switches collection off is told the same."""
    weak = leak(in_dict)
    gc.disable()
    try:
        with Roots(root=ROOT) as roots:
            target = weak()
            found = find(target, roots, root=ROOT)
            del target
    finally:
        gc.enable()
    assert isinstance(found, Path)
    assert chain(found) == (ME, "dict['header']", "Connection")


def test_a_result_of_a_cached_function_is_told_as_that():
    """Both kinds of lru_cache, with a limit and without."""
    weak = weakref.ref(cached(1))
    assert told(weak) == (f"module {__name__}, global `cached`", "cache of function cached", "Connection")
    weak = weakref.ref(cached_for_ever(1))
    name = "cached_for_ever"
    assert told(weak) == (f"module {__name__}, global `{name}`", f"cache of function {name}", "Connection")


def test_a_file_is_told_without_its_layers(tmp_path):
    """The descriptor belongs to the innermost layer; the user knows the outermost."""
    K["file"] = open(tmp_path / "a", "w")
    try:
        assert told(weakref.ref(K["file"].buffer.raw)) == (ME, "dict['file']", "TextIOWrapper")
    finally:
        K["file"].close()


# -- roots


def working(ready: threading.Event, stop: threading.Event, box: list[Any]) -> None:
    conn = box.pop()
    ready.set()
    stop.wait()
    conn = None
    ready.set()
    K["end"].wait()
    del conn


@pytest.fixture
def worker() -> Iterator[tuple[weakref.ref[Connection], Callable[[], None]]]:
    """A thread with the object in a local variable, and what makes it forget that."""
    ready, stop = threading.Event(), threading.Event()
    end = K["end"] = threading.Event()
    it = Connection()
    weak = weakref.ref(it)
    box = [it]
    del it
    thread = threading.Thread(target=working, args=(ready, stop, box), name="station", daemon=True)
    thread.start()
    ready.wait()
    ready.clear()

    def let_go() -> None:
        stop.set()
        ready.wait()

    yield weak, let_go
    stop.set()
    end.set()
    thread.join()


def test_a_local_of_another_thread_is_told(worker):
    """With the function, its line and the name of the thread."""
    weak, _ = worker
    (words, target) = without_lines(told(weak))
    assert (words, target) == ("local 'conn' in working (LINE), thread 'station'", "Connection")


def test_a_local_that_is_given_up_later_is_not_kept(worker):
    """The frame is still running; up to Python 3.12 reading its locals leaves a copy unless that is emptied."""
    weak, let_go = worker
    told(weak)
    gc.disable()
    try:
        let_go()
        assert weak() is None
    finally:
        gc.enable()


def test_locals_that_the_program_took_itself_stay(worker):
    """`locals()` gives the frame's own copy up to 3.12: emptying that would change the program."""
    it = 1
    mine = locals()
    local_items(sys._getframe(), at_rest=True)
    assert mine["it"] == it


def test_what_exec_made_in_a_frame_stays(worker):
    """Up to 3.12 it lives in that copy of the locals and nowhere else."""

    def run() -> object:
        exec("made = 5")
        local_items(sys._getframe(), at_rest=True)
        return eval("made")

    if sys.version_info < (3, 13):
        assert run() == 5


def test_a_local_of_the_running_test_is_called_so():
    """Inside a block that is checked the test's own variable is the answer."""
    it = Connection()
    code = sys._getframe().f_code
    assert told(weakref.ref(it), test=code) == ("local 'it' of the test", "Connection")
    words = without_lines(told(weakref.ref(it)))
    assert words == ["local 'it' in test_a_local_of_the_running_test_is_called_so (LINE)", "Connection"]


def test_a_running_thread_is_a_root():
    """What only the thread object holds: its arguments, an attribute."""
    stop = threading.Event()
    thread = threading.Thread(target=stop.wait, name="station", daemon=True)
    thread.pool = Pool()  # type: ignore[attr-defined]
    weak = weakref.ref(thread.pool)  # type: ignore[attr-defined]
    thread.start()
    del thread
    try:
        assert told(weak) == ("thread 'station', attribute `pool`", "Pool")
    finally:
        stop.set()


def test_a_thread_that_only_runs_is_held_by_nobody():
    """Its own stack, and the list of all threads, are no answer."""
    stop = threading.Event()
    thread = threading.Thread(target=stop.wait, daemon=True)
    thread.start()
    weak = weakref.ref(thread)
    del thread
    assert told(weak) == "running"
    K["threads"] = [weak()]
    assert told(weak) == (ME, "dict['threads']", "list[0]", "Thread")
    stop.set()
    K["threads"][0].join()


def test_a_signal_handler_is_a_root():
    """C code keeps the handler."""
    it = Connection()
    weak = weakref.ref(it)
    before = signal.signal(signal.SIGUSR1, lambda *_, it=it: None)
    del it
    try:
        words = told(weak)
        assert words[0] == "handler of SIGUSR1"
        assert words[1].startswith("default of argument 'it' of function ")
    finally:
        signal.signal(signal.SIGUSR1, before)


def test_an_error_that_a_thread_handles_is_a_root():
    """An `except` block that takes long keeps the frames below it."""
    ready, stop = threading.Event(), threading.Event()
    weak: list[weakref.ref[Connection]] = []

    def fail() -> None:
        conn = Connection()
        weak.append(weakref.ref(conn))
        raise ValueError

    def work() -> None:
        try:
            fail()
        except ValueError:
            ready.set()
            stop.wait()

    thread = threading.Thread(target=work, name="station")
    thread.start()
    ready.wait()
    try:
        words = without_lines(told(weak[0]))
    finally:
        stop.set()
        thread.join()
    assert words[:2] == ["error being handled in thread 'station'", "traceback of ValueError"]
    assert words[2].startswith("local 'conn' in ")


def test_what_the_caller_knows_is_a_root():
    """The value of a fixture: pytest's own objects are no holders, but that is worth telling."""
    it = Connection()
    K["pool"] = [it]
    weak = weakref.ref(it)
    del it
    values = [(K["pool"], Edge(holder="fixture 'pool'", kind="fixture"))]
    assert told(weak, values=values) == ("value of fixture 'pool'", "list[0]", "Connection")


def test_what_only_says_that_it_is_a_module_is_passed_over(monkeypatch):
    """A library of cffi does, in `sys.modules`; whatever else stands there does no harm either."""

    class Library:
        __class__ = types.ModuleType

    monkeypatch.setitem(sys.modules, "leakguard_library", Library())
    monkeypatch.setitem(sys.modules, "leakguard_nothing", None)
    it = Connection()
    K["here"] = it
    weak = weakref.ref(it)
    del it
    assert told(weak) == (ME, "dict['here']", "Connection")


def test_globals_of_a_module_that_is_gone_are_a_root():
    """Code that ran by exec, or a module that was taken out of sys.modules."""
    module = types.ModuleType("gone")
    exec("def load(): return it", vars(module))
    vars(module)["it"] = Connection()
    K["f"] = module.load
    weak = weakref.ref(module.it)
    del module
    assert told(weak) == ("module gone, global `it`", "Connection")


def test_a_class_inside_a_function_is_followed():
    """Whoever holds such a class says more than its name."""

    class Handler:
        it = Connection()

    K["h"] = Handler
    weak = weakref.ref(Handler.it)
    name = f"{__name__}.{Handler.__qualname__}"
    del Handler
    assert told(weak) == (ME, "dict['h']", f"class {name}, attribute `it`", "Connection")


def test_the_shortest_chain_is_told():
    """Not the first that is met."""
    it = Connection()
    K["deep"] = {1: {2: {3: it}}}
    K["flat"] = {1: it}
    weak = weakref.ref(it)
    del it
    assert told(weak) == (ME, "dict['flat']", "dict[1]", "Connection")


def test_the_projects_own_module_goes_before_the_standard_library():
    """Of two roots at the same distance the one is told where something can be done."""
    import json

    it = Connection()
    json.aaa_leak = it
    weak = weakref.ref(it)
    globals()["ZZZ_LEAK"] = it
    del it
    try:
        assert told(weak) == (f"module {__name__}, global `ZZZ_LEAK`", "Connection")
        del globals()["ZZZ_LEAK"]
        assert told(weak) == ("module json, global `aaa_leak`", "Connection")
    finally:
        del json.aaa_leak


# -- no root


def test_what_only_pytest_holds_is_not_told():
    """Its bookkeeping is no one's mistake."""
    monkeypatch = pytest.MonkeyPatch()
    monkeypatch.it = Connection()  # type: ignore[attr-defined]
    weak = weakref.ref(monkeypatch.it)  # type: ignore[attr-defined]
    K["m"] = monkeypatch
    del monkeypatch
    assert told(weak) == "ours"


def test_what_no_object_holds_is_called_unseen():
    """The loop has it, on the stack of a running frame, under no name."""
    for it in iter([Connection()]):
        box = [weakref.ref(it)]
        del it
        assert told(box[0]) == "unseen"


def test_frozen_objects_are_not_called_unseen():
    """gc.freeze() hides holders from the collector: that is the reason, not C code."""
    weak = leak(in_attribute)
    gc.collect()
    gc.freeze()
    try:
        assert told(weak) == "frozen"
    finally:
        gc.unfreeze()


class Clock:
    """Goes on by itself at each look."""

    def __init__(self, step: float) -> None:
        self.now = 0.0
        self.step = step

    def __call__(self) -> float:
        self.now += self.step
        return self.now


def test_the_search_stops_in_time():
    """No pass is begun that would end too late, judged by the one before; the first is always made."""
    weak = leak(under_long_and_strange_keys)
    clock = Clock(0.05)
    assert told(weak, seconds=0.2, clock=clock) == "too long"
    assert clock.now < 0.3
    assert told(weak, seconds=2.0, clock=Clock(0.05))[0] == ME
    assert told(leak(in_dict), seconds=0.0, clock=Clock(9.0)) == "too long"


def test_the_search_gives_up_after_many_objects():
    """A web of objects that leads nowhere is left."""
    weak = leak(under_long_and_strange_keys)
    assert told(weak, objects=2) == "too long"
    assert told(weak, objects=20)[0] == ME


def test_a_root_is_found_among_many_holders():
    """A thousand lists hold it, one of them is held by a module."""
    it = Connection()
    lists = [[it] for _ in range(1000)]
    K["a"] = lists[500]
    K["cycle"] = None
    for one in lists:
        one.append(one)
    weak = weakref.ref(it)
    del it, lists, one
    assert told(weak) == (ME, "dict['a']", "list[0]", "Connection")


# -- other people's code


class Hostile(type):
    """A metaclass whose classes can't be asked anything."""

    def __getattribute__(cls, name: str) -> Any:
        raise RuntimeError(name)

    def __hash__(cls) -> int:
        raise RuntimeError


def refuse(self: Any, *_: Any) -> Any:
    raise RuntimeError


class Resists(dict[Any, Any], metaclass=Hostile):
    """An object that answers nothing."""

    __getattribute__ = __eq__ = __iter__ = __len__ = __getitem__ = __bool__ = __repr__ = items = refuse
    __hash__ = refuse


def test_no_code_of_a_users_class_is_run():
    """Neither comparing nor hashing nor showing: an object that refuses all of it costs nothing."""
    it = Connection()
    mapping = Resists()
    dict.__setitem__(mapping, "a", it)
    K["m"] = mapping
    weak = weakref.ref(it)
    del it, mapping
    assert told(weak) == (ME, "dict['m']", "Resists['a']", "Connection")


def test_threads_that_change_everything_meanwhile():
    """The search is right or says so, and never raises."""
    stop = threading.Event()

    def churn() -> None:
        mine: dict[int, Any] = {}
        K[threading.get_ident()] = mine
        for number in itertools.count():
            mine[number % 100] = [mine.get(number % 7)]
            mine.pop(number % 13, None)
            if stop.is_set():
                return

    threads = [threading.Thread(target=churn) for _ in range(3)]
    for thread in threads:
        thread.start()
    weak = leak(in_dict)
    try:
        answers = {told(weak) for _ in range(8)}
    finally:
        stop.set()
        for thread in threads:
            thread.join()
    assert answers <= {(ME, "dict['header']", "Connection"), "too long"}
    assert (ME, "dict['header']", "Connection") in answers
