"""What the families that watch the code run make of a step: a point, or none."""

from __future__ import annotations

import itertools
import linecache
from types import CodeType, SimpleNamespace

import pytest

from pytest_leakguard.faults import acquire
from pytest_leakguard.faults.callees import Callee
from pytest_leakguard.faults.families import injectors_for
from pytest_leakguard.faults.model import FAMILIES, STRICT_INTERRUPT
from pytest_leakguard.faults.points import Counting
from pytest_leakguard.faults.steps import body_injector, call_injector, interrupt_injector, release_injector
from pytest_leakguard.faults.targets import Targets

TARGETS = Targets(root="/proj")
TEXT = """\
def f(a):
    with a:
        a.work()
    with a:
        pass
"""
_numbers = itertools.count()


def fresh(text: str) -> str:
    """An equal text that is another object."""
    return "".join(list(text))


def code_of(text: str) -> CodeType:
    name = f"/proj/app/stepped_{next(_numbers)}.py"
    linecache.cache[name] = (len(text), None, text.splitlines(keepends=True), name)
    names: dict[str, object] = {}
    exec(compile(text, name, "exec"), names)
    return names["f"].__code__


CODE = code_of(TEXT)
ENDS: dict[int, int] = {}
for _, end, line in CODE.co_lines():
    ENDS.setdefault(line, end)


def points_of(injector, *lines: tuple[int, int]) -> list[tuple[str, int]]:
    """What is counted when these lines are told, each at an instruction: name and line of the points."""
    counting = Counting(injector.family, TARGETS, [])
    listener = injector.listen(counting)
    for number, offset in lines:
        assert listener.line(SimpleNamespace(f_code=CODE, f_lasti=offset), number) is None
    return [(point.what, point.line) for point in counting.points]


def test_a_line_is_a_point_at_its_first_instructions():
    """Not where Python comes back to it, nor a line that is no point at all."""
    begins = [(number, ENDS[number] - 2) for number in (2, 3, 4, 5)]
    again = [(number, ENDS[number] + more) for number in (2, 3, 4, 5) for more in (0, 2)]
    body, interrupt = body_injector(TARGETS), interrupt_injector(TARGETS)
    assert points_of(body, *begins, *again) == [("with", 3)]
    assert points_of(interrupt, *begins, *again) == [("work", 3)]


def test_strict_interrupts_come_also_on_the_way_out():
    """At the line of a `with` when it is left, before its exit is called; each time."""
    strict = interrupt_injector(TARGETS, strict=True)
    again = [(number, ENDS[number] + more) for number in (2, 3, 4, 5) for more in (0, 2)]
    assert points_of(strict, *again) == [("strict-with", 2), ("strict-with", 2), ("strict-with", 4), ("strict-with", 4)]
    assert points_of(strict, (2, ENDS[2] - 2), (3, ENDS[3] - 2)) == [("work", 3)]


def called(injector, callee: Callee, step: str) -> list[tuple[str, int]]:
    counting = Counting(injector.family, TARGETS, [])
    getattr(injector.listen(counting), step)(SimpleNamespace(f_code=CODE, f_lasti=0, f_lineno=7), callee)
    return [(point.what, point.line) for point in counting.points]


@pytest.mark.parametrize(
    ("name", "fails", "releases"), [("work", True, False), ("close", False, True), ("append", False, False)]
)
def test_calls_fail_and_releases_fail_after_their_effect(name, fails, releases):
    """What does neither is no point of the two."""
    callee = Callee(name, "app", True)
    assert called(call_injector(TARGETS), callee, "call") == ([(name, 7)] if fails else [])
    assert called(release_injector(TARGETS), callee, "returned") == ([(name, 7)] if releases else [])


@pytest.mark.parametrize("families", [(), *((family,) for family in FAMILIES), FAMILIES, ("body", "zzz")])
def test_the_injectors_are_those_of_the_families(families):
    """Each that is asked for has its own; the releases come last, since they may leave something in a bad state."""
    found = [injector.family for injector in injectors_for(families, TARGETS)]
    assert set(found) == set(families) & set(FAMILIES)
    assert len(found) == len(set(found))
    assert "release" not in found[:-1]


def test_interrupts_are_strict_when_that_is_named():
    """Beside the name of the family."""
    at_exit = (2, ENDS[2])
    (usual,) = injectors_for(("interrupt",), TARGETS)
    (strict,) = injectors_for(("interrupt", STRICT_INTERRUPT), TARGETS)
    assert (points_of(usual, at_exit), points_of(strict, at_exit)) == ([], [("strict-with", 2)])


# -- acquisitions that the standard library makes for itself

STDLIB = linecache.__file__


def frame(name: str, file: str = STDLIB, **values: object) -> SimpleNamespace:
    code = SimpleNamespace(co_name=fresh(name), co_filename=file)
    return SimpleNamespace(f_code=code, f_locals=values)


@pytest.mark.parametrize(
    ("event", "args", "where", "expected"),
    [
        ("socket.__new__", (), frame("__init__", fileno=3), True),
        ("socket.__new__", (), frame("__init__", "/proj/x.py", fileno=0), True),
        ("socket.__new__", (), frame("__init__", fileno=None), False),
        ("socket.__new__", (), frame("__init__"), False),
        ("socket.__new__", (), frame("__enter__", fileno=3), False),
        ("socket.__new__", (), frame("make", fileno=3), False),
        ("os.mkdir", ("x",), frame("__init__", fileno=3), False),
        ("subprocess.Popen", ("x",), frame("__init__", fileno=3), False),
        ("os.fork", (), frame("_launch"), True),
        ("os.fork", (), frame("run", "/proj/x.py"), False),
        ("os.fork", (), frame("run", "/env/site-packages/dep/x.py"), False),
        ("open", (3, "r", 5), frame("__init__"), True),
        ("open", (3, "r", 5), frame("zzz"), True),
        ("open", (3, "r", 5), frame("fdopen"), False),
        ("open", (3, "r", 5), frame("__init__", "/proj/x.py"), False),
        ("open", ("x", "r", 5), frame("__init__"), False),
        ("mmap.__new__", (3, 1, 1), frame("__init__"), False),
        ("os.truncate", (3, 1), frame("run"), False),
        ("socket.connect", (3, "x"), frame("run"), False),
    ],
)
def test_what_the_library_wraps_or_shares(event, args, where, expected):
    """A socket object for a descriptor that is there, a file for one end of a pipe, a fork with its pipes."""
    assert acquire._is_handed_over(fresh(event), args, where) is expected
