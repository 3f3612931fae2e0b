"""What the instructions of a function say of its cleanup paths: made-up ones, as each version of Python writes them."""

from __future__ import annotations

import dis
import itertools
import linecache
import sys
from dataclasses import replace
from types import SimpleNamespace

import pytest

from pytest_leakguard.faults import cleanup_marks
from pytest_leakguard.faults.cleanup_marks import marks_of
from pytest_leakguard.faults.cleanup_paths import sites_of
from pytest_leakguard.faults.instructions import Step, steps_of

_numbers = itertools.count()


def fresh(text: str) -> str:
    """An equal text that is another object."""
    return "".join(list(text))


def made(*names: str, first: int = 0, **more) -> list[Step]:
    """Instructions of these names, two bytes each, all in one line."""
    plain = Step(offset=0, name="", line=1, argument=0, target=0, is_none=False)
    return [replace(plain, offset=first + 2 * number, name=fresh(name), **more) for number, name in enumerate(names)]


def code_of(text: str, name: str = "f"):
    """The code of a function, and its sites."""
    file = f"marks_made_up_{next(_numbers)}.py"
    linecache.cache[file] = (len(text), None, text.splitlines(keepends=True), file)
    names: dict[str, object] = {}
    exec(compile(text, file, "exec"), names)
    code = names[name].__code__
    return code, sites_of(file, "x.py").get((name, code.co_firstlineno), [])


# -- generators


def test_where_a_generator_waits():
    """At its `yield` and the instruction after it; what an `await` is made of comes after a SEND."""
    names = ("RESUME", "YIELD_VALUE", "SEND", "YIELD_VALUE", "SWAP", "YIELD_VALUE", "ZZZ")
    assert list(cleanup_marks._yields(made(*names, first=12))) == [14, 16, 22, 24]


def test_where_a_suspended_function_goes_on():
    """At a RESUME that tells why, at a YIELD_VALUE; in 3.10 at a YIELD_FROM, which it does again, and before it."""
    resumed = made("RETURN_GENERATOR", "RESUME", "YIELD_VALUE", "NOP")
    assert list(cleanup_marks._resumes(resumed)) == [4]
    others = made("NOP", "LOAD_CONST", "SEND", "RESUME", "ZZZ", argument=1)
    assert list(cleanup_marks._resumes(others)) == [6]
    assert list(cleanup_marks._resumes(made("NOP", "LOAD_CONST", "YIELD_FROM", "YIELD_ZZZ", "NOP"))) == [2, 4]


# -- errors


@pytest.mark.skipif(sys.version_info < (3, 11), reason="code has an exception table since 3.11")
@pytest.mark.parametrize("name", ["COPY", "SWAP"])
def test_an_error_comes_in_where_it_is_pushed(name):
    """Other entries of the table put the stack right: whatever they are called, they are none."""
    code, _ = code_of("def f(a):\n    with a:\n        a()\n")
    steps = [replace(step, name=name if step.name == "COPY" else fresh(step.name)) for step in steps_of(code)]
    (pushed,) = (step.offset for step in steps if step.name == "PUSH_EXC_INFO")
    assert {entry.target for entry in dis.Bytecode(code).exception_entries} > {pushed}
    assert cleanup_marks._error_entries(code, steps) == {pushed, pushed + 2}
    # elsewhere it is no beginning
    more = [*steps, *made("PUSH_EXC_INFO", first=1000)]
    assert cleanup_marks._error_entries(code, more) == {pushed, pushed + 2}


def test_before_3_11_an_error_comes_in_where_a_setup_leads(monkeypatch):
    """Not where a jump does, nor a SETUP that leads nowhere."""
    monkeypatch.setattr(dis, "Bytecode", lambda code: SimpleNamespace())
    steps = made("SETUP_FINALLY", "SETUP_WITH", "JUMP_FORWARD", target=20) + made("SETUP_ANNOTATIONS", first=6)
    code, _ = code_of("def f(): pass\n")
    assert cleanup_marks._error_entries(code, steps) == {20}


# -- lines


def line_numbers(*numbers: int, names: str = "ABCDEFGH") -> list[Step]:
    return [
        replace(step, line=int(str(line)))  # a number of its own: large equal ones may be two objects
        for step, line in zip(made(*names[: len(numbers)]), numbers, strict=True)
    ]


def test_the_start_of_a_line():
    """The first instruction, one after another line's, and what follows the end of a way through the line."""
    steps = line_numbers(300, 300, 300, 300, 301, 300)
    steps[1] = replace(steps[1], name="RETURN_VALUE")
    starts = [cleanup_marks._starts_a_line(steps, index) for index in range(6)]
    assert starts == [True, False, True, False, True, True]


def test_the_rest_of_a_line():
    """As far as the next line, be it above or below; or to the end."""
    steps = line_numbers(300, 300, 299, 300, 301)
    lengths = [len(cleanup_marks._rest_of_line(steps, index)) for index in range(5)]
    assert lengths == [2, 1, 1, 1, 1]


# -- the call of an exit

NONE = replace(made("LOAD_CONST")[0], is_none=True)


def calls_exit(*steps: Step, index: int = 0) -> bool:
    return cleanup_marks._calls_exit(steps, index)


def test_the_call_of_an_exit_without_an_error():
    """With three times None, however that is written, after what puts the stack in order."""
    load, twice, call, nop, swap = made("LOAD_CONST", "DUP_TOP", "CALL_FUNCTION", "NOP", "SWAP")
    assert calls_exit(NONE, NONE, NONE, call)
    assert calls_exit(swap, nop, NONE, twice, twice, call)
    assert not calls_exit(load, NONE, NONE, call)
    assert not calls_exit(NONE, call, NONE, call)
    assert not calls_exit(NONE, NONE, call, call)
    assert not calls_exit(NONE, NONE, NONE, load)
    # there is no more of it: a function ends
    assert not calls_exit(NONE, NONE, NONE)
    assert not calls_exit(nop)
    assert not calls_exit()


def test_a_call_far_behind_is_another_one():
    """It is looked for within ten instructions."""
    (nop, call) = made("NOP", "CALL")
    far = [nop] * 10 + [NONE, NONE, NONE, call]
    assert [calls_exit(*far, index=index) for index in (2, 3, 4, 5)] == [False, False, True, True]


# -- all together

WITH_AND_TRY = """\
def f(a):
    with a:
        a()
    try:
        a()
    except OSError:
        a(1)
    finally:
        a(2)
"""


def test_the_marks_of_a_function():
    """Each site is entered and left on its lines; the kinds are told by what they say, whoever made the text."""
    code, sites = code_of(WITH_AND_TRY)
    marks = marks_of(code, sites)
    assert (marks.lines, marks.withs) == ({2, 7, 9}, {0})
    lines = {step.offset: step.line for step in steps_of(code)}
    ways = {(number, way, lines[offset]) for offset, several in marks.by_offset.items() for number, way in several}
    assert ways >= {(0, "entered", 2), (0, "normal", 2), (0, "error", 2), (1, "error", 7), (2, "normal", 9)}
    assert (1, "normal", 7) not in ways
    again = [replace(site, path=replace(site.path, kind=fresh(site.path.kind))) for site in sites]
    assert marks_of(code, again) == marks
