"""Who holds an object, in words: the rarer kinds of references, other people's classes, what changes meanwhile."""

from __future__ import annotations

import collections
import contextlib
import contextvars
import functools
import itertools
import select
import signal
import sys
import threading
import types
import weakref
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from test_holding_search import ME, ROOT, Connection, Hostile, K, Pool, empty, leak, refuse, told, without_lines

import pytest_leakguard
from pytest_leakguard.core.holding import Edge, Path
from pytest_leakguard.origins import edges
from pytest_leakguard.origins.holding import find
from pytest_leakguard.origins.roots import Roots, local_items
from pytest_leakguard.report.holding import chain

__all__ = ["empty"]  # a fixture for each test here

WORDS: dict[Any, list[str]] = {}
"""What holds -> the chain that is told."""


def is_told(*words: str) -> Callable[[Any], Any]:
    def named(make: Any) -> Any:
        WORDS[make] = [ME, *words]
        return make

    return named


class Session(threading.local):
    """What each thread has its own of."""

    def __init__(self, it: object = None) -> None:
        """Called again in each thread, with the same argument."""


@is_told("dict['s']", "thread-local attribute `it` of Session")
def in_derived_thread_local(it: Connection) -> None:
    K["s"] = Session()
    K["s"].it = it


@is_told("dict['s']", "Session", "tuple[0]")
def in_argument_of_thread_local(it: Connection) -> None:
    K["s"] = Session(it)


@is_told("dict['f']", "function in_annotation.<locals>.load", "dict['it']")
def in_annotation(it: Connection) -> None:
    def load() -> None: ...

    load.__annotations__ = {"it": it}
    K["f"] = load


@is_told("dict['e']", "PermissionError.filename")
def in_member_of_an_error(it: Connection) -> None:
    K["e"] = PermissionError(1, "refused", it)


@is_told("dict['e']", "ValueError.__cause__", "KeyError.args", "tuple[0]")
def in_cause_of_an_error(it: Connection) -> None:
    K["e"] = ValueError()
    K["e"].__cause__ = KeyError(it)


@is_told("dict['e']", "ValueError.__context__", "KeyError.args", "tuple[0]")
def in_context_of_an_error(it: Connection) -> None:
    K["e"] = ValueError()
    K["e"].__context__ = KeyError(it)


@is_told("dict['m']", "bound method ?")
def as_method_without_a_name(it: Connection) -> None:
    K["m"] = types.MethodType(functools.partial(print), it)


@is_told("dict['m']", "bound method deque.append", "deque[0]")
def as_method_of_c(it: Connection) -> None:
    K["m"] = collections.deque([it]).append


@is_told("dict['m']", "module made.it")
def in_module_that_was_only_made(it: Connection) -> None:
    K["m"] = types.ModuleType("made")
    K["m"].it = it


@is_told("dict['p']", "argument 0 of partial(Connection.send)")
def in_partial_of_a_method(it: Connection) -> None:
    K["p"] = functools.partial(Connection().send, it)


@is_told("dict['v']", "context variable 'conn'")
def in_default_of_context_variable(it: Connection) -> None:
    K["v"] = contextvars.ContextVar("conn", default=it)


@is_told("dict[<tuple>]")
def under_long_tuple(it: Connection) -> None:
    K[1, 2, 3, 4, 5] = it


class Slots:
    """The first slot is empty, and one name is another class's."""

    __slots__ = ("a_empty", "it")


class Borrowing(Slots):
    """Has a slot of a class that it does not come from."""

    __slots__ = ()
    foreign = edges.Edge.__dict__["name"]


@is_told("dict['s']", "Slots.it")
def beside_an_empty_slot(it: Connection) -> None:
    K["s"] = Slots()
    K["s"].it = it


@is_told("dict['s']", "Borrowing.it")
def beside_the_slot_of_another_class(it: Connection) -> None:
    K["s"] = Borrowing()
    K["s"].it = it


class Uninitialised(threading.Thread):
    """Forgot to call the constructor of its base."""

    def __init__(self, it: object) -> None:
        self.it = it


@is_told("dict['t']", "thread '?', attribute `it`")
def in_thread_that_is_none(it: Connection) -> None:
    K["t"] = Uninitialised(it)


@is_told("dict['h']", "class test_holding_words.LOCALSHandler, attribute `__base__`",
         "class test_holding_words.LOCALSBase, attribute `it`")  # fmt: skip
def in_base_class(it: Connection) -> None:
    class Base:
        pass

    class Handler(Base):
        pass

    Base.it = it
    K["h"] = Handler


@is_told("dict['c']", f"local 'child' in coroutine {'LOCALS' if sys.version_info >= (3, 11) else ''}outer (LINE)",
         f"local 'conn' in coroutine {'LOCALS' if sys.version_info >= (3, 11) else ''}inner (LINE)")  # fmt: skip
def in_named_and_awaited_coroutine(it: Connection) -> None:
    @types.coroutine
    def pause() -> Iterator[None]:
        yield

    async def inner(conn: object) -> None:
        await pause()

    async def outer(child: Any) -> None:
        await child

    K["c"] = outer(inner(it))
    K["c"].send(None)


@functools.lru_cache(maxsize=8)
def settings(key: int) -> dict[str, Connection]:
    return {"conn": Connection()}


@functools.lru_cache(maxsize=8)
def pool_of(key: int) -> Pool:
    pool = Pool()
    pool._idle.append(Connection())
    return pool


@pytest.mark.parametrize("make", WORDS, ids=lambda make: make.__name__)
def test_rarer_kinds_of_references_have_their_words(make):
    """As the common ones: a phrase for each reference from the root to the object."""
    locals_of = f"{make.__name__}.<locals>."
    expected = [word.replace("LOCALS", locals_of) for word in WORDS[make]]
    assert without(told(leak(make))) == [*expected, "Connection"]


def without(words: Any) -> list[str]:
    """The chain without the lines of this file."""
    assert not isinstance(words, str), words
    same = tuple(word.replace("(test_holding_words.py:", "(test_holding_search.py:") for word in words)
    return without_lines(same)


def test_a_class_that_has_several_bases():
    """They stand in a tuple that has no name of its own: a class has no plain dict to look into either."""

    class First: ...

    class Handler(First, Pool): ...

    path = edges.in_words(None, [Handler, Handler.__bases__, Pool], ROOT)
    assert chain(path) == (f"class {__name__}.{Handler.__qualname__}", "tuple[1]", "type")


def test_a_container_that_a_cached_function_gave_is_part_of_the_chain():
    """A dict that is the result is not the cache's own."""
    try:
        weak = weakref.ref(settings(1)["conn"])
        cache = (f"module {__name__}, global `settings`", "cache of function settings")
        assert told(weak) == (*cache, "dict['conn']", "Connection")
        weak = weakref.ref(pool_of(1)._idle[0])
        cache = (f"module {__name__}, global `pool_of`", "cache of function pool_of")
        assert told(weak) == (*cache, "Pool._idle", "list[0]", "Connection")
    finally:
        settings.cache_clear()
        pool_of.cache_clear()


# -- other people's classes


class Refuses(metaclass=Hostile):
    """An object that answers nothing, though it has attributes."""

    __getattribute__ = __eq__ = refuse
    __hash__ = refuse


class RefusesAsList(list[Any], metaclass=Hostile):
    """A list that answers nothing."""

    __getattribute__ = __eq__ = __iter__ = __len__ = __getitem__ = __bool__ = __repr__ = refuse
    __hash__ = refuse


class Lazy:
    """A stand-in that passes every question on, to nothing here."""

    @property
    def __dict__(self) -> Any:
        raise RuntimeError("not connected")


class Key(str):
    """A text of the user's own."""

    __slots__ = ()

    def __repr__(self) -> str:
        raise RuntimeError


def test_nothing_is_asked_of_the_holders_class():
    """Not for an attribute, not for the elements of a list, not how a key looks."""
    it = Connection()
    refuses, elements = Refuses(), RefusesAsList()
    object.__setattr__(refuses, "it", it)
    K["r"] = refuses
    weak = weakref.ref(it)
    del it, refuses
    assert told(weak) == (ME, "dict['r']", "Refuses.it", "Connection")
    it = weak()
    K.clear()
    list.extend(elements, [Refuses(), it])
    K[Key("a")] = elements
    del it, elements
    assert told(weak) == (ME, "dict[<Key>]", "RefusesAsList[1]", "Connection")


def test_a_class_that_makes_its_own_dict_is_not_asked_for_it():
    """Proxies do: the question would go on to what they stand for."""
    lazy = Lazy()
    K["l"] = lazy
    it = Connection()
    object.__setattr__(lazy, "it", it)
    weak = weakref.ref(it)
    del it, lazy
    assert told(weak)[:3] == (ME, "dict['l']", "Lazy")


# -- what is not any more as it was when the chain was found: other threads run on


def test_what_changed_meanwhile_is_told_without_a_name():
    """A generator that has ended, values that were taken out: the kind of the holder is still known."""

    def ended() -> Iterator[int]:
        yield 1

    generator = ended()
    assert list(generator) == [1]
    changed = [
        (generator, f"in use by generator {ended.__qualname__}"),
        (contextvars.copy_context(), "context variable"),
        ({}, "dict"),
        ([], "list"),
        (Pool(), "Pool"),
    ]
    for holder, words in changed:
        path = edges.in_words(None, [holder, Connection()], ROOT)
        assert chain(path) == (words, "Connection")


# -- roots


@pytest.mark.skipif(not hasattr(select, "epoll"), reason="there is no epoll here")
def test_a_local_that_the_collector_does_not_know_is_a_root():
    """An epoll object is no container, and holds a descriptor all the same."""
    with select.epoll() as poll, Roots(root=ROOT) as roots:
        found = find(poll, roots, root=ROOT)
    assert isinstance(found, Path)
    assert chain(found)[0].startswith("local 'poll' in test_a_local_that_the_collector_does_not_know_is_a_root")


def test_what_the_caller_knows_goes_before_the_locals():
    """The value of a fixture is also the argument of the test: the fixture is the better answer."""
    it = Connection()
    pool = [it]
    weak = weakref.ref(it)
    del it
    values = [(pool, Edge(holder="fixture 'pool'", kind="fixture"))]
    assert told(weak, values=values) == ("value of fixture 'pool'", "list[0]", "Connection")


@pytest.fixture
def handed_out() -> Connection:
    return Connection()


def test_what_pytest_hands_to_the_test_is_pytests(handed_out):
    """The locals of the runner's frames are no answer."""
    weak = weakref.ref(handed_out)
    del handed_out
    assert told(weak) == "ours"


def test_what_our_own_frames_have_is_no_answer():
    """They ask, with the object in their hands."""
    names: dict[str, Any] = {}
    exec(compile("def look(kept, ask): return ask()", pytest_leakguard.__file__, "exec"), names)
    it = Connection()
    weak, box = weakref.ref(it), [[it]]
    del it
    assert names["look"](box.pop(), lambda: told(weak)) == "unseen"


def test_the_body_of_a_module_has_no_locals():
    """What stands there is called its globals, while it is being imported too."""
    names: dict[str, Any] = {"__name__": "body", "Connection": Connection, "told": told, "ref": weakref.ref}
    exec(compile("it = Connection()\nresult = told(ref(it))", __file__, "exec"), names)
    assert names["result"] == ("module body, global `it`", "Connection")


def test_a_module_that_stands_there_twice_has_its_first_name(monkeypatch):
    """An alias comes later."""
    monkeypatch.setitem(sys.modules, "leakguard_alias", sys.modules["test_holding_search"])
    it = Connection()
    K["here"] = it
    weak = weakref.ref(it)
    del it
    assert told(weak) == (ME, "dict['here']", "Connection")


@pytest.mark.skipif(not hasattr(signal, "SIGRTMIN"), reason="there are no real-time signals here")
def test_a_handler_of_a_signal_without_a_name_is_a_root():
    """Of the real-time signals only the first and the last have names; a method is told as one."""
    it = Connection()
    weak = weakref.ref(it)
    before = signal.signal(signal.SIGRTMIN + 1, it.send)
    del it
    try:
        number = int(signal.SIGRTMIN) + 1
        assert told(weak) == (f"handler of {number}", "bound method Connection.send", "Connection")
    finally:
        signal.signal(signal.SIGRTMIN + 1, before)


class Station(threading.Thread):
    """Its name is made by code of the user's."""

    @property
    def name(self) -> str:
        raise RuntimeError

    @name.setter
    def name(self, name: str) -> None:
        pass


class Waiting(contextlib.AbstractContextManager["Waiting"]):
    """A thread that keeps an object in a variable of one kind, and forgets it when told to."""

    def __init__(self, hold: Callable[..., None], of: type[threading.Thread] = threading.Thread) -> None:
        self.ready, self.stop, self.end = threading.Event(), threading.Event(), threading.Event()
        it = Connection()
        self.weak = weakref.ref(it)
        box = [it]
        del it
        self.thread = of(target=hold, args=(self.ready, self.stop, self.end, box), name="station", daemon=True)
        self.thread.start()
        self.ready.wait()
        self.ready.clear()

    def let_go(self) -> None:
        self.stop.set()
        self.ready.wait()

    def __exit__(self, *error: object) -> None:
        self.stop.set()
        self.end.set()
        self.thread.join()


def in_local(ready, stop, end, box):
    conn = box.pop()
    ready.set()
    stop.wait()
    conn = None
    ready.set()
    end.wait()
    del conn


def in_cell(ready, stop, end, box):
    conn = box.pop()

    def forget():
        nonlocal conn
        conn = None

    ready.set()
    stop.wait()
    forget()
    ready.set()
    end.wait()


def in_cell_of_another(ready, stop, end, box):
    conn = box.pop()

    def wait():
        nonlocal conn
        ready.set()
        stop.wait()
        conn = None
        ready.set()
        end.wait()

    wait()


kinds = pytest.mark.parametrize("hold", [in_local, in_cell, in_cell_of_another], ids=lambda hold: hold.__name__)


@kinds
def test_no_kind_of_local_is_kept(hold):
    """Neither a plain one, nor one that inner functions share, on either side."""
    with Waiting(hold) as waiting:
        assert told(waiting.weak)[0].startswith("local 'conn' in ")
        waiting.let_go()
        assert waiting.weak() is None


def test_a_thread_that_ends_during_the_search_leaves_nothing():
    """What it did last stands in its frame, which is only still there because we have looked at it."""

    def fetch(ready, stop, end, box):
        ready.set()
        stop.wait()
        conn = box.pop()
        assert conn

    with Waiting(fetch) as waiting:
        with Roots(root=ROOT) as roots:
            waiting.stop.set()
            waiting.thread.join()
            target = waiting.weak()
            assert target is not None
            assert find(target, roots, root=ROOT) == "unseen"
            del target
        assert waiting.weak() is None


def test_a_local_of_another_thread_is_not_the_tests():
    """Though both run the same function."""
    with Waiting(in_local) as waiting:
        words = without(told(waiting.weak, test=in_local.__code__))
        assert words == ["local 'conn' in in_local (LINE), thread 'station'", "Connection"]


def test_a_thread_whose_name_is_made_by_the_user_is_not_asked():
    """The name that it was given is read, and none of the user's code run."""
    with Waiting(in_local, Station) as waiting:
        assert without(told(waiting.weak))[0].startswith("local 'conn' in in_local (LINE), thread '")


HOOKS = {
    "trace": (sys.settrace, sys.gettrace),
    "profile": (sys.setprofile, sys.getprofile),
    "trace of threads": (threading.settrace, threading.gettrace),
    "profile of threads": (threading.setprofile, threading.getprofile),
}


@pytest.mark.skipif(sys.version_info >= (3, 13), reason="since then a frame keeps no copy of its locals")
@pytest.mark.parametrize("name", HOOKS)
def test_a_thread_that_may_be_traced_does_not_lose_its_locals(name):
    """The copy of a running frame's locals is what its trace function reads and writes: it is not emptied then."""
    install, current = HOOKS[name]
    with Waiting(in_local) as waiting:
        frame = sys._current_frames()[waiting.thread.ident]
        while frame.f_code is not in_local.__code__:
            frame = frame.f_back
        before = sys.getrefcount(waiting.weak())
        original = current()
        install(lambda *_: None)
        try:
            local_items(frame, at_rest=False)
        finally:
            install(original)
        during = sys.getrefcount(waiting.weak())
        local_items(frame, at_rest=False)
        after = sys.getrefcount(waiting.weak())
        assert (during - before, after - before) == (1, 0)


@pytest.mark.skipif(sys.version_info >= (3, 13), reason="since then a frame keeps no copy of its locals")
def test_a_running_generator_of_a_traced_thread_keeps_them_too():
    """One that runs has a caller; one at rest has none, and its copy is emptied whoever traces."""

    def rows(ready, stop, end, box):
        yield in_local(ready, stop, end, box)

    def run(*args):
        conn_of_rows = [generators.append(rows(*args)), *itertools.islice(generators[0], 1)]
        del conn_of_rows

    generators: list[Any] = []
    with Waiting(run) as waiting:
        before = sys.getrefcount(waiting.ready)
        threading.settrace(lambda *_: None)
        try:
            edges.in_words(None, [generators[0], waiting.ready], ROOT)
        finally:
            threading.settrace(None)  # type: ignore[arg-type]
        during = sys.getrefcount(waiting.ready)
        assert during == before + 1


def test_what_a_class_body_defined_stays_readable():
    """Its names are no copy: a debugger shows them after the error, also one that a method shares."""
    it = 1
    try:

        class Body:
            it = 2

            def get(self):
                return it

            raise ValueError
    except ValueError as error:
        frame = error.__traceback__.tb_next.tb_frame
    local_items(frame, at_rest=True)
    assert frame.f_locals["it"] == 2
    assert it == 1
