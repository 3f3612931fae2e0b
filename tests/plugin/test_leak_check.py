"""The fixture leak_check: snapshots, blocks, tracked objects and context managers, with the flag and without it."""

from __future__ import annotations

import pickle
import sys

import pytest

from pytest_leakguard import LeakError
from pytest_leakguard.core.model import Finding, Origin, Owner

HEAD = """
import contextlib
import os
import socket
import sys
import tempfile
import threading
import weakref

import pytest

from pytest_leakguard import LeakCheck, LeakError

KEPT = []


@pytest.fixture
def path(tmp_path):
    (tmp_path / "a.txt").write_text("x")
    return tmp_path / "a.txt"


def kinds(findings):
    return sorted(finding.kind for finding in findings)
"""

FLAGS = pytest.mark.parametrize("flag", [(), ("--leakguard",)], ids=["without the flag", "with the flag"])


def by_test(findings) -> dict[str, list[str]]:
    told: dict[str, list[str]] = {}
    for finding in findings:
        told.setdefault(finding["test"].partition("::")[2], []).append(finding["kind"])
    return told


# each of these tests releases what it took, or has been told of it: all pass and nothing is found afterwards
QUIET = (
    HEAD
    + '''
# -- snapshot and diff

def test_diff_tells_what_is_new(leak_check, path):
    before = leak_check.snapshot()
    with open(path) as stream:
        (finding,) = leak_check.diff(before, leak_check.snapshot())
        assert (finding.kind, finding.verdict) == ("fd", "leaked")
        assert finding.subject.endswith("a.txt")
        assert finding.owner.kind == "test"
        assert finding.test.endswith("::test_diff_tells_what_is_new")
        assert finding.phase == "call"
        assert finding.origin.function == "test_diff_tells_what_is_new"
    assert leak_check.diff(before, leak_check.snapshot()) == []

def test_diff_of_equal_snapshots_is_empty(leak_check):
    first, second = leak_check.snapshot(), leak_check.snapshot()
    assert leak_check.diff(first, second) == leak_check.diff(first, first) == []

def test_diff_does_not_tell_what_is_gone(leak_check, path):
    with open(path):
        before = leak_check.snapshot()
    assert leak_check.diff(before, leak_check.snapshot()) == []

def test_diff_knows_a_number_that_is_used_again(leak_check, path, tmp_path):
    with open(path) as stream:
        number = stream.fileno()
        before = leak_check.snapshot()
    with open(tmp_path / "b.txt", "w") as stream:
        assert stream.fileno() == number
        (finding,) = leak_check.diff(before, leak_check.snapshot())
        assert finding.subject.endswith("b.txt")

def test_diff_has_all_kinds(leak_check, path):
    before = leak_check.snapshot()
    stop = threading.Event()
    with contextlib.ExitStack() as stack:
        stack.enter_context(open(path))
        stack.enter_context(socket.socket())
        stack.enter_context(tempfile.TemporaryDirectory(dir=os.environ["STRAY"]))
        threading.Thread(target=stop.wait, daemon=True).start()
        stack.callback(stop.set)
        assert kinds(leak_check.diff(before, leak_check.snapshot())) == ["fd", "socket", "temp", "thread"]

def test_diff_may_be_asked_again(leak_check, path):
    before = leak_check.snapshot()
    with open(path):
        after = leak_check.snapshot()
        first, second = leak_check.diff(before, after), leak_check.diff(before, after)
    assert first == second != []

# -- blocks

def test_a_clean_block_says_nothing(leak_check, path):
    with leak_check() as nothing:
        with open(path), socket.socket():
            pass
    assert nothing is None

def test_a_leaky_block_raises(leak_check, path):
    with pytest.raises(LeakError) as caught:
        with leak_check():
            KEPT.append(open(path))
    (finding,) = caught.value.findings
    assert (finding.kind, finding.verdict, finding.phase) == ("fd", "leaked", "call")
    assert finding.origin.function == "test_a_leaky_block_raises"
    assert finding.origin.line == sys._getframe().f_lineno - 4
    assert str(caught.value).startswith("\\nLEAK fd  ")
    assert "  acquired  call phase, " in str(caught.value)
    assert finding.due.startswith("end of the block; still open, ")
    assert isinstance(caught.value, AssertionError)
    KEPT.pop().close()

def test_what_a_block_told_is_not_told_again(leak_check, path):
    with pytest.raises(LeakError), leak_check():
        KEPT.append(open(path))
        KEPT.append(socket.socket())

def test_what_was_there_before_the_block_is_not_the_blocks(leak_check, path):
    with open(path):
        with leak_check():
            pass

def test_only_some_kinds(leak_check, path):
    with leak_check("socket", "thread"):
        first = open(path)
    with pytest.raises(LeakError) as caught, leak_check("socket", "fd"):
        second = open(path)
    assert kinds(caught.value.findings) == ["fd"]
    with leak_check("-fd"):
        third = open(path)
    for stream in (first, second, third):
        stream.close()

def test_unknown_kinds_and_bad_times_are_usage_errors(leak_check):
    with pytest.raises(pytest.UsageError, match="leak_check in .*unknown kind 'fsd'; did you mean 'fd'"):
        leak_check("fsd")
    with pytest.raises(pytest.UsageError, match="leak_check in .*bad time -1"):
        leak_check(grace=-1)

def test_several_leaks_are_told_together(leak_check, path):
    with pytest.raises(LeakError) as caught, leak_check():
        KEPT.extend([open(path), open(path), socket.socket()])
    assert [(f.kind, f.count) for f in caught.value.findings] == [("fd", 2), ("socket", 1)]

def test_a_thread_may_end_within_the_grace(leak_check):
    with leak_check(grace=5):
        threading.Timer(0.05, int).start()

def test_no_grace_means_one_look(leak_check):
    stop = threading.Event()
    thread = threading.Thread(target=stop.wait, daemon=True, name="patience")
    with pytest.raises(LeakError, match="thread 'patience', daemon") as caught:
        with leak_check(grace=0):
            thread.start()
    assert "1 look in" in caught.value.findings[0].due
    stop.set()
    thread.join()

def test_the_garbage_of_a_block_is_collected_first(leak_check, path):
    class Holder:
        pass

    with leak_check("socket", "thread", "temp"):
        holder = Holder()
        holder.me, holder.stream = holder, socket.socket()
        holder.stream.close()
        del holder

def test_what_only_the_collector_closed_is_told(leak_check, path):
    with pytest.raises(LeakError) as caught:
        with leak_check():
            open(path)
    (finding,) = caught.value.findings
    assert (finding.kind, finding.verdict) == ("unclosed", "unclosed")
    assert finding.origin.function == "test_what_only_the_collector_closed_is_told"

def test_an_error_of_the_body_comes_out_with_the_leak_as_a_note(leak_check, path):
    with pytest.raises(ZeroDivisionError) as caught:
        with leak_check():
            KEPT.append(open(path))
            1 / 0
    if sys.version_info >= (3, 11):
        (note,) = caught.value.__notes__
        assert "and this was left behind:" in note
        assert "LEAK fd  " in note

def test_an_error_of_a_clean_body_has_no_note(leak_check, path):
    with pytest.raises(ZeroDivisionError) as caught:
        with leak_check():
            with open(path):
                1 / 0
    assert not getattr(caught.value, "__notes__", [])

def test_a_skip_inside_a_block_is_a_skip(leak_check):
    with pytest.raises(pytest.skip.Exception), leak_check():
        pytest.skip("not today")

def test_nested_blocks_tell_each_leak_once(leak_check, path):
    with leak_check():
        with pytest.raises(LeakError) as caught, leak_check():
            KEPT.append(open(path))
        assert kinds(caught.value.findings) == ["fd"]

def test_an_outer_block_tells_what_its_inner_ones_did_not_see(leak_check, path):
    with pytest.raises(LeakError) as caught, leak_check():
        KEPT.append(socket.socket())
        with leak_check():
            with open(path):
                pass
    assert kinds(caught.value.findings) == ["socket"]

def test_one_block_may_be_used_again(leak_check, path):
    block = leak_check("fd")
    for _ in range(2):
        with block:
            with open(path):
                pass
    with pytest.raises(LeakError), block:
        KEPT.append(open(path))

@pytest.mark.allow_leaks("fd:*/a.txt", reason="kept on purpose")
def test_an_allowed_leak_is_no_error_of_a_block(leak_check, path):
    with leak_check():
        KEPT.append(open(path))

# -- track

class Thing:
    pass

def test_a_tracked_object_that_goes(leak_check):
    thing = Thing()
    assert leak_check.track(thing) is thing
    thing.me = thing

@pytest.mark.parametrize("held", [7, "text", (1, 2), None, 1.5], ids=repr)
def test_what_cannot_be_weakly_referenced(leak_check, held):
    name = type(held).__qualname__
    with pytest.raises(TypeError) as caught:
        leak_check.track(held)
    assert str(caught.value) == (
        f"leak_check.track: builtins.{name} objects can't be weakly referenced; "
        "track the object that holds it, or add '__weakref__' to the class's __slots__"
    )

class Slotted:
    __slots__ = ()

class SlottedWell:
    __slots__ = ("__weakref__",)

def test_slots(leak_check):
    with pytest.raises(TypeError, match="Slotted objects can't be weakly referenced"):
        leak_check.track(Slotted())
    leak_check.track(SlottedWell())

@pytest.fixture
def tracked(leak_check):
    return leak_check.track(Thing())

def test_a_value_of_a_function_fixture_goes_with_the_test(tracked):
    tracked.x = 1

class Rude:
    def __eq__(self, other):
        raise AssertionError("compared")
    __hash__ = None

def test_an_object_that_cannot_be_hashed_or_compared(leak_check):
    leak_check.track(Rude())

# -- releases

@contextlib.contextmanager
def careful(path):
    with open(path) as stream:
        yield stream

def test_releases_of_a_clean_manager(leak_check, path):
    entered = []
    def factory():
        entered.append(careful(path))
        return entered[-1]
    result = leak_check.releases(factory)
    families = [point.family for point in result.points]
    assert (set(families), families.count("acquire")) == ({"acquire", "release"}, 1)
    # a normal exit, four kinds of error, a second use; then the sweep: both counts, and after each release
    # and at the end a run without a fault
    assert len(entered) == 6 + 2 + len(result.trials) + families.count("release")

class Careless:
    """Leaks on normal exit, on an error, or when it is entered."""

    def __init__(self, path, when):
        self.path, self.when = path, when

    def __enter__(self):
        self.stream = open(self.path)
        if self.when == "entered":
            raise OSError("no")
        return self

    def __exit__(self, kind, *_):
        if self.when != ("normal" if kind is None else "error"):
            self.stream.close()
        else:
            KEPT.append(self.stream)

@pytest.mark.parametrize(
    ("when", "exercise"), [
        ("normal", "a normal exit"),
        ("error", "an error in the body, KeyboardInterrupt in the body, GeneratorExit in the body, "
         "CancelledError in the body"),
    ]
)
def test_releases_of_a_careless_manager(leak_check, path, when, exercise):
    with pytest.raises(LeakError) as caught:
        leak_check.releases(lambda: Careless(path, when))
    (finding,) = caught.value.findings
    assert (finding.kind, finding.origin.function.rpartition(".")[2]) == ("fd", "__enter__")
    assert finding.notes[-1] == f"left behind after {exercise}"

def test_releases_of_a_manager_that_swallows(leak_check, path):
    @contextlib.contextmanager
    def swallowing():
        with contextlib.suppress(Exception), open(path):
            yield
    leak_check.releases(swallowing)

def test_releases_when_the_factory_raises(leak_check, path):
    def factory():
        raise LookupError("no manager today")
    with pytest.raises(LookupError, match="no manager today"):
        leak_check.releases(factory)

def test_releases_when_entering_raises(leak_check, path):
    manager = Careless(path, "entered")
    with pytest.raises(OSError, match="no") as caught:
        leak_check.releases(lambda: manager)
    if sys.version_info >= (3, 11):
        (note,) = caught.value.__notes__
        assert "LEAK fd  " in note
    manager.stream.close()

def test_releases_when_leaving_raises(leak_check):
    @contextlib.contextmanager
    def rude():
        try:
            yield
        finally:
            raise RuntimeError("on the way out")
    with pytest.raises(RuntimeError, match="on the way out"):
        leak_check.releases(rude)

def test_the_name_for_annotations(leak_check):
    assert type(leak_check) is LeakCheck
'''
)


@FLAGS
def test_what_was_told_or_released_is_not_told_at_the_end(alone, pytester, flag):
    """Each use of the fixture behaves as documented, and none leaves anything to tell after the test."""
    pytester._monkeypatch.setenv("STRAY", str(pytester.mkdir("stray")))
    pytester.makepyfile(QUIET)
    ran = alone("--leakguard-grace=0.05", flag=flag)
    assert ran.result.ret == 0, ran.text
    assert ran.findings == []
    assert set(ran.result.parseoutcomes()) == {"passed"}
    assert ran.report["unused_allows"] == []


LEAKY = (
    HEAD
    + """
class Thing:
    pass

class Other(Thing):
    pass

def test_tracked_and_kept(leak_check):
    KEPT.append(leak_check.track(Thing()))  # tracked

def test_tracked_twice_and_kept(leak_check):
    thing = Thing()
    KEPT.append(leak_check.track(leak_check.track(thing)))

@pytest.mark.no_leaks("fd")
def test_tracked_and_kept_when_only_fd_is_watched(leak_check):
    KEPT.append(leak_check.track(Thing()))

@pytest.fixture(scope="module")
def registry():
    kept = []
    yield kept
    kept.clear()

def test_tracked_and_kept_by_a_wider_fixture_that_lets_go(leak_check, registry):
    registry.append(leak_check.track(Other()))

@pytest.fixture
def kept(leak_check):
    thing = leak_check.track(Thing())
    yield thing
    KEPT.append(thing)

def test_kept_by_a_fixtures_teardown(kept):
    pass

@pytest.mark.allow_leaks("object:*.Thing", reason="a cache")
def test_allowed(leak_check):
    KEPT.append(leak_check.track(Thing()))

def test_failed(leak_check):
    KEPT.append(leak_check.track(Thing()))
    assert 0

def test_failed_and_gone(leak_check):
    thing = leak_check.track(Other())
    assert thing is None

def test_outside_of_blocks(leak_check, path):
    KEPT.append(open(path))
    with leak_check():
        pass
    KEPT.append(socket.socket())

def test_diffed_and_still_there(leak_check, path):
    before = leak_check.snapshot()
    KEPT.append(open(path))
    assert leak_check.diff(before, leak_check.snapshot())

def test_block_fails(leak_check, path):
    with leak_check():
        KEPT.append(open(path))

def test_body_fails(leak_check, path):
    with leak_check():
        KEPT.append(open(path))
        assert 1 == 2, "my own"

def test_innocent(path):
    with open(path):
        pass
"""
)


@FLAGS
def test_what_is_left_at_the_end_is_told(alone, pytester, flag):
    """Tracked objects that stay are leaks with and without the flag; what is outside of blocks needs the flag."""
    file = pytester.makepyfile(LEAKY)
    ran = alone("--leakguard-grace=0.05", flag=flag)
    expected = {
        "test_tracked_and_kept": ["object"],
        "test_tracked_twice_and_kept": ["object"],
        "test_tracked_and_kept_when_only_fd_is_watched": [],
        "test_kept_by_a_fixtures_teardown": ["object"],
        "test_outside_of_blocks": ["fd", "socket"] if flag else [],
        "test_diffed_and_still_there": ["fd"] if flag else [],
    }
    assert by_test(ran.findings) == {test: kinds for test, kinds in expected.items() if kinds}
    others = {f["test"].partition("::")[2]: f["disposition"] for f in ran.report["findings"] if f not in ran.findings}
    assert others == {"test_allowed": "allowed", "test_failed": "note"}
    (tracked,) = ran.of("::test_tracked_and_kept")
    line = file.read_text().splitlines().index("    KEPT.append(leak_check.track(Thing()))  # tracked") + 1
    assert (tracked["origin"]["line"], tracked["origin"]["function"]) == (line, "test_tracked_and_kept")
    assert (tracked["origin"]["how"], tracked["phase"], tracked["count"]) == ("track", "call", 1)
    assert tracked["subject"] == f"{file.stem}.Thing"
    (twice,) = ran.of("::test_tracked_twice_and_kept")
    assert twice["count"] == 1
    failed = {line.split(" ")[1].partition("::")[2] for line in ran.result.outlines if line.startswith("FAILED ")}
    assert failed == {"test_failed", "test_failed_and_gone", "test_block_fails", "test_body_fails"}


DYING = """
import pytest
from pytest_leakguard import LeakError, guard

KEPT = []

@pytest.fixture
def path(tmp_path):
    (tmp_path / "data.txt").touch()
    return tmp_path / "data.txt"

def test_block(leak_check, path):
    with pytest.raises(LeakError), leak_check():
        KEPT.append(open(path))

def test_dies_later():
    KEPT.clear()

def test_guard(path):
    with pytest.raises(LeakError), guard():
        KEPT.append(open(path))

def test_dies_in_a_block(leak_check):
    with leak_check():
        KEPT.clear()

def test_diff(leak_check, path):
    before = leak_check.snapshot()
    KEPT.append(open(path))  # diffed
    assert leak_check.diff(before, leak_check.snapshot())
    KEPT.clear()

def test_another_on_the_same_path(leak_check, path):
    with pytest.raises(LeakError), leak_check():
        KEPT.append(open(path))
    KEPT.append(open(path))  # another
    KEPT.clear()

def test_another_in_a_block(leak_check, path):
    with pytest.raises(LeakError), leak_check():
        KEPT.append(open(path))
    with pytest.raises(LeakError) as raised, leak_check():
        open(path)
    assert [finding.kind for finding in raised.value.findings] == ["unclosed"]
    KEPT.clear()
"""


def test_what_a_block_told_is_not_told_again_when_it_dies(alone, pytester):
    """The collector's warning of it is silent, in a later test and in a later block; another file's is not."""
    file = pytester.makepyfile(DYING)
    ran = alone()
    ran.result.assert_outcomes(passed=7)
    lines = file.read_text().splitlines()
    marked = {
        mark: n for n, line in enumerate(lines, 1) for mark in ("diffed", "another") if line.endswith(f"# {mark}")
    }
    assert sorted((f["kind"], f["test"].partition("::")[2], f["origin"]["line"]) for f in ran.report["findings"]) == [
        ("unclosed", "test_another_on_the_same_path", marked["another"]),
        ("unclosed", "test_diff", marked["diffed"]),
    ]


@FLAGS
def test_the_failure_of_a_block_reads_well(alone, pytester, flag):
    """The message of the finding is what pytest shows, no frame of ours, and the line of the test's `with`."""
    pytester.makepyfile(
        HEAD
        + """
def test_block(leak_check, path):
    with leak_check():
        KEPT.append(open(path))

def test_releases(leak_check, path):
    class Careless:
        def __enter__(self): KEPT.append(open(path))
        def __exit__(self, *_): pass
    leak_check.releases(Careless)

def test_body(leak_check, path):
    with leak_check():
        KEPT.append(open(path))
        raise LookupError("my own")
"""
    )
    ran = alone(flag=flag)
    text = ran.text
    assert "fixtures.py" not in text
    assert text.count("E         what      fd ") >= 2
    assert text.count("LEAK fd  ") == (3 if sys.version_info >= (3, 11) else 2)
    ran.result.stdout.fnmatch_lines(
        [
            "*_ test_block _*",
            ">   *with leak_check():",
            "E *LeakError:*",
            "E *LEAK fd  *::test_block",
            "E *  acquired  *",
        ]
    )
    if sys.version_info >= (3, 11):
        ran.result.stdout.fnmatch_lines(["E *left behind after a normal exit*"])
    ran.result.stdout.fnmatch_lines(["*_ test_body _*", "E *LookupError: my own"])
    assert ran.findings == []
    assert ran.result.ret == 1


def test_the_fixture_may_be_asked_for_while_the_test_runs(alone, pytester):
    """Without the flag nothing was set up for it: getfixturevalue wakes the guard in mid-test."""
    pytester.makepyfile(
        HEAD
        + """
def test_before(path):
    KEPT.append(open(path))

def test_block(request, path):
    first = open(path)
    leak_check = request.getfixturevalue("leak_check")
    with leak_check():
        with open(path):
            pass
    with pytest.raises(LeakError) as caught, leak_check("fd"):
        KEPT.append(open(path))
    assert caught.value.findings[0].origin.function == "test_block"
    first.close()

def test_tracks(request):
    KEPT.append(request.getfixturevalue("leak_check").track(weakref.WeakSet()))

def test_after(path):
    KEPT.append(open(path))
"""
    )
    ran = alone(flag=())
    assert by_test(ran.findings) == {"test_tracks": ["object"]}
    assert ran.report["summary"]["tests"] == 2


def test_the_check_keeps_nothing_alive(alone, pytester):
    """A LeakError and its findings, kept by the test, hold strings only: the leaked object may die."""
    pytester.makepyfile(
        HEAD
        + """
def test_it(leak_check, path):
    with pytest.raises(LeakError) as caught, leak_check("fd"):
        stream = open(path)
    alive = weakref.ref(stream)
    KEPT.append(caught.value.with_traceback(None))
    del caught
    stream.close()
    del stream
    assert alive() is None
"""
    )
    alone(flag=()).result.assert_outcomes(passed=1)


def test_a_leak_error_travels():
    """It can be pickled (xdist, multiprocessing) and copied, with its findings."""
    finding = Finding(
        kind="fd", verdict="leaked", test="t", phase="call", owner=Owner(kind="test", scope="function", name="t"),
        what="fd 9", subject="x", origin=Origin(reason="r"), due="d", fix="f", allow="a", fingerprint="p",
    )  # fmt: skip
    error = LeakError([finding])
    again = pickle.loads(pickle.dumps(error))
    assert (type(again), again.findings, str(again)) == (LeakError, (finding,), str(error))
    assert str(error).startswith("\nLEAK fd  t\n  what      fd 9\n")


def test_releases_tries_errors_that_are_no_exceptions(alone, pytester):
    """A manager that cleans up for `Exception` only is found by the interrupt; one that always does is clean."""
    pytester.makepyfile(
        """
        import contextlib, os
        import pytest
        from pytest_leakguard import LeakError

        @contextlib.contextmanager
        def opened(caught):
            fd = os.open(__file__, os.O_RDONLY)
            try:
                yield
            except caught:
                os.close(fd)
                raise
            os.close(fd)

        def test_leaky(leak_check):
            with pytest.raises(LeakError) as caught:
                leak_check.releases(lambda: opened(Exception))
            (finding,) = caught.value.findings
            assert finding.count == 3
            assert finding.notes[-1].startswith("left behind after KeyboardInterrupt in the body, GeneratorExit")

        def test_clean(leak_check):
            leak_check.releases(lambda: opened(BaseException))
        """
    )
    ran = alone(flag=())
    ran.result.assert_outcomes(passed=2)
