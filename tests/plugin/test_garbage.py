"""Garbage is collected before a verdict, at no cost that a test could see, and what it closes is told."""

from __future__ import annotations

from forks import GUARDED, SEE, fork_runs

HEAD = (
    SEE
    + """
import gc
import socket
import tempfile
import threading
import weakref

import pytest

KEPT = []
HERE = os.path.abspath(__file__)

class Node:
    def __init__(self, **values):
        self.itself = self
        vars(self).update(values)

def drop(**values):
    '''A cycle that nothing but the collector frees.'''
    Node(**values)

def use():
    os.close(os.open(os.devnull, os.O_RDONLY))
"""
)


def place_of(pytester, mark):
    """The number of the one line of the tests that ends with a mark."""
    (file,) = pytester.path.glob("test_*.py")
    lines = file.read_text("utf-8").splitlines()
    (number,) = [number for number, line in enumerate(lines, 1) if line.endswith(f"# {mark}")]
    return number


def told(run):
    """Test -> kind, verdict, line of the origin and count, of each finding."""
    return {
        finding["test"].partition("::")[2]: (
            finding["kind"],
            finding["verdict"],
            finding["origin"]["line"],
            finding["count"],
        )
        for finding in run.report["findings"]
    }


CYCLES = (
    HEAD
    + """
def test_clean():
    with open(HERE) as stream:
        drop(stream=stream)

def test_young():
    drop(stream=open(HERE))  # young

def test_between():
    use()

def test_promoted():
    node = Node(stream=open(HERE))  # promoted
    for _ in range(3):
        gc.collect()
    del node

def test_promoted_and_shut():
    node = Node(stream=open(HERE))
    gc.collect()
    node.stream.close()
    del node

def test_promoted_in_a_generation():
    node = Node(stream=open(HERE))  # generation
    gc.collect(0)
    gc.collect(1)
    del node

def test_socket():
    drop(sock=socket.socket())  # socket

def test_socket_promoted():
    node = Node(sock=socket.socket())  # old socket
    gc.collect()
    del node

@pytest.fixture
def held():
    node = Node(stream=open(HERE))  # fixture
    gc.collect()
    yield

def test_fixture(held):
    pass

@pytest.fixture
def after():
    yield
    drop(stream=open(HERE))  # teardown

def test_teardown(after):
    pass

def test_error_holds_it():
    try:
        node = Node(stream=open(HERE))  # error
        raise ValueError
    except ValueError as error:
        drop(error=error)

def test_raises_holds_it():
    with pytest.raises(ValueError) as info:
        stream = open(HERE)  # raises
        drop(info=info)
        raise ValueError

def test_folder():
    drop(folder=tempfile.TemporaryDirectory(dir=os.path.dirname(HERE)))  # folder

def test_scandir():
    entries = os.scandir(".")  # scandir
    next(entries)
    drop(entries=entries)

def test_refcount():
    open(HERE)  # refcount

def test_refcount_in_a_loop():
    for _ in range(5):
        open(HERE)  # loop

def test_last():
    use()
"""
)


def test_what_only_the_collector_closed_is_told_on_its_test(pytester):
    """A cycle that holds something open is freed and told at its own test, young or old, with its opening line."""
    pytester.makepyfile(test_cycles=CYCLES)
    (ran,) = fork_runs(pytester, {"guarded": GUARDED}).values()

    def unclosed(mark: str, count: int = 1) -> tuple[str, str, int, int]:
        return ("unclosed", "unclosed", place_of(pytester, mark), count)

    assert told(ran) == {
        "test_young": unclosed("young"),
        "test_promoted": unclosed("promoted"),
        "test_promoted_in_a_generation": unclosed("generation"),
        "test_socket": unclosed("socket"),
        "test_socket_promoted": unclosed("old socket"),
        "test_fixture": unclosed("fixture"),
        "test_teardown": unclosed("teardown"),
        "test_error_holds_it": unclosed("error"),
        "test_raises_holds_it": unclosed("raises"),
        "test_folder": unclosed("folder"),
        "test_scandir": unclosed("scandir"),
        "test_refcount": unclosed("refcount"),
        "test_refcount_in_a_loop": unclosed("loop", 5),
    }
    assert len(ran.report["findings"]) == 13
    assert ran.report["errors"] == []


FILTERED = (
    HEAD
    + """
def test_before():
    use()

def test_refcount():
    open(HERE)  # refcount

def test_between():
    use()

def test_cycle():
    drop(stream=open(HERE))  # cycle

def test_promoted():
    node = Node(stream=open(HERE))  # promoted
    gc.collect()
    del node

def test_same_line_again():
    helper()

def helper():
    drop(sock=socket.socket())  # helper

def test_same_line_once_more():
    helper()

def test_innocent():
    use()

def test_trivial():
    pass
"""
)


def test_any_filter_of_the_user(pytester):
    """Each filter gives one finding on the right test with its line, and makes no other test fail or warn."""
    pytester.makepyfile(test_filtered=FILTERED)
    filters = {
        "none": (),
        "ignore": ("-W", "ignore"),
        "ignore resource": ("-W", "ignore::ResourceWarning"),
        "default": ("-W", "default"),
        "always": ("-W", "always"),
        "once": ("-W", "once"),
        "module": ("-W", "module"),
        "error": ("-W", "error"),
        "error resource": ("-W", "error::ResourceWarning"),
        "ini error": ("-o", "filterwarnings=error"),
        "ini ignore": ("-o", "filterwarnings=ignore::ResourceWarning"),
        "by message": ("-W", "error:unclosed file"),
        "no:warnings": ("-p", "no:warnings"),
        "no:unraisableexception": ("-p", "no:unraisableexception", "-W", "error"),
    }
    ran = fork_runs(pytester, {name: (*GUARDED, "-v", *args) for name, args in filters.items()})
    expected = {
        name: ("unclosed", "unclosed", place_of(pytester, mark), 1)
        for name, mark in {
            "test_refcount": "refcount",
            "test_cycle": "cycle",
            "test_promoted": "promoted",
            "test_same_line_again": "helper",
            "test_same_line_once_more": "helper",
        }.items()
    }
    for name, run in ran.items():
        assert told(run) == expected, name
        assert len(run.report["findings"]) == 5, name
        assert run.report["errors"] == [], name
        assert run.status == 1, name
        # what a plain `del` raises is told by pytest itself in a warning, an error here: as without us
        own = name in ("error", "ini error")
        failing = {
            finding["test"].partition("::")[2] for finding in run.report["findings"] if finding["disposition"] == "note"
        }
        assert failing == ({"test_refcount"} if own else set()), name
        lines = [line for line in run.text.splitlines() if "::test_" in line and "%]" in line]
        leaked = {line.partition("::")[2].partition(" ")[0] for line in lines if "LEAKED" in line}
        assert leaked == set(expected) - failing, name
        bad = {line.partition("::")[2].partition(" ")[0] for line in lines if "FAILED" in line or "ERROR" in line}
        assert bad == failing, (name, run.text)


COLLECTOR = (
    HEAD
    + """
import types

def state():
    return [gc.isenabled(), gc.get_threshold(), gc.get_freeze_count() > 0, len(gc.callbacks), gc.get_debug()]

@pytest.fixture(autouse=True)
def around():
    see("setup", state())
    yield
    see("teardown", state())

def test_as_it_was():
    use()
    see("call", state())

def test_disables():
    use()
    gc.disable()

def test_still_disabled():
    drop(stream=open(HERE))
    see("call", state())

def test_enables():
    use()
    gc.enable()

def test_thresholds():
    gc.set_threshold(17, 5, 3)
    use()

def test_thresholds_are_kept():
    use()
    see("call", state())
    gc.set_threshold(700, 10, 10)

def test_freezes():
    use()
    gc.freeze()
    see("frozen", gc.get_freeze_count() > 0)
    KEPT.append(gc.get_freeze_count())

def test_still_frozen():
    # what is frozen can die by its reference count, no more than that changes
    see("frozen", 0 <= KEPT[-1] - gc.get_freeze_count() < 1000)
    drop(stream=open(HERE))
    see("frozen", gc.get_freeze_count() > 0)

def test_unfreezes():
    use()
    gc.unfreeze()
    see("call", state())

COLLECTIONS = []

def note(phase, info):
    COLLECTIONS.append((phase, info["generation"]))

def test_adds_a_callback():
    gc.callbacks.append(note)
    use()

def test_callbacks_are_kept():
    assert note in gc.callbacks
    gc.callbacks.remove(note)

def test_collects():
    use()
    node = Node()
    gone = weakref.ref(node)
    del node
    assert gone() is not None
    assert gc.collect() > 0
    assert gone() is None

@pytest.fixture(scope="module")
def store():
    return {"node": Node(), "stream": Node(stream=open(HERE))}

def test_holds(store):
    use()
    KEPT.append(weakref.ref(store["node"]))

def test_between(store):
    drop(stream=open(HERE))
    assert KEPT[-1]() is not None

def test_drops_the_cycle_of_the_module(store):
    use()
    del store["node"]
    assert KEPT[-1]() is not None
    gc.collect()
    assert KEPT[-1]() is None
    store["stream"].stream.close()

class Marked:
    pass

@pytest.fixture(scope="session")
def early():
    return [Marked() for _ in range(10)]

def test_acquires(early):
    with open(HERE):
        early.append(Marked())

def test_lists_all(early):
    use()
    own = [Marked()]
    found = [obj for obj in gc.get_objects() if type(obj) is Marked]
    assert len(found) == 12
    assert early in gc.get_referrers(early[0])
    assert any(type(obj) is types.ModuleType and obj.__name__ == __name__ for obj in gc.get_objects())

def test_debug_flags():
    gc.set_debug(gc.DEBUG_SAVEALL)
    drop(value=1)
    use()

def test_saved():
    gc.set_debug(0)
    see("garbage", any(type(obj) is Node for obj in gc.garbage))
    gc.garbage.clear()
"""
)


def test_the_collector_is_the_users(pytester):
    """Its flags, thresholds, callbacks and frozen objects are the test's own, and it finds everything there is."""
    pytester.makepyfile(test_collector=COLLECTOR)
    ran = fork_runs(pytester, {"plain": (), "guarded": GUARDED})
    plain, guarded = ran["plain"], ran["guarded"]
    assert plain.status == 0, plain.text
    assert "failed" not in guarded.last_line, guarded.text
    assert "error" not in guarded.last_line, guarded.text
    assert guarded.report["errors"] == []
    different = [
        (number, one, other)
        for number, (one, other) in enumerate(zip(guarded.seen, plain.seen, strict=True))
        if one != other and one[0] != "garbage"
    ]
    assert different == []
    assert {test: kind for test, kind, _ in guarded.told} == {
        "test_still_disabled": "unclosed",
        "test_still_frozen": "unclosed",
        "test_between": "unclosed",
    }


QUIET = (
    HEAD
    + """
COLLECTIONS = []

def note(phase, info):
    if phase == "start":
        COLLECTIONS.append(info["generation"])

@pytest.fixture(scope="module", autouse=True)
def count():
    gc.disable()
    gc.callbacks.append(note)
    yield
    gc.callbacks.remove(note)
    gc.enable()

@pytest.mark.parametrize("number", range(20))
def test_nothing_moves(number):
    assert number + 1 > number

def test_none_for_nothing():
    see("for nothing", COLLECTIONS)

@pytest.mark.parametrize("number", range(20))
def test_clean(number):
    with open(HERE), socket.socket():
        pass

def test_none_of_the_whole_heap():
    see("for clean ones", max(COLLECTIONS, default=0))
"""
)


def test_a_clean_test_costs_no_full_collection(pytester):
    """Where nothing moved nothing is collected; where all was released again, the old generation is left alone."""
    pytester.makepyfile(test_quiet=QUIET)
    (ran,) = fork_runs(pytester, {"guarded": GUARDED}).values()
    assert ran.status == 0, ran.text
    nothing, clean = ran.seen
    # the fixture of the module is the one thing that moved
    assert len(nothing[1]) <= 1
    assert max(nothing[1], default=0) < 2
    assert clean[1] < 2


SPANNING = (
    HEAD
    + """
@pytest.fixture(scope="module")
def pool():
    held = []
    yield held
    held.clear()

def test_gives_to_the_pool(pool):
    pool.append(Node(stream=open(HERE)))  # pool

def test_uses_the_pool(pool):
    use()

@pytest.fixture(scope="class")
def closing():
    node = Node(stream=open(HERE))  # closed
    yield node
    node.stream.close()

class TestIt:
    def test_one(self, closing):
        use()

    def test_two(self, closing):
        use()

@pytest.fixture(scope="class")
def dropping():
    node = Node(stream=open(HERE))  # dropped
    yield node

class TestDrops:
    def test_one(self, dropping):
        use()

    def test_two(self, dropping):
        use()

GLOBAL = Node(stream=open(HERE))  # import

def test_drops_what_is_nobodys():
    global GLOBAL
    GLOBAL = None
    use()

def test_keeps():
    KEPT.append(open(HERE))  # kept

def test_drops_what_was_told():
    KEPT.clear()
    use()

def test_last():
    use()
"""
)


def test_garbage_that_outlives_its_test(pytester):
    """What a wider scope drops is told once on its owner; what was told, or is nobody's, is not told again."""
    pytester.makepyfile(test_spanning=SPANNING)
    ran = fork_runs(pytester, {"guarded": GUARDED, "error": (*GUARDED, "-W", "error::ResourceWarning")})
    for name in ("guarded", "error"):
        found = {
            (finding["owner"]["name"].rpartition("::")[2], finding["verdict"]): finding["origin"]["line"]
            for finding in ran[name].report["findings"]
        }
        assert found == {
            ("test_gives_to_the_pool", "unclosed"): place_of(pytester, "pool"),
            ("dropping", "unclosed"): place_of(pytester, "dropped"),
            ("test_keeps", "leaked"): place_of(pytester, "kept"),
        }
        assert len(ran[name].report["findings"]) == 3
        assert ran[name].report["errors"] == []


LET_GO = (
    HEAD
    + """
def hold(file, holds):
    collected = threading.Event()

    def on_collection(phase, info):
        if phase == "stop" and info["generation"] == 2:
            collected.set()

    node = Node(file=file)
    del file
    gc.callbacks.append(on_collection)
    holds.set()
    collected.wait(60)  # the one before anything is blamed: it lets go after that
    gc.callbacks.remove(on_collection)

def test_clean_after_a_moment():
    holds = threading.Event()
    worker = threading.Thread(target=hold, args=(open(HERE), holds))
    worker.start()
    holds.wait()

def test_leaky():
    KEPT.append(open(HERE))  # leak
"""
)


def test_what_another_thread_lets_go_in_a_cycle_is_no_leak(pytester, alone):
    """It is old by then, so only a full collection frees it: made before anything is blamed, after the waits."""
    pytester.makepyfile(LET_GO)
    ran = alone("--leakguard-probes=fd", "--leakguard-grace=1", "-W", "ignore")
    assert {name: verdict for name, (_, verdict, *_) in told(ran).items()} == {"test_leaky": "leaked"}
