"""What the cleanup ledger makes of the steps that it is told, one by one."""

from __future__ import annotations

import linecache
import sys
from types import SimpleNamespace

import pytest

from pytest_leakguard.faults.cleanup import Counts, Ledger, Watched
from pytest_leakguard.faults.cleanup_marks import Marks
from pytest_leakguard.faults.cleanup_paths import CleanupPath
from pytest_leakguard.faults.targets import Targets

FILE = "/proj/app/counted.py"
TEXT = """\
def f(a):
    with a:
        a()

def g(a):
    with a:
        yield a

class M:
    def __exit__(self, *error):
        pass
"""
linecache.cache[FILE] = (len(TEXT), None, TEXT.splitlines(keepends=True), FILE)
names: dict[str, object] = {}
exec(compile(TEXT, FILE, "exec"), names)
F, G, EXIT = names["f"].__code__, names["g"].__code__, names["M"].__exit__.__code__
KINDS = {("with", 2), ("with", 6), ("generator", 5), ("exit method", 10)}


def fresh(text: str) -> str:
    """An equal text that is another object."""
    return "".join(list(text))


def ledger() -> Ledger:
    return Ledger(Targets(root="/proj"))


def found(of: Ledger) -> set[tuple[str, int]]:
    return {(path.kind, path.line) for path in of.counts}


def frame_at(offset: int = 0) -> SimpleNamespace:
    """A running function, at an instruction."""
    return SimpleNamespace(f_lasti=offset)


def told(counts: Counts) -> tuple[int, int, int]:
    return counts.entered, counts.normal, counts.error


# -- which functions


def test_a_function_with_cleanup_paths_is_watched():
    """With the counts of its sites; a file's paths are all known from then on."""
    one = ledger()
    watched = one.watched(F)
    assert watched is one.watched(F)
    assert (len(watched.counts), watched.method, watched.generator) == (1, None, None)
    assert found(one) == KINDS
    assert one.watched(EXIT).method is one.watched(EXIT).counts[0]
    generator = one.watched(G)
    assert (generator.generator, len(generator.counts)) == (generator.counts[0], 2)


@pytest.mark.parametrize(
    ("filename", "name", "knows"),
    [
        (FILE, "<lambda>", True),
        (FILE, "other", True),
        (FILE, "<module>", False),
        ("/elsewhere/x.py", "f", False),
    ],
)
def test_others_are_not(filename, name, knows):
    """Nor does a module that is only imported, or code that is no target, make a file's paths known."""
    one = ledger()
    code = SimpleNamespace(co_filename=filename, co_name=fresh(name), co_firstlineno=1)
    assert one.watched(code) is None
    assert bool(one.counts) is knows


def test_files_can_be_added():
    """Those of targets that hold Python code."""
    one = ledger()
    one.add_files(["/elsewhere/x.py", "/proj/app/counted.txt"])
    assert (found(one), one._files) == (set(), {})
    one.add_files([FILE])
    assert found(one) == KINDS
    assert {told(counts) for counts in one.counts.values()} == {(0, 0, 0)}


# -- a `with` and a `finally`


def marked(*ways: str, withs=(0,)) -> Watched:
    """A function with one site; the ways are those of its instructions 0, 2, 4 ..."""
    marks = Marks(by_offset={2 * number: ((0, fresh(way)),) for number, way in enumerate(ways)}, withs=frozenset(withs))
    return Watched(marks, (Counts(),), None, None)


def run(watched: Watched, *offsets: int) -> tuple[int, int, int]:
    one, frame = ledger(), frame_at()
    one.started(frame, watched)
    for frame.f_lasti in offsets:
        one.line(frame, watched)
    one.returned(frame, watched)
    return told(watched.counts[0])


def test_a_with_is_left_as_often_as_it_is_entered():
    """Normally or by an error; what is told again belongs to another item of the same statement."""
    ways = ("entered", "normal", "error")
    assert run(marked(*ways), 0) == (1, 0, 0)
    assert run(marked(*ways), 0, 2) == (1, 1, 0)
    assert run(marked(*ways), 0, 4) == (1, 0, 1)
    assert run(marked(*ways), 0, 2, 2, 4) == (1, 1, 0)
    assert run(marked(*ways), 0, 4, 0, 2, 6) == (2, 1, 1)


def test_a_with_that_is_not_entered_is_not_left():
    """Also not by a frame that is another one, which may have its place in memory."""
    watched = marked("entered", "normal", "error")
    assert run(watched, 2, 4) == (0, 0, 0)
    one, frame = ledger(), frame_at()
    one.started(frame, watched)
    one.line(frame, watched)
    one.started(frame, watched)
    frame.f_lasti = 2
    one.line(frame, watched)
    assert told(watched.counts[0]) == (1, 0, 0)


def test_a_finally_runs_each_time_it_is_told():
    """It is not entered before."""
    assert run(marked("normal", "error", withs=()), 0, 0, 2, 4) == (3, 2, 1)


# -- generators


def test_a_generator_that_is_closed_early_has_run_under_an_error():
    """Once, however many of its frame's steps tell so; one that comes to its end has not."""
    watched = Watched(Marks(), (), None, Counts())
    one, frame, other = ledger(), frame_at(), frame_at()
    one.started(frame, watched)
    one.thrown(frame, watched)
    one.thrown(frame, watched)
    assert told(watched.generator) == (1, 0, 1)
    one.returned(frame, watched)
    one.returned(other, watched)
    assert told(watched.generator) == (2, 1, 1)
    one.returned(frame, watched)
    assert told(watched.generator) == (3, 2, 1)


def test_an_error_in_another_function_is_not_counted():
    """One that is no generator with something to clean up."""
    watched = marked("entered")
    one, frame = ledger(), frame_at()
    one.thrown(frame, watched)
    one.returned(frame, watched)
    assert told(watched.counts[0]) == (0, 0, 0)


# -- exit methods


def plain(self, kind, error, traceback):
    return sys._getframe()


def star(self, *error):
    _first = _kind = 1
    return sys._getframe()


def mixed(self, kind, *rest):
    return sys._getframe()


def only_star(*everything):
    return sys._getframe()


def named(self, *error, one=1, two=2):
    return sys._getframe()


def one_named(self, *error, one=1):
    return sys._getframe()


def none(self):
    _local = 1
    return sys._getframe()


@pytest.mark.parametrize("method", [plain, star, mixed, only_star, named, one_named])
@pytest.mark.parametrize("kind", [None, ValueError])
def test_an_exit_method_runs_under_the_error_that_it_is_given(method, kind):
    """However it takes its arguments; the first one after the object is the type of the error."""
    watched = Watched(Marks(), (), Counts(), None)
    ledger().started(method(object(), kind, kind and kind(), "a traceback"), watched)
    assert told(watched.method) == ((1, 1, 0) if kind is None else (1, 0, 1))


@pytest.mark.parametrize("method", [star, mixed, only_star])
def test_one_that_is_called_by_hand_with_a_type_only(method):
    """That is enough."""
    watched = Watched(Marks(), (), Counts(), None)
    ledger().started(method(object(), ValueError), watched)
    assert told(watched.method) == (1, 0, 1)


@pytest.mark.parametrize(
    "frame", [none(1), star(1), only_star(1), only_star()], ids=["none", "star", "self", "nothing"]
)
def test_one_that_is_called_by_hand_without_arguments_has_none(frame):
    """That is the normal way, and no error of ours."""
    watched = Watched(Marks(), (), Counts(), None)
    ledger().started(frame, watched)
    assert told(watched.method) == (1, 1, 0)


def test_the_counts_of_a_path_are_one():
    """Whoever asks for them."""
    one = ledger()
    path = CleanupPath(kind="with", path="x.py", line=1, qualname="f")
    one.of(path).entered += 1
    assert told(one.of(path)) == (1, 0, 0)
    assert one.counts == {path: Counts(1, 0, 0)}
