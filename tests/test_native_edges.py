"""The part in C at the edges of what it does: other arguments, other threads, the end of the module, what it held."""

from __future__ import annotations

import sys
import textwrap
import weakref

import pytest
from test_native import HOOKED, RECORDED, needs_part, run

from pytest_leakguard import native
from pytest_leakguard.core.ledger import OUTSIDE
from pytest_leakguard.origins import record
from pytest_leakguard.probes.descriptors import DescriptorTable, Picture, key_of
from pytest_leakguard.probes.nursery import Nursery, Plan

pytestmark = needs_part


class Thing:
    """Something that can be asked whether it is gone."""


def hooked(code: str) -> str:
    return run(HOOKED + textwrap.dedent(code))


def recorded(code: str) -> str:
    """What a program with a recorder prints, which is the same without the part."""
    code = "import sys, warnings; warnings.simplefilter('ignore')\n" + RECORDED + textwrap.dedent(code)
    code += "\nprint(hook.failures())\n"
    told, pure = run(code), run(code, LEAKGUARD_PURE="1")
    assert told == pure
    assert told.endswith("\n[]\n")
    return told


# -- descriptors


def test_the_size_of_the_folder_is_the_count_and_is_left_with_the_table(tmp_path):
    (tmp_path / "seven").write_bytes(b"1234567")
    for count in (native.part.count, DescriptorTable._count_by_size):
        table = DescriptorTable()
        table.path, table.counted = str(tmp_path / "seven"), -1
        assert (count(table), table.counted) == (7, 7)


def test_a_picture_tells_devices_and_files_apart(tmp_path):
    with open(tmp_path / "a", "w") as file:
        number, device, inode, mode = key_of(file.fileno())
        for other, same in (((0, 0), True), ((1, 0), False), ((0, 1), False)):
            assert Picture([(number, device + other[0], inode + other[1], mode)]).is_still() is same


# -- events


def test_only_the_thread_that_said_so_is_hushed():
    code = """
    native.part.hush()
    thread = threading.Thread(target=lambda: told.append(native.part.is_hushed())); thread.start(); thread.join()
    print(told, native.part.is_hushed())
    """
    assert hooked(code) == "[False] True\n"


def test_as_many_names_of_events_are_kept_as_there_is_room_for():
    code = """
    names = [chr(first) + chr(last) for first in range(48, 80) for last in range(48, 72)]
    native.part.feed(Handlers(*names), None)
    for name in names: sys.audit(name)
    print(len(names), [event for event, _ in told] == names); told.clear()
    native.part.feed(Handlers(names[0], names[-1]), None)
    try:
        native.part.feed(Handlers("one more"), None)
    except OverflowError as error:
        print(error)
    sys.audit(names[-1]); sys.audit("one more"); sys.audit(names[0]); sys.audit(names[1]); sys.audit("")
    print([event for event, _ in told])
    """
    assert hooked(code) == "768 True\ntoo many names of events\n['OG', '00']\n"


def test_an_error_that_comes_from_c_is_told_as_an_error():
    code = """
    native.part.feed({"app.a": len}, None)
    sys.audit("app.a")
    print([type(failure).__name__ for failure in failures])
    """
    assert hooked(code) == "['TypeError']\n"


def test_what_a_handler_was_given_goes_and_so_does_the_handler():
    code = """
    import weakref
    class Thing: pass
    def broken(args, frame): raise KeyError("x")
    def silent(args, frame): return Thing()
    handlers = [broken, silent, lambda event, args, frame: Thing()]
    def gone():
        thing = Thing()
        there = weakref.ref(thing)
        sys.audit("app.a", thing)
        del thing
        failures.clear()
        return there() is None
    native.part.feed({"app.a": broken}, None); print(gone())
    native.part.feed({"app.a": silent}, None); print(gone())
    native.part.feed({"app.a": silent}, handlers[2]); print(gone())
    native.part.feed({}, None)
    print([weakref.ref(handlers.pop()) for _ in range(1)][0]())
    del broken, silent
    there = [weakref.ref(handler) for handler in handlers]
    handlers.clear()
    print([one() for one in there])
    """
    assert hooked(code) == "True\nTrue\nTrue\nNone\n[None, None]\n"


# -- the module


def test_a_subinterpreter_does_without_it():
    pytest.importorskip("_xxsubinterpreters" if sys.version_info < (3, 13) else "_interpreters")
    code = f"""
    try:
        import _interpreters as interpreters
    except ImportError:
        import _xxsubinterpreters as interpreters
    import os
    reads, writes = os.pipe()
    other = interpreters.create()
    interpreters.run_string(other, f'''if True:
        import os, sys
        sys.path[:] = {sys.path!r}
        from pytest_leakguard import native
        os.write({{writes}}, native.STATE.encode())''')
    interpreters.destroy(other)
    print(os.read(reads, 99).decode())
    """
    assert run(code) == "not built for this Python, which does the same at more cost\n"


GONE = """
import gc, importlib, weakref
def let_go():
    for name in [name for name in sys.modules if name.startswith("pytest_leakguard")]:
        del sys.modules[name]
    gc.collect()
"""


def test_events_are_not_told_when_the_module_is_gone():
    code = """
    native.part.feed(Handlers("app.a"), None)
    sys.audit("app.a", 1)
    del native
    let_go()
    sys.audit("app.a", 2)
    print(told)
    """
    assert hooked(GONE + textwrap.dedent(code)) == "[('app.a', (1,))]\n"


def test_the_end_of_another_module_leaves_the_hook_and_the_ends_of_stacks():
    code = """
    native.part.feed(Handlers("app.a"), None)
    names = {}
    exec("def call(f): return f()", names)
    native.part.end_stacks(None, ((names, (names["call"].__code__, -7)),), 64)
    first = native.part
    let_go()
    second = importlib.import_module("pytest_leakguard._native")
    print(second is not first)
    del second
    let_go()
    sys.audit("app.a", 1)
    print(told, [at for _, at in names["call"](lambda: first.walk(sys._getframe()))][1:])
    there = weakref.ref(names["call"].__code__)
    del first, native, names
    let_go(); gc.collect()
    print(there())
    """
    assert hooked(GONE + textwrap.dedent(code)) == "True\n[('app.a', (1,))] [-7]\nNone\n"


# -- stacks


def test_stacks_end_where_they_do_without_it():
    code = """
    import sys, types
    from pytest_leakguard.origins import frames
    def module():
        names = {}
        exec("def call(f, *a): return f(*a)\\ndef down(n, f): return down(n - 1, f) if n else f()", names)
        return types.SimpleNamespace(**names)
    def look(): return frames.walk(sys._getframe())
    def tell(stack): print([(code.co_name, at) for code, at in stack])
    hook, runner, second, user = (module() for _ in range(4))
    def everywhere():
        tell(user.call(look)); tell(hook.call(user.call, look)); tell(runner.call(user.call, user.call, look))
        tell(hook.call(second.call, look)); tell(runner.call(second.call, user.call, look)); tell(user.down(80, look))
        tell(runner.call(lambda: frames.walk(sys._getframe(1)))); tell(hook.call(lambda: frames.walk(sys._getframe(1))))
        tell(frames.walk(None))
    everywhere()
    frames._HOOK_CALLER = hook.call.__globals__
    frames.end_at(runner.call, second.call); everywhere()
    frames.end_at(); everywhere()
    frames._HOOK_CALLER = None
    frames.DEPTH = 5; frames.end_at(runner.call); everywhere()
    frames.DEPTH = 0; frames.end_at(runner.call); everywhere()
    """
    told = run(code)
    assert told == run(code, LEAKGUARD_PURE="1")
    assert len(told.splitlines()) == 45


# -- the record


def test_a_record_that_is_made_by_hand_is_one_of_python_too():
    stack, context = ((test_stacks_end_where_they_do_without_it.__code__, 4),), Thing()
    names = ["event", "detail", "stack", "context", "how", "ref", "inode", "created", "renamed", "object_id", "fd",
             "number", "block", "when", "raw", "over", "pinned", "blamed", "spent"]  # fmt: skip
    code = "from pytest_leakguard.origins.record import Record; r = Record('open', 3, (), None)\n"
    told = run(code + f"print([getattr(r, name) for name in {names}])", LEAKGUARD_PURE="1")
    ours = native.part.Record("open", 3, (), None)
    assert told == f"{[getattr(ours, name) for name in names]}\n"
    given = record.Record("open", 3, stack, context)
    assert given.stack is stack
    assert given.context is context
    with pytest.raises(TypeError):
        native.part.Record("open", 3, stack, context=context)
    with pytest.raises(TypeError):
        native.part.Record("open", 3, stack, context, fd=3)


def test_a_stack_and_a_context_are_made_once():
    code = """
    phase("t.py::test_a (call)"); open("/dev/null").close()
    record = recorder.records[0]
    print(record.stack is record.stack, record.context is record.context, record.context == ledger.now)
    """
    assert recorded(code) == "True True True\n[]\n"


def test_what_a_record_held_goes_with_it():
    things = [Thing() for _ in range(8)]
    there = [weakref.ref(thing) for thing in things]
    one = record.Record(*things[:2], (things[2],), things[3])
    one.how, one.ref, one.created, one.renamed = things[4:]
    things.clear()
    assert None not in [ref() for ref in there]
    del one
    assert [ref() for ref in there] == [None] * 8


def test_the_code_that_acquired_something_goes_with_its_record():
    code = """
    import gc, weakref
    names = {}
    exec("def act(): open('/dev/null').close()", names)
    there = weakref.ref(names["act"].__code__)
    phase("t.py::test_a (call)")
    names["act"](); names["act"](); recorder.records[1].stack
    del names
    print(there() is not None, len(recorder.records))
    recorder.clear(); gc.collect()
    print(there())
    """
    assert recorded(code) == "True 2\nNone\n[]\n"


def test_an_instance_and_its_class_go_with_the_nursery():
    plan, context, made = Thing(), Thing(), Thing()
    there = [weakref.ref(one) for one in (plan, context)]
    newborn = native.part.Newborn(made, plan, context, ())
    assert (newborn.ref(), newborn.plan, newborn.context, newborn.stack) == (made, plan, context, ())
    del plan, context, made
    assert newborn.ref() is None
    del newborn
    assert [ref() for ref in there] == [None, None]


ACTS = {
    "addresses": """
        for address in (("127.0.0.1", 0), folder + "/u", os.fsencode(folder) + b"/v", "\\0abstract%d" % os.getpid()):
            sock = socket.socket(socket.AF_INET if type(address) is tuple else socket.AF_UNIX); sock.bind(address)
            last = [r for r in recorder.records if r.event == "socket.__new__"][-1]
            print(last.fd == sock.fileno(), last.inode is not None)
        for address in (folder + "/nowhere", ("127.0.0.1", 9)):
            sock = socket.socket(socket.AF_INET if type(address) is tuple else socket.AF_UNIX)
            try: sock.connect(address)
            except OSError: print(recorder.records[-1].fd == sock.fileno())
        """,
    "imports": """
        with open(folder + "/leakguard_imported.py", "w") as file: file.write("kept = open('/dev/null')")
        sys.path.insert(0, folder); sys.dont_write_bytecode = True
        import leakguard_imported
        """,
    "no frame": """
        for name, args in (("open", (folder + "/a", "w", 66)), ("open", (3, "r", 0)), ("open", (b"x", None, 0)),
                           ("os.mkdir", (folder + "/b", 511, -1)), ("socket.__new__", (socket.socket(), 1, 1, 0))):
            recorder._handlers[name](args, None)
            print([r.stack for r in recorder.records if not r.stack])
        """,
    "phases": """
        for name in ("t.py::test_a[(setup)] (call)", "t.py::test_a (teardown)", "t.py::test_a", "(call) t.py",
                     "(setup)", "t.py::test_a (call) "):
            phase(name); open("/dev/null").close(); print(ledger.phase)
        """,
    "lookups": """
        phase("t.py::test_a (call)")
        for _ in range(2):
            kept = [open(folder + "/a", "w") for _ in range(60)]; print(recorder._lookups, len(recorder._opened))
            recorder.forget_all(5) or recorder.forget(); print(recorder._lookups, len(recorder._opened))
        """,
    "many sockets": """
        phase("t.py::test_a (call)"); kept = [socket.socket() for _ in range(5)]; other = socket.socket(); other.close()
        pair = socket.socketpair(); dead = socket.socket(); del dead
        class Other: pass
        other = Other(); recorder._handlers["socket.__new__"]((other, 1, 1, 0), sys._getframe())
        recorder.resolve(); print([r.fd == s.fileno() for r, s in zip(recorder.records, kept)], recorder.records[5].fd)
        for record in recorder.records: record.fd, record.inode = -1, None
        recorder._unresolved.extend(recorder.records); recorder.resolve()
        """,
    "threads": """

        class Mine(threading.Thread): pass
        phase("t.py::test_a (call)"); BLOCK.set(7); kept = [threading.Thread(target=print), Mine(target=print)]
        for function in (kept[0]._bootstrap, kept[1]._bootstrap, print, kept.append, object(), [].sort):
            recorder.thread_starting(function, "wrap", sys._getframe())
            print(len(recorder._thread_records), recorder.records[-1].ref and recorder.records[-1].ref() in kept)
        def act(): go.wait(); open("/dev/null").close(); socket.socket().close()
        go = threading.Event(); thread = threading.Thread(target=act)
        db = ledger.open_scope("fixture", "db", "module", "c:8")
        recorder.thread_starting(thread._bootstrap, "wrap", sys._getframe())
        thread.start(); ledger.ready(db); go.set(); thread.join()
        """,
    "many threads": """
        import gc
        phase("t.py::test_a (call)"); kept = [threading.Thread(target=print) for _ in range(250)]
        for thread in kept: recorder.thread_starting(thread._bootstrap, "wrap", sys._getframe())
        del kept[3:], thread; gc.collect()
        recorder.forget_all(200) or recorder.forget(); print(len(recorder._thread_records))
        """,
    "blocks": """
        phase("t.py::test_a (call)")
        for number in (5, 0, 1 << 40, -1): BLOCK.set(number); open("/dev/null").close()
        """,
    "between tests": """
        phase("t.py::test_a (call)"); ledger.end_test(); open("/dev/null").close()
        """,
    "other flags": """
        phase("t.py::test_a (call)")
        for number, flags in enumerate((os.O_CREAT, 0, -1, 1 << 200, None, True, os.O_CREAT | os.O_EXCL)):
            recorder._handlers["open"]((f"{folder}/{number}", "w", flags), sys._getframe())
        """,
}


@pytest.mark.parametrize("name", ACTS)
def test_rarer_acts_are_recorded_the_same_with_it_and_without(name):
    told = recorded("from pytest_leakguard import native" + textwrap.dedent(ACTS[name]) + "\ntell()\n")
    assert len(told) > 25


def test_what_pytest_cleans_up_asks_for_nothing():
    """Python would find out too, at the cost of a call for each file and folder."""
    code = """
    asked = []
    recorder.created.tmp_roots = ("/nowhere/", folder + "/ours/")
    recorder.created.opening = lambda path, record: asked.append(path.replace(folder, ""))
    recorder.created.on_mkdir = lambda args, frame: asked.append(args[0].replace(folder, ""))
    for place in ("/ours/a", "/a", "/ours2", "/x/ours/"):
        for act in (lambda place: open(folder + place, "w"), lambda place: os.mkdir(folder + place + "d")):
            try: act(place)
            except OSError: pass
    print(asked)
    """
    code = "import sys, warnings; warnings.simplefilter('ignore')\n" + RECORDED + textwrap.dedent(code)
    assert run(code) == "['/a', '/ad', '/ours2', '/ours2d', '/x/ours/', '/x/ours/d']\n"


# -- instances

WATCHED = """
import gc, sys, types, threading
from pytest_leakguard.core.demands import parse_demand
from pytest_leakguard.probes.instances import Instances
from pytest_leakguard.probes.nursery import FULL
from pytest_leakguard.probes.objects import ObjectProbe
class Session: pass
class Connection:
    def __init__(self, inner=None): inner and inner()
    def close(self): pass
    def quit(self): pass
class Sub(Connection): pass
class Wrapping(Connection):
    def __init__(self): super().__init__()
class Newed(Connection):
    def __new__(cls): one = super().__new__(cls); one.__init__(); return one
class Meta(type):
    def __call__(cls, *args): return super().__call__(*args)
class Special(Connection, metaclass=Meta): pass
class Finalized(Connection):
    def __del__(self): self.close()
class Two(Session):
    def close(self): pass
    def shut(self): pass
class Both(Session):
    def close(self): pass
class Other(Session):
    pass
class Only:
    def close(self): pass
    def stop(self): pass
class Called(metaclass=Meta):
    def __init__(self): pass
class Again:
    def __new__(cls): one = super().__new__(cls); one.__init__(); return one
    def __init__(self): pass
    def close(self): pass
class Maker:
    def __init__(self, cls): self.one = cls()
    def __call__(self, cls): return cls()
    @staticmethod
    def __new__(made, cls): kept.append(cls()); return object.__new__(made)
DEMANDS = ["Session", "Connection: close|quit", "Two: close", "Two: shut", "Both: close", "Sub: quit", "Called",
           "Again: close"]
objects = ObjectProbe()
instances = Instances(objects, recorder)
instances.ask([parse_demand("__main__." + line, "here") for line in DEMANDS])
instances.ask([parse_demand("__main__.Only: close", "here")], "t.py::test_a")
instances.ask([parse_demand("__main__.Only: stop", "here")], "t.py::test_c")
instances.begin_test()
kept = []
def state(*more):
    for one in objects.nursery.made:
        print(one.plan.name, one.ref() is not None, one.is_done, one.duties, one.context,
              [(code.co_name, at) for code, at in one.stack])
    print(len(objects.nursery._owing), len(objects._entries), *more)
phase("t.py::test_a (call)")
state()
PLAIN = Session, Connection, Wrapping, Only, Called, Again, Finalized
def ask_once():
    for cls in PLAIN: cls()
    objects.mark()
def act(*acts):
    for each in acts: kept.append(each())
    state(); gc.collect(); state(); kept.clear(); state(); print(objects.mark()); state(objects.keys())
"""

INSTANCES = {
    "plain": "act(*PLAIN); act(Two, Both, Sub); act(*PLAIN)",
    "constructors": """
        act(Wrapping, Newed, Special, Called, Again); act(Called, Again)
        act(lambda: Maker(Session), lambda: Maker(Connection)(Connection))
        act(lambda: Connection(lambda: kept.append(Connection())), lambda: Connection(Session))
        one = Wrapping(); one.__init__(); act(one.__init__)
        """,
    "calls": """
        for cls in (Connection, Sub, Two, Both, Only, Wrapping, Special, Again):
            for calls in ("close", "quit", "shut", "stop", "close quit", "close shut", "close close", "stop close"):
                one = cls()
                for call in calls.split(): getattr(one, call, print)()
                state(call); twin = cls(); state(objects.mark()); del one, twin; state(objects.mark(), objects.keys())
        """,
    "finalizers": """
        Finalized(); state()
        one = Finalized(); one.close(); state(); del one; state(objects.mark())
        one = Finalized(); kept.append(one); one.quit(); state(objects.keys())
        del one; kept.clear(); state(objects.keys())
        """,
    "who owns it": """
        kept.append(Session()); state()
        phase("t.py::test_a (setup)"); kept.append(Connection())
        db = ledger.open_scope("fixture", "db", "module", "c:8"); kept.append(Connection()); ledger.ready(db)
        kept.append(Only()); state()
        ledger.end_test(); [kept.extend([Session(), Connection(), Only()]) for _ in range(3)]; state()
        ledger.begin_test("t.py::test_b"); phase("t.py::test_b (call)"); instances.begin_test()
        [kept.extend([Session(), Connection(), Only()]) for _ in range(3)]; kept[-1].close(); state()
        """,
    "threads": """
        def work(): go.wait(); kept.append(Connection()); kept.append(Session()); kept[0].close()
        go = threading.Event(); thread = threading.Thread(target=work)
        db = ledger.open_scope("fixture", "db", "module", "c:8")
        recorder.thread_starting(thread._bootstrap, "wrap", sys._getframe())
        thread.start(); ledger.ready(db); go.set(); thread.join(); act(Session)
        """,
    "when it is switched off": """
        one = Connection(); recorder.active = False; one.close(); kept.append(Connection()); state()
        recorder.active = True
        state(one.close())
        """,
    "many": """
        for number in range(FULL + 5): Connection().close(); Session()
        state(); kept.extend(Connection() for number in range(FULL + 5)); state()
        """,
    "new subclasses": """
        def look():
            instances.begin_test(); state(*[instances.classes.entry(cls).subclasses for cls in (Connection, Only)])
        look(); names = {"New": type("New", (Connection,), {})}; names["More"] = type("More", (names["New"],), {})
        names["Last"] = type("Last", (Only,), {"close": lambda self: None})
        act(names["New"], names["More"]); look(); state(instances.classes.entry(names["More"]) is not None)
        act(names["New"], names["More"], names["Last"]); look(); names.clear(); gc.collect(); look()
        last = type("Last", (Only,), {}); look(); del last; gc.collect(); look()
        """,
    "used again": """
        for number in range(50): one = Connection(); del one
        one = Connection(); one.close(); two = Connection()
        print([(one.ref() is not None, one.is_done) for one in objects.nursery.made])
        objects.nursery._owing.clear()  # by identity: how often that was used again is not the same in each run
        """,
}


@pytest.mark.parametrize("name", INSTANCES)
def test_instances_are_kept_the_same_with_it_and_without(name):
    told = recorded("\n" + WATCHED + "ask_once()\n" + textwrap.dedent(INSTANCES[name]) + "\nstate()\ninstances.stop()")
    assert len(told.splitlines()) > 4


def test_what_is_plain_is_not_left_to_python_and_all_else_is():
    """How many of those that are made, and of the calls, Python hears of: the first of each class, and what is rare."""
    code = """
    slow = []
    for name in ("_made", "_called"):
        def told(self, *args, name=name, call=getattr(Instances, name)):
            slow.append(name)
            return call(self, *args)
        setattr(Instances, name, told)
    class Session"""
    acts = """
    def count(what, *acts):
        slow.clear()
        for each in acts: each()
        print(f"{what}: {slow.count('_made')} {slow.count('_called')}")
    def close(cls, name="close"): return lambda: getattr(cls(), name)()
    plain = PLAIN[:4]
    count("first", *plain); count("again", *plain); count("closed", close(Connection), close(Connection, "quit"))
    count("another duty", close(Two)); count("not its name", close(Wrapping, "__init__")); count("no more", close(Only))
    one = Connection(); one.close(); count("twice", one.close); count("finalizer", Finalized)
    two = Connection(); count("a second time", two.__init__)
    count("a subclass's", Sub, Two, Special); count("constructors", lambda: Maker(Session), Called)
    ledger.end_test(); count("no test", *plain); ledger.begin_test("t.py::test_b"); phase("t.py::test_b (call)")
    count("other plan", *plain); count("no plan", Only)
    thread = threading.Thread(target=Connection); count("thread", thread.start, thread.join)
    recorder.active = False; count("off", Connection, one.close); recorder.active = True
    objects.mark(); count("many", *[Connection] * (FULL + 1))
    recorder.ledger = None; count("broken", Connection); recorder.ledger = ledger
    """
    watched = WATCHED.replace("class Session", textwrap.dedent(code), 1)
    program = "import sys, warnings; warnings.simplefilter('ignore')\n" + RECORDED + watched + textwrap.dedent(acts)
    told = dict(line.rsplit(": ", 1) for line in run(program).splitlines()[1:])
    assert told == {
        "first": "4 0", "again": "0 0", "closed": "0 0", "another duty": "1 1", "not its name": "0 0", "no more": "0 0",
        "twice": "0 1", "finalizer": "1 1", "a second time": "0 0", "a subclass's": "3 0", "constructors": "3 0",
        "no test": "4 0", "other plan": "1 0", "no plan": "1 0", "thread": "1 0", "off": "0 0", "many": "1 0",
        "broken": "1 0",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("instances", "is_emptied"),
    [
        ((), True),
        (("gone",), True),
        (("gone", "there"), False),
        (("owed gone",), False),
        (("closed gone", "gone"), True),
        (("closed there",), False),
        (("gone", "owed gone", "gone"), False),
    ],
)
def test_a_nursery_is_emptied_at_once_where_each_is_gone_and_owes_nothing(instances, is_emptied):
    nursery, kept = Nursery(), []
    for words in instances:
        one = Thing()
        duties = () if words in ("gone", "there") else (("close",),)
        nursery.add(one, Plan(name="a.B", event="B()", must_go=not duties, duties=duties), OUTSIDE, ())
        if "closed" in words:
            nursery.called(one, "close")
        kept.append(one if "there" in words else None)
        del one
    before = len(nursery.made), len(nursery._owing)
    assert nursery.clear_if_gone() is is_emptied
    assert (len(nursery.made), len(nursery._owing)) == ((0, 0) if is_emptied else before)


def test_a_constructor_that_calls_itself_is_no_maker():
    """Of a class without subclasses, that is told from within as well."""
    code = """
    import sys
    from pytest_leakguard.core.demands import parse_demand
    from pytest_leakguard.probes.instances import Instances
    from pytest_leakguard.probes.objects import ObjectProbe
    class Lone:
        def __init__(self, again=False): again and self.__init__()
    objects = ObjectProbe()
    instances = Instances(objects, recorder)
    instances.ask([parse_demand("__main__.Lone", "here")])
    phase("t.py::test_a (call)")
    def make(): return Lone(True)
    kept = Lone(), make()
    for one in objects.nursery.made: print([code.co_name for code, _ in one.stack])
    instances.stop()
    """
    assert recorded(code).count("['make', '<module>']") == 2


def test_the_owner_is_found_without_python():
    """Whatever stands in the brackets of a parameter; where it is not plain, the ledger is asked."""
    code = """
    asked = []
    class Asked(Ledger):
        @property
        def now(self):
            asked.append(1)
            return super().now
    ledger.__class__ = Asked
    for name in ("test_a[(setup)] (call)", "test_a (setup)", "test_a (teardown)", "test_a(x) (call)", "test_a (odd)"):
        phase(name); open("/dev/null").close(); print(len(asked), recorder.records[-1].context.phase)
    """
    told = run(RECORDED + textwrap.dedent(code))
    assert told == "0 call\n0 setup\n0 teardown\n0 call\n1 call\n"


# -- marks


def test_a_mark_that_cannot_be_asked_for_is_another_one():
    roster = Thing()
    roster.asked = [lambda: 1 / 0]
    assert native.part.have_marks(roster, (0,)) is False
    roster.asked = (lambda: 1,)
    assert native.part.have_marks(roster, (1,)) is False
    roster.asked = [lambda: float("nan"), lambda: 1]
    assert native.part.have_marks(roster, (1.0, 1)) is False
