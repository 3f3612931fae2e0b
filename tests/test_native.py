"""The part in C does what the Python code does that stands in for it, and no more."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import textwrap

import pytest

from pytest_leakguard import native
from pytest_leakguard.origins import frames
from pytest_leakguard.origins.record import inode_of
from pytest_leakguard.probes.descriptors import Picture, key_of

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
@pytest.mark.parametrize("given", [(), (None, None, ()), (None, None, [], 1), (1, None, (), 1), (None, None, (), "x")])
def test_other_arguments_are_refused(given):
    with pytest.raises(TypeError):
        native.part.walk(*given)


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
        native.part.walk(frame, None, (), 64)
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


@needs_part
def test_a_size_that_cannot_be_had_is_an_error(tmp_path):
    with pytest.raises(FileNotFoundError):
        native.part.size_of(str(tmp_path / "none"))


# -- events

HOOKED = """
import sys, threading
from pytest_leakguard import native
told = []
def hook(event, args):
    told.append((event, args))
native.part.add_hook(hook)
"""


@needs_part
def test_the_hook_is_told_of_the_named_events_only():
    code = """
    sys.audit("app.a", 1)
    native.part.tell(("app.a", "app.b")); sys.audit("app.a", 2); sys.audit("app.b"); sys.audit("app.c")
    native.part.tell(("app.c", "app.b")); sys.audit("app.a", 3); sys.audit("app.b", 4); sys.audit("app.c", "x", 5)
    native.part.tell(()); sys.audit("app.b"); sys.audit("app.c")
    print(told)
    """
    expected = [("app.a", (2,)), ("app.b", ()), ("app.b", (4,)), ("app.c", ("x", 5))]
    assert run(HOOKED + textwrap.dedent(code)) == f"{expected}\n"


@needs_part
def test_there_is_one_hook_and_its_names_are_few_and_strings():
    code = """
    for call in (lambda: native.part.add_hook(hook), lambda: native.part.tell((1,)), lambda: native.part.tell(3),
                 lambda: native.part.tell([f"app.{i}" for i in range(5000)])):
        try:
            call()
        except Exception as error:
            print(type(error).__name__)
    native.part.tell(("app.1", "app.700")); sys.audit("app.1"); sys.audit("app.700"); sys.audit("app.2"); print(told)
    """
    told = "RuntimeError\nTypeError\nTypeError\nOverflowError\n[('app.1', ()), ('app.700', ())]\n"
    assert run(HOOKED + textwrap.dedent(code)) == told


@needs_part
def test_an_error_of_the_hook_comes_out_of_what_raised_the_event():
    code = """
    def hook(event, args):
        raise KeyError(event)
    """
    more = """
    native.part.tell(("open",))
    try:
        open("/dev/null")
    except KeyError as error:
        print(error)
    native.part.tell(())
    open("/dev/null").close()
    """
    hooked = HOOKED.replace("native.part.add_hook(hook)", "")
    code = hooked + textwrap.dedent(code) + "native.part.add_hook(hook)" + textwrap.dedent(more)
    assert run(code) == "'open'\n"


@needs_part
@pytest.mark.parametrize("setter", ["settrace", "setprofile"])
def test_a_tracer_does_not_see_the_hook_at_work_and_sees_what_comes_after(setter):
    code = """
    native.part.tell(("app.a",))
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
    native.part.tell(("app.a",))
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
    native.part.tell(("app.a",))
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
    native.part.tell(("app.a", "open"))
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
    hook.feed({"app.a": lambda args: events.append(("first", *args))})
    for name in [name for name in sys.modules if name.startswith("pytest_leakguard")]:
        del sys.modules[name]
    from pytest_leakguard.origins import hook as second
    assert second is not hook
    second.feed({"app.a": lambda args: events.append(("second", *args))})
    sys.audit("app.a", 1)
    hook.feed({})
    sys.audit("app.a", 2)
    print(events)
    """
    assert run(code) == "[('first', 1), ('second', 1), ('second', 2)]\n"


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


def test_the_findings_are_the_same_with_it_and_without(tmp_path):
    (tmp_path / "test_suite.py").write_text(SUITE)
    told = {}
    for name, env in (("with", {}), ("without", {"LEAKGUARD_PURE": "1"})):
        environ = {key: value for key, value in os.environ.items() if key != "LEAKGUARD_PURE"}
        subprocess.run(
            [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-p", "no:randomly",
             "--leakguard", "--leakguard-grace=0", f"--leakguard-json={tmp_path / name}.json"],
            cwd=tmp_path, env={**environ, **env}, capture_output=True, timeout=120, check=False,
        )  # fmt: skip
        findings = json.loads((tmp_path / f"{name}.json").read_text())["findings"]
        told[name] = sorted(
            repr([f["kind"], f["test"], f["phase"], f["owner"], f["origin"], f["fingerprint"]]) for f in findings
        )
    assert len(told["with"]) >= 7
    assert told["with"] == told["without"]
