"""The part in C does what the Python code does that stands in for it, and no more."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import textwrap
from typing import ClassVar

import pytest

from pytest_leakguard import native
from pytest_leakguard.origins import frames
from pytest_leakguard.origins.record import inode_of
from pytest_leakguard.probes.descriptors import DescriptorTable, Picture, key_of

needs_part = pytest.mark.skipif(native.part is None, reason=f"part in C: {native.STATE}")


@pytest.fixture(params=["C", "Python"])
def which(request, monkeypatch):
    """The part in C, then the code in its place."""
    if request.param == "C" and native.part is None:
        pytest.skip(f"part in C: {native.STATE}")
    if request.param == "Python":
        monkeypatch.setattr(native, "part", None)
    return request.param


def run(code: str, **env: str) -> str:
    """What a program prints that ends well and is silent on stderr."""
    environ = {name: value for name, value in os.environ.items() if name != "LEAKGUARD_PURE"}
    ran = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(code)], capture_output=True, text=True, timeout=60, check=False,
        env={**environ, **env},
    )  # fmt: skip
    assert (ran.returncode, ran.stderr) == (0, ""), ran.stdout
    return ran.stdout


# -- stacks


def expected(frame) -> list[tuple[object, int]]:
    """All frames from that one outwards."""
    found = []
    while frame is not None:
        found.append((frame.f_code, frame.f_lasti))
        frame = frame.f_back
    return found


def here():
    frame = sys._getframe(1)
    return frames.walk(frame), expected(frame)


def test_a_stack_is_told_as_far_as_the_call_that_pytest_made(which):
    stack, everything = here()
    assert 0 < len(stack) < len(everything)
    # the last stands for pytest's function that calls the test, wherever in it that is
    assert list(stack[:-1]) == everything[: len(stack) - 1]
    assert stack[-1][0].co_name == "pytest_pyfunc_call"
    assert stack[-1][1] == 0


def test_a_stack_of_a_generator_is_told(which):
    def made():
        yield here()

    ((stack, everything),) = made()
    assert [code.co_name for code, _ in stack[:2]] == ["made", "test_a_stack_of_a_generator_is_told"]
    assert list(stack[:2]) == everything[:2]


def test_a_stack_is_told_no_deeper_than_its_depth(which):
    def down(levels):
        return down(levels - 1) if levels else here()

    stack, everything = down(frames.DEPTH + 5)
    assert list(stack) == everything[: frames.DEPTH]


def test_no_frame_has_no_stack(which):
    assert frames.walk(None) == ()


def test_a_stack_that_begins_at_pytests_own_function_is_not_cut_there(which):
    frame = sys._getframe()
    while frame.f_code.co_name != "pytest_pyfunc_call":
        frame = frame.f_back
    assert frames.walk(frame)[0] == (frame.f_code, frame.f_lasti)


@needs_part
@pytest.mark.parametrize(
    ("call", "given", "error"),
    [
        ("walk", (1,), TypeError),
        ("end_stacks", (None, ()), TypeError),
        ("end_stacks", (None, [], 1), TypeError),
        ("end_stacks", (None, (3,), 1), TypeError),
        ("end_stacks", (None, ((1, 2),), 1), TypeError),
        ("end_stacks", (None, (), "x"), TypeError),
        ("end_stacks", (None, (), 65), ValueError),
        ("end_stacks", (None, (), -1), ValueError),
        ("feed", ([], None), TypeError),
        ("feed", ({},), TypeError),
        ("feed", ({1: print}, None), TypeError),
        ("unhush", ("x",), TypeError),
        ("count", (3,), AttributeError),
        ("inode_of", ("x",), TypeError),
        ("is_still", (3,), TypeError),
        ("have_marks", (3, ()), AttributeError),
        ("have_marks", (3, []), TypeError),
        ("Record", (1, 2, 3), TypeError),
        ("Newborn", (1, 2, 3), TypeError),
        ("Newborn", (1, 2, 3, 4), TypeError),
        ("made", (1, 2, 3, 4, 5, 6, sys._getframe()), TypeError),
        ("made", (), TypeError),
        ("called", (1, 2, 3, 4, 5), TypeError),
        ("have_new_subclasses", ([],), TypeError),
    ],
)
def test_other_arguments_are_refused(call, given, error):
    before = here()[0][1:]
    with pytest.raises(error):
        getattr(native.part, call)(*given)
    assert here()[0][1:] == before  # nothing of it was taken over


@needs_part
@pytest.mark.parametrize(
    "name", ["open_event", "socket_event", "bind_event", "connect_event", "mkdir_event", "thread_event", "add"]
)
def test_a_recorder_that_is_not_made_yet_refuses(name):
    bare = native.part.Recording()
    for given in ((), (1,), (1, 2, 3), ((), None), ((), None, None), ((), sys._getframe()), (1, 2, None)):
        with pytest.raises((TypeError, ValueError)):
            getattr(bare, name)(*given)
    with pytest.raises(TypeError):
        bare.forget_all(3)
    bare.resolve_all()
    with pytest.raises(TypeError):
        native.part.Crib().clear_if_gone()


@needs_part
def test_a_walk_asks_for_no_attribute_that_raises_an_event():
    told = run(
        """
        import sys
        from pytest_leakguard import native
        def hook(event, args):
            if watching: events.append(event)
        events, watching = [], False
        sys.addaudithook(hook)
        frame = sys._getframe()
        watching = True
        native.part.walk(frame)
        watching = False
        print(events)
        """
    )
    assert told == "[]\n"


# -- descriptors


def test_the_inode_of_a_descriptor_is_told(which, tmp_path):
    with open(tmp_path / "a", "w") as file:
        status = os.fstat(file.fileno())
        assert inode_of(file.fileno()) == (status.st_dev, status.st_ino)
        number = file.fileno()
    assert inode_of(number) is None
    assert inode_of(-1) is None


def test_a_picture_holds_until_a_descriptor_leads_elsewhere(which, tmp_path):
    with open(tmp_path / "a", "w") as first, open(tmp_path / "b", "w") as second, open(tmp_path / "c", "w") as other:
        picture = Picture([key_of(first.fileno()), key_of(second.fileno())])
        assert picture.is_still() is True
        os.dup2(other.fileno(), second.fileno())
        assert picture.is_still() is False
        assert Picture([key_of(first.fileno())]).is_still() is True
    assert Picture([(10_000, 1, 1, 0)]).is_still() is False
    assert Picture([]).is_still() is True


def test_the_last_descriptor_of_many_is_compared_too(which):
    ends = [os.pipe() for _ in range(20)]
    try:
        picture = Picture([key_of(number) for end in ends for number in end])
        assert picture.is_still() is True
        os.close(ends[-1][1])
        assert picture.is_still() is False
    finally:
        for end in ends[:-1]:
            os.close(end[0]), os.close(end[1])
        os.close(ends[-1][0])


@pytest.mark.parametrize("pure", ["", "1"])
def test_descriptors_are_counted(pure):
    """In a process of its own: a thread that waits in `accept`, as plugins have them, holds a number back."""
    code = """
    import os
    from pytest_leakguard.probes.descriptors import DescriptorTable
    table = DescriptorTable()
    before = table.count()
    file = open(os.devnull)
    print(table.count() - before, before - len(os.listdir("/proc/self/fd")))
    """
    assert run(code, LEAKGUARD_PURE=pure) == "1 -2\n"


def test_a_count_that_the_system_refuses_is_made_in_another_way(which):
    table = DescriptorTable()
    number = table.count()
    table.path = "/nowhere"
    with open(os.devnull):
        assert table.count() == table.counted == number + 1


# -- events

HOOKED = """
import sys, threading
from pytest_leakguard import native
told, failures = [], []
class Handlers(dict):
    def __init__(self, *events):
        super().__init__({event: lambda args, frame, event=event: told.append((event, args)) for event in events})
native.part.add_hook(failures.append)
"""


@needs_part
def test_each_handler_is_told_of_its_event_only():
    code = """
    sys.audit("app.a", 1)
    native.part.feed(Handlers("app.a", "app.b"), None); sys.audit("app.a", 2); sys.audit("app.b"); sys.audit("app.c")
    native.part.feed(Handlers("app.c", "app.b"), None); sys.audit("app.a", 3); sys.audit("app.b", 4)
    sys.audit("app.c", "x", 5)
    native.part.feed({}, None); sys.audit("app.b"); sys.audit("app.c")
    print(told)
    """
    expected = [("app.a", (2,)), ("app.b", ()), ("app.b", (4,)), ("app.c", ("x", 5))]
    assert run(HOOKED + textwrap.dedent(code)) == f"{expected}\n"


@needs_part
def test_a_handler_is_told_of_the_frame_that_calls():
    code = """
    frames = []
    def user(): sys.audit("app.a")
    native.part.feed({"app.a": lambda args, frame: frames.append(frame.f_code.co_name)}, None)
    user()
    print(frames)
    """
    assert run(HOOKED + textwrap.dedent(code)) == "['user']\n"


@needs_part
def test_there_is_one_hook_and_its_names_are_few_and_strings():
    code = """
    for call in (lambda: native.part.add_hook(print), lambda: native.part.feed({1: print}, None),
                 lambda: native.part.feed(3, None), lambda: native.part.feed(Handlers(*map(str, range(5000))), None)):
        try:
            call()
        except Exception as error:
            print(type(error).__name__)
    native.part.feed(Handlers("1", "700"), None); sys.audit("1"); sys.audit("700"); sys.audit("2")
    print(told)
    """
    told = "RuntimeError\nTypeError\nTypeError\nOverflowError\n[('1', ()), ('700', ())]\n"
    assert run(HOOKED + textwrap.dedent(code)) == told


@needs_part
def test_an_error_of_a_handler_is_told_and_goes_no_further():
    code = """
    def broken(args, frame): raise KeyError(args[0])
    native.part.feed({"open": broken}, None)
    open("/dev/null").close()
    native.part.feed({}, None)
    print(failures)
    """
    assert run(HOOKED + textwrap.dedent(code)) == "[KeyError('/dev/null')]\n"


@needs_part
def test_what_is_no_exception_comes_out():
    code = """
    def interrupt(args, frame): raise KeyboardInterrupt
    native.part.feed({"open": interrupt}, None)
    try:
        open("/dev/null")
    except KeyboardInterrupt:
        print("interrupted", failures)
    native.part.feed({}, None)
    """
    assert run(HOOKED + textwrap.dedent(code)) == "interrupted []\n"


@needs_part
def test_what_stands_in_for_the_handlers_may_raise():
    code = """
    def plan(event, args, frame): raise OSError(f"{event} fails")
    native.part.feed(Handlers("open"), plan)
    try:
        open("/dev/null")
    except OSError as error:
        print(error, told, failures)
    native.part.feed(Handlers("open"), None)
    open("/dev/null").close()
    print(len(told))
    """
    assert run(HOOKED + textwrap.dedent(code)) == "open fails [] []\n1\n"


@needs_part
def test_a_thread_that_is_hushed_is_left_out_and_no_other():
    code = """
    native.part.feed(Handlers("app.a"), None)
    before = native.part.hush()
    sys.audit("app.a", 1)
    inner = native.part.hush(); native.part.unhush(inner)
    print(native.part.is_hushed())
    thread = threading.Thread(target=sys.audit, args=("app.a", 2)); thread.start(); thread.join()
    native.part.unhush(before)
    sys.audit("app.a", 3)
    print(native.part.is_hushed(), told)
    """
    assert run(HOOKED + textwrap.dedent(code)) == "True\nFalse [('app.a', (2,)), ('app.a', (3,))]\n"


@needs_part
def test_a_handler_may_take_itself_away():
    code = """
    def once(args, frame): native.part.feed({}, None); told.append(args)
    native.part.feed({"app.a": once}, None)
    del once
    sys.audit("app.a", 1); sys.audit("app.a", 2)
    print(told)
    """
    assert run(HOOKED + textwrap.dedent(code)) == "[(1,)]\n"


@needs_part
@pytest.mark.parametrize("setter", ["settrace", "setprofile"])
def test_a_tracer_does_not_see_the_hook_at_work_and_sees_what_comes_after(setter):
    code = """
    native.part.feed(Handlers("app.a"), None)
    seen = []
    def tracer(frame, event, arg):
        if event == "call": seen.append(frame.f_code.co_name)
        return tracer
    def user():
        sys.audit("app.a")
        after()
    def after(): pass
    sys.SETTER(tracer); user(); sys.SETTER(None)
    print(seen, len(told))
    """
    assert run(HOOKED + textwrap.dedent(code).replace("SETTER", setter)) == "['user', 'after'] 1\n"


@needs_part
def test_events_of_other_threads_are_told():
    code = """
    native.part.feed(Handlers("app.a"), None)
    threads = [threading.Thread(target=lambda: [sys.audit("app.a", i) for i in range(1000)]) for _ in range(4)]
    [t.start() for t in threads]; [t.join() for t in threads]
    print(len(told))
    """
    assert run(HOOKED + textwrap.dedent(code)) == "4000\n"


@needs_part
def test_events_of_a_subinterpreter_are_not_told():
    pytest.importorskip("_xxsubinterpreters" if sys.version_info < (3, 13) else "_interpreters")
    code = """
    try:
        import _interpreters as interpreters
    except ImportError:
        import _xxsubinterpreters as interpreters
    native.part.feed(Handlers("app.a"), None)
    other = interpreters.create()
    interpreters.run_string(other, "import sys; sys.audit('app.a', 1)")
    interpreters.run_string(other, "import sys; sys.path[:] = PATH; from pytest_leakguard import native")
    interpreters.destroy(other)
    sys.audit("app.a", 2)
    print(told)
    """
    assert (
        run((HOOKED + textwrap.dedent(code)).replace("PATH", json.dumps(sys.path).replace('"', "'")))
        == "[('app.a', (2,))]\n"
    )


@needs_part
def test_a_thread_that_still_works_as_the_interpreter_ends_does_no_harm():
    code = """
    native.part.feed(Handlers("app.a", "open"), None)
    class Late:
        def __del__(self): sys.audit("app.a"); open("/dev/null").close()
    late = Late()
    late.self = late
    threading.Thread(target=lambda: [sys.audit("app.a") for _ in iter(int, 1)], daemon=True).start()
    print("ends")
    """
    assert run(HOOKED + textwrap.dedent(code)) == "ends\n"


def test_it_can_be_left_out():
    code = "from pytest_leakguard import native; print(native.part, native.STATE)"
    assert run(code, LEAKGUARD_PURE="1") == "None left out by LEAKGUARD_PURE; Python does the same\n"


def test_where_it_was_not_built_python_does_the_work():
    code = """
    import sys
    sys.modules["pytest_leakguard._native"] = None
    from pytest_leakguard import native
    print(native.part, native.STATE)
    """
    assert run(code) == "None not built for this Python, which does the same at more cost\n"


@needs_part
def test_an_import_that_was_undone_leaves_the_hook_to_it_and_the_next_has_one_of_its_own():
    code = """
    import sys
    from pytest_leakguard.origins import hook
    events = []
    hook.feed({"app.a": lambda args, frame: events.append(("first", *args))})
    for name in [name for name in sys.modules if name.startswith("pytest_leakguard")]:
        del sys.modules[name]
    from pytest_leakguard.origins import hook as second
    assert second is not hook
    second.feed({"app.a": lambda args, frame: events.append(("second", *args))})
    sys.audit("app.a", 1)
    hook.feed({})
    sys.audit("app.a", 2)
    print(events)
    """
    assert run(code) == "[('first', 1), ('second', 1), ('second', 2)]\n"


# -- the record

RECORDED = """
import os, pathlib, socket, sys, tempfile, threading
from pytest_leakguard.core.ledger import Ledger
from pytest_leakguard.core.model import Phase
from pytest_leakguard.origins import hook
from pytest_leakguard.origins.audit import Recorder
from pytest_leakguard.origins.phase import current_phase, sign
from pytest_leakguard.origins.record import BLOCK

ledger = Ledger(current_phase, sign)
recorder = Recorder(ledger)
folder = tempfile.mkdtemp()
recorder.created.tmp_roots = (folder + "/ours/",)
os.mkdir(folder + "/ours")
def phase(name): os.environ["PYTEST_CURRENT_TEST"] = name
def tell():
    for r in recorder.records:
        detail = r.detail.replace(folder, "") if isinstance(r.detail, str) else r.detail
        print(r.event, detail, r.how, r.number, r.block, r.raw, r.fd >= 0, r.inode is not None, bool(r.object_id),
              r.ref is not None, r.created.replace(folder, ""), r.over, r.context, [c.co_name for c, _ in r.stack][:2])
    print(recorder.moves, recorder.thread_starts, recorder.count, len(recorder._opened), len(recorder._unresolved),
          sorted(path.replace(folder, "") for path in recorder.created), recorder.active)
recorder.start()
ledger.begin_test("t.py::test_a")
"""

ACTS = {
    "files": """
        def act():
            phase("t.py::test_a (setup)"); a = open(folder + "/a", "w")
            phase("t.py::test_a (call)"); b = open(folder + "/ours/b", "w")
            os.close(os.open(folder + "/a", os.O_RDONLY)); os.close(os.open(folder + "/ours/d", os.O_CREAT | os.O_RDWR))
            open(pathlib.Path(folder + "/e"), "wb").close(); open(os.fsencode(folder) + b"/f", "wb").close()
            open(os.dup(0), closefd=True).close(); open(folder + "/a").close()
            os.mkdir(folder + "/x"); os.mkdir(folder + "/ours/y"); os.mkdir(pathlib.Path(folder + "/z"))
        act()
        """,
    "sockets": """
        class Mine(socket.socket):
            def fileno(self): raise AssertionError("ours to leave alone")
        def act():
            phase("t.py::test_a (call)")
            s = socket.create_server(("127.0.0.1", 0)); c = socket.create_connection(s.getsockname())
            m = Mine(); u = socket.socket(socket.AF_UNIX); u.bind(folder + "/u"); v = socket.socket(socket.AF_UNIX)
            v.bind(folder + "/ours/v"); gone = socket.socket(); del gone
            socket.SocketType()
            recorder.resolve(); tell()
            for one in (s, c, u, v): one.close()
            m._real_close()
        act()
        """,
    "threads": """
        class Mine(threading.Thread): pass
        def act():
            phase("t.py::test_a (call)"); BLOCK.set(7)
            for thread in (threading.Thread(target=open, args=("/dev/null",)), Mine(target=socket.socket)):
                thread.start(); thread.join()
                print(recorder.started_by(thread.ident))
        act()
        """,
    "who owns it": """
        def act():
            open("/dev/null"); phase("t.py::test_a (call)"); open("/dev/null")
            db = ledger.open_scope("fixture", "db", "module", "conftest.py:8"); open("/dev/null"); ledger.ready(db)
            phase("t.py::test_a (odd)"); open("/dev/null"); phase("t.py::test_a (teardown)"); open("/dev/null")
            del os.environ["PYTEST_CURRENT_TEST"]; open("/dev/null")
            ledger.end_test(); open("/dev/null"); ledger.begin_test("t.py::test_b"); phase("t.py::test_b (call)")
            open("/dev/null")
        act(); tell(); recorder.forget_all(5) or recorder.forget(); print(ledger.phase)
        """,
    "what is forgotten": """
        def act():
            phase("t.py::test_a (call)"); open(folder + "/a", "w"); open(folder + "/b", "w")
        def over(): recorder.forget_all(5) or recorder.forget(); print(len(recorder.records), len(recorder._opened))
        act(); over()
        act(); recorder.records[0].pinned = True; over()
        recorder.records[0].pinned, recorder.records[0].blamed = False, True; over()
        recorder.records[0].blamed = False; print(recorder.records[0].context.owner.kind); over()
        db = ledger.open_scope("fixture", "db", "module", ""); kept = open(folder + "/c", "w"); ledger.ready(db); over()
        ledger.closed(db); over()
        for _ in range(250):
            thread = threading.Thread(); thread.start(); thread.join()
        over(); print(len(recorder._thread_records) < 250)
        """,
    "what is waiting": """
        def act():
            phase("t.py::test_a (call)")
            recorder.waiting.append(lambda: print("asked")); open("/dev/null"); print(len(recorder.waiting))
            file = open(folder + "/a", "w"); recorder.records[-1].fd = file.fileno()
            recorder.records[-1].inode = tuple(os.fstat(file.fileno()))[2:0:-1]
            recorder._closing.append(([recorder.records[-1]], lambda record: print("closed", record.number)))
            file.close(); socket.socket().close(); print(recorder._closing)
        act()
        """,
}


@needs_part
@pytest.mark.parametrize("name", ACTS)
def test_the_record_is_the_same_with_it_and_without(name):
    code = RECORDED + textwrap.dedent(ACTS[name]) + "\ntell(); print(hook.failures())\n"
    code = "import sys, warnings; warnings.simplefilter('ignore')\n" + code
    told = run(code), run(code, LEAKGUARD_PURE="1")
    assert len(told[0]) > 70
    assert told[0] == told[1]
    assert told[0].endswith("[]\n")


@needs_part
def test_a_recorder_can_go():
    """It and its own handlers refer to each other; the collector sees through it."""
    code = """
    import gc, weakref
    from pytest_leakguard.core.ledger import Ledger
    from pytest_leakguard.origins.audit import Recorder
    recorder = Recorder(Ledger())
    recorder.start(); open("/dev/null").close(); recorder.stop()
    print(len(recorder.records))
    there = weakref.ref(recorder)
    del recorder
    gc.collect()
    print(there())
    """
    assert run(code) == "1\nNone\n"


# -- marks


@needs_part
def test_marks_are_compared_as_far_as_the_first_other_one():
    class Roster:
        asked: ClassVar = [lambda: 1, lambda: "a", lambda: 1 / 0]

    assert native.part.have_marks(Roster, (1, "a", 0)) is False
    del Roster.asked[2]
    assert native.part.have_marks(Roster, (1, "a")) is True
    assert native.part.have_marks(Roster, (1.0, "a")) is True
    assert native.part.have_marks(Roster, (2, "a")) is False
    assert native.part.have_marks(Roster, (1, "a", 3)) is False
    Roster.asked[:] = [Roster.asked.clear, lambda: 2]
    assert native.part.have_marks(Roster, (None, 2)) is True
    Roster.asked.append(sys.exit)
    with pytest.raises(SystemExit):
        native.part.have_marks(Roster, (0,))


# -- all of it together

SUITE = """
import os, socket, threading
import pytest

kept = []
early = os.open(__file__, os.O_RDONLY)

def test_file(tmp_path): kept.append(open(tmp_path / "a", "w"))
def test_again(tmp_path):
    with open(tmp_path / "a", "w"): pass
    kept.append(open(tmp_path / "a"))
def test_socket(): kept.append(socket.socket())
def test_pipe(): kept.append(os.pipe())
def test_thread():
    event = threading.Event(); kept.append(event)
    threading.Thread(target=event.wait, daemon=True).start()
def test_in_the_place_of_a_known_one(tmp_path):
    os.close(early)
    kept.append(os.open(tmp_path / "b", os.O_CREAT))
    assert kept[-1] == early
@pytest.fixture(scope="module")
def wide(tmp_path_factory):
    kept.append(open(tmp_path_factory.mktemp("w") / "c", "w"))
    yield
def test_wide(wide): pass
def test_clean(tmp_path):
    with open(tmp_path / "d", "w"): pass
    with socket.socket(): pass
"""


def told_both_ways(folder, *options):
    """The findings of the tests in a folder, with the part in C and without."""
    told = {}
    for name, env in (("with", {}), ("without", {"LEAKGUARD_PURE": "1"})):
        environ = {key: value for key, value in os.environ.items() if key != "LEAKGUARD_PURE"}
        subprocess.run(
            [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-p", "no:randomly",
             "--leakguard", "--leakguard-grace=0", f"--leakguard-json={folder / name}.json", *options],
            cwd=folder, env={**environ, **env}, capture_output=True, timeout=120, check=False,
        )  # fmt: skip
        report = json.loads((folder / f"{name}.json").read_text())
        assert report["errors"] == []
        told[name] = sorted(
            repr([f["kind"], f["what"], f["test"], f["phase"], f["owner"], f["origin"], f["fingerprint"]])
            for f in report["findings"]
        )
    return told


WATCHED = """
class Session:
    def __init__(self, name="s"): self.name = name
class Connection:
    def close(self): pass
    def __enter__(self): return self
    def __exit__(self, *error): self.close()
class Pooled(Connection): pass
class Finalized(Connection):
    def __del__(self): self.close()
class Both(Session):
    def shut(self): pass
class Twice(Connection):
    def __init__(self): super().__init__()
class Made(type):
    def __call__(cls, *args): return super().__call__(*args)
class Special(Connection, metaclass=Made): pass
"""

WATCHING = """
import threading
import pytest
import watched
kept = []

def test_leaves_session(): kept.append(watched.Session())
def test_forgets_close(): watched.Connection(); kept.append(watched.Connection())
def test_clean():
    watched.Session()
    with watched.Connection() as one, watched.Pooled(): one.close()
def test_pooled(): kept.append(watched.Pooled())
def test_finalizer(): watched.Finalized()
def test_special(): kept.append(watched.Special())
def test_twice():
    one = watched.Twice()
    one.__init__()
    kept.append(one)
def test_both():
    one = watched.Both(); one.shut(); kept.append(one)
    watched.Both().shut()
    watched.Both()
def test_many():
    for _ in range(1100): watched.Connection().close(), watched.Session()
def test_thread():
    thread = threading.Thread(target=lambda: kept.append(watched.Connection()))
    thread.start(), thread.join()
def test_new_subclass():
    class Later(watched.Connection): pass
    kept.append(Later())
@pytest.fixture(scope="module")
def wide():
    one = watched.Connection()
    yield one
def test_wide(wide): pass
def test_wide_again(wide): wide.close
@pytest.fixture
def breaks():
    kept.append(watched.Session("setup"))
    yield
    kept.append(watched.Connection())
def test_fixture(breaks): pass
"""

TRACKED = "watched.Session\nwatched.Connection: close\nwatched.Both: shut"


@needs_part
def test_the_instances_are_the_same_with_it_and_without(tmp_path):
    (tmp_path / "watched.py").write_text(WATCHED)
    (tmp_path / "test_watching.py").write_text(WATCHING)
    told = told_both_ways(tmp_path, "-o", f"leakguard_track={TRACKED}")
    assert len(told["with"]) >= 11
    assert told["with"] == told["without"]


@needs_part
def test_the_findings_are_the_same_with_it_and_without(tmp_path):
    (tmp_path / "test_suite.py").write_text(SUITE)
    told = told_both_ways(tmp_path)
    assert len(told["with"]) >= 7
    assert told["with"] == told["without"]
