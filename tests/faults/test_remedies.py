"""The remedy follows from the shape of the code that a leak came from."""

from __future__ import annotations

from dataclasses import replace

import pytest

from pytest_leakguard.core.model import Finding, Origin, Owner
from pytest_leakguard.faults import remedies
from pytest_leakguard.faults.model import FaultFinding, FaultPoint
from pytest_leakguard.faults.remedies import remedy

CODE = """\
import contextlib

def work(path):
    fd = open(path)  # 4
    other = open(path)  # 5
    fd.close()

class Pool:
    def __init__(self):
        self.a = open("a")  # 10
        self.b = open("b")
    def __enter__(self):
        self.a = open("a")  # 13
        self.b = open("b")

@contextlib.contextmanager
def bare(path):
    fd = open(path)  # 18
    yield fd
    fd.close()

@contextlib.contextmanager
def guarded(path):
    fd = open(path)  # 24
    try:
        yield fd
    finally:
        fd.close()

@contextlib.contextmanager
def in_a_block(path):
    fd = open(path)  # 32
    with path:
        print(
            (yield fd),
        )

@contextlib.contextmanager
def yields_before(path):
    yield 1
    fd = open(path)  # 41
    fd.close()

@contextlib.contextmanager
def caught(path):
    fd = open(path)  # 46
    try:
        yield from fd
    except OSError:
        fd.close()

@contextlib.contextmanager
def at_once(path):
    yield open(path)  # 54
"""
# far down, where numbers of lines are no small ones
CODE += (
    "\n" * 250
    + """\
def far(path):
    fd = open(path)  # far
    fd.close()

@contextlib.contextmanager
def after_a_block(path):
    fd = open(path)  # after
    with path:
        pass
    yield fd

@contextlib.contextmanager
def last_of_a_block(path):
    fd = open(path)  # last
    with path:
        pass
        yield fd

@contextlib.contextmanager
def last_of_a_try(path):
    fd = open(path)  # tried
    try:
        pass
        yield fd
    finally:
        fd.close()

@contextlib.contextmanager
def first_of_a_block(path):
    fd = open(path)  # first
    with path:
        yield fd
        pass
"""
)


def line_of(mark: str) -> int:
    return 1 + next(number for number, line in enumerate(CODE.splitlines()) if line.endswith(f"# {mark}"))


POINT = FaultPoint(family="call", path="app.py", qualname="work", what="load", occurrence=1, line=5)
LEAK = Finding(
    kind="fd", verdict="leaked", test="t", phase="call", owner=Owner(kind="test", scope="function", name="t"),
    what="fd 3", subject="a", origin=Origin(), due="", fix="", allow="", fingerprint="f",
)  # fmt: skip


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    """A folder with the code above."""
    root = tmp_path_factory.mktemp("remedies")
    (root / "app.py").write_text(CODE)
    return str(root)


def finding(line: int | None, *stack: str, family="call", what="load", passed=(), file: str | None = "app.py"):
    """A leak that was acquired in that line, and where the fault came, innermost first."""
    leak = replace(LEAK, origin=Origin(file=file, line=line, function="f", how="audit", event="open"))
    point = replace(POINT, family="".join(list(family)), what=what)
    return FaultFinding(
        fault="leak", point=point, mode="transient", what="fd 3", leak=leak, stack=stack, passed=tuple(passed)
    )


WORK_4, WORK_5 = "app.py:4 in work", "app.py:5 in work"


@pytest.mark.parametrize(
    ("found", "expected"),
    [
        (finding(4, WORK_5, family="release"), remedies.FAILED_CLEANUP),
        (finding(4, WORK_5, family="acquire"), remedies.SECOND_ACQUISITION),
        (finding(4, WORK_5, what="open"), remedies.SECOND_ACQUISITION),
        (finding(4, WORK_5), remedies.UNPROTECTED.format(first=4)),
        (finding(4, WORK_4), ""),  # on the very line: there is nothing between
        (finding(5, WORK_4), ""),  # in a loop
        (finding(4, WORK_5, family="cancel"), remedies.TOO_LATE.format(first=4, last=5)),
        (finding(4, WORK_5, family="interrupt"), remedies.TOO_LATE.format(first=4, last=5)),
        (finding(4, WORK_5, family="timeout"), remedies.TOO_LATE.format(first=4, last=5)),
        (finding(4, WORK_4, family="timeout"), ""),
        (finding(5, WORK_4, family="timeout"), ""),
        (finding(line_of("far"), f"app.py:{line_of('far')} in far", family="timeout"), ""),
        (
            finding(4, WORK_5, family="cancel", passed=["with x (1)", "except OSError (app.py:9)", "except E (2)"]),
            remedies.NARROW.format(passed="except OSError"),
        ),
        (finding(4, WORK_5, passed=["with x (app.py:9)"]), remedies.UNPROTECTED.format(first=4)),
        (finding(10, "app.py:11 in Pool.__init__"), remedies.HALF_CONSTRUCTED.format(name="__init__")),
        (finding(13, "app.py:14 in Pool.__enter__"), remedies.HALF_ENTERED.format(name="__enter__")),
        (finding(10, "app.py:11 in Pool.__init__", family="release"), remedies.FAILED_CLEANUP),
        (finding(13, "main.py:3 in main"), ""),  # it had returned: no generator
        (finding(4, "lib.py:3 in load", WORK_5, "main.py:1 in main"), remedies.UNPROTECTED.format(first=4)),
    ],
)
def test_each_shape_has_its_remedy(found, expected, root):
    """By the family of the fault, the name of the function, and where it was when the fault came."""
    assert remedy(found, root) == expected


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        (18, remedies.BARE_YIELD.format(name="bare")),
        (24, ""),
        (32, ""),
        (41, ""),  # the yield is above
        (46, remedies.BARE_YIELD.format(name="caught")),  # what is caught is not all that may come
        (54, remedies.BARE_YIELD.format(name="at_once")),
        (line_of("after"), remedies.BARE_YIELD.format(name="after_a_block")),
        (line_of("last"), ""),
        (line_of("tried"), ""),
        (line_of("first"), ""),
    ],
)
def test_a_generator_that_has_given_its_value_out(line, expected, root):
    """Where the error of the body comes out at a `yield` that no cleanup is around."""
    assert remedy(finding(line, "test_app.py:3 in test_it"), root) == expected


@pytest.mark.parametrize(
    "stack",
    [
        "app.py:5 in other",
        "app.py:5 in zoo",
        "lib.py:5 in work",
        "aaa.py:5 in work",
        "app.py:x in work",
        "app.py:5",
        "work",
    ],
)
def test_a_function_that_was_not_running_has_no_line(stack, root):
    """Another function, another file, or what can't be read."""
    assert remedy(finding(4, stack, family="acquire"), root) == ""
    assert remedy(finding(4, stack, WORK_5, family="acquire"), root) == remedies.SECOND_ACQUISITION


def test_where_the_origin_is_not_known_there_is_no_remedy(root):
    """Nor without a leak, nor for a line in no function, nor in a file that is not there."""
    assert remedy(replace(finding(4, WORK_5, family="release"), leak=None), root) == ""
    for line, file in ((None, "app.py"), (4, None), (1, "app.py"), (4, "none.py")):
        assert remedy(finding(line, WORK_5, family="release", file=file), root) == ""


def test_python_3_10_tells_functions_by_their_bare_names(root):
    """The last part of the name is enough."""
    expected = remedies.HALF_CONSTRUCTED.format(name="__init__")
    assert remedy(finding(10, "app.py:11 in __init__"), root) == expected


def test_both_kinds_of_lines_are_tried_as_the_last_one():
    """Even and odd: what is counted from there must not depend on it."""
    assert {(line_of("last") + 3) % 2, (line_of("tried") + 3) % 2} == {0, 1}
