"""What the source tells: functions and their names, the cleanups around a line, which lines are points."""

from __future__ import annotations

import ast
import itertools
import linecache
from dataclasses import replace
from types import CodeType

import pytest

from pytest_leakguard.faults.cleanups import Cleanup, around, blocks_of, is_try
from pytest_leakguard.faults.lines import lines_of
from pytest_leakguard.faults.model import STRICT
from pytest_leakguard.faults.source import function_at, node_of, own_nodes, qualname_of, source_of

_numbers = itertools.count()


def written(text: str) -> str:
    """The name of a file with that source, which lies in memory only."""
    name = f"made_up_{next(_numbers)}.py"
    linecache.cache[name] = (len(text), None, text.splitlines(keepends=True), name)
    return name


def codes(text: str) -> dict[str, CodeType]:
    """The code of all functions by their bare names."""
    found: dict[str, CodeType] = {}
    waiting = [compile(text, written(text), "exec")]
    while waiting:
        code = waiting.pop()
        found[code.co_name] = code
        waiting += [const for const in code.co_consts if isinstance(const, CodeType)]
    return found


def line_of(text: str, mark: str = "# here") -> int:
    return 1 + next(number for number, line in enumerate(text.splitlines()) if mark in line)


# -- functions

NESTED = """\
import functools

def plain():
    return 1

class Pool:
    @property
    @functools.cache
    def size(self):
        def inner():
            return 3
        return inner, lambda: 4

    async def get(self):
        if True:
            def late(): return 5
        return [
            6,
        ]

after = 7
"""


@pytest.mark.parametrize(
    ("line", "name"),
    [
        (1, None), (3, "plain"), (4, "plain"), (5, None), (6, None), (7, "Pool.size"), (9, "Pool.size"),
        (10, "Pool.size.<locals>.inner"), (11, "Pool.size.<locals>.inner"), (12, "Pool.size.<locals>.<lambda>"),
        (13, None), (14, "Pool.get"), (16, "Pool.get.<locals>.late"), (17, "Pool.get"), (19, "Pool.get"), (20, None),
        (21, None),
    ],
)  # fmt: skip
def test_the_innermost_function_of_a_line(line, name):
    """From the first decorator to the last line; what stands in no function is in none."""
    found = function_at(written(NESTED), line)
    assert (found and found[0]) == name


def test_names_and_nodes_of_code():
    """The qualified name, also where the code object does not keep it; the node of the very function."""
    found = codes(NESTED)
    names = {"plain": "plain", "size": "Pool.size", "inner": "Pool.size.<locals>.inner", "get": "Pool.get"}
    for name, qualname in names.items():
        assert qualname_of(found[name]) == qualname
        node = node_of(found[name])
        assert node is not None
        assert node.name == name
    entries = source_of(found["size"].co_filename).functions
    assert {name: entry[0] for (name, _), entry in entries.items()} == {
        **names, "<lambda>": "Pool.size.<locals>.<lambda>", "late": "Pool.get.<locals>.late",
    }  # fmt: skip
    assert entries["size", 7][1] is node_of(found["size"])


def test_of_two_that_begin_in_one_line_the_inner_one_has_it():
    """A lambda in a function, and one in its decorator, which is no part of another function."""
    assert function_at(written("def f(): return lambda: 1\n"), 1)[0] == "f.<locals>.<lambda>"
    text = "@wrap(lambda: 1)\ndef f():\n    pass\n"
    assert [function_at(written(text), line)[0] for line in (1, 2, 3)] == ["f.<locals>.<lambda>", "f", "f"]


class OldCode:
    """A code object of Python 3.10, which has no qualified name."""

    def __init__(self, code: CodeType) -> None:
        self.co_name, self.co_firstlineno, self.co_filename = code.co_name, code.co_firstlineno, code.co_filename


def test_before_python_3_11_the_source_tells_the_qualified_name():
    """Or nobody does: then it is the bare one."""
    code = OldCode(codes(NESTED)["get"])
    assert qualname_of(code) == "Pool.get"
    code.co_firstlineno = 99
    assert qualname_of(code) == "get"
    assert node_of(code) is None


@pytest.mark.parametrize("text", ["def f(:\n", "x = '\0'\n", ""])
def test_what_cannot_be_parsed_has_no_functions(text):
    """Nor has a file that is not there."""
    assert source_of(written(text)).functions == {}
    assert function_at("nowhere.py", 1) is None


def test_the_nodes_of_a_function_are_not_those_of_functions_in_it():
    """Of classes and lambdas neither."""
    (function,) = ast.parse("def f():\n  a\n  if b:\n    c\n  def g(): d\n  class H: e\n  lambda: i\n").body
    assert {node.id for node in own_nodes(function) if isinstance(node, ast.Name)} == {"a", "b", "c"}


# -- cleanups around a line


def around_line(code: CodeType, line: int, is_entered: bool = True) -> list[Cleanup]:
    """Those that the first instruction of a line is inside of, or the one whose manager is still made."""
    offset = next(start for start, _, at in code.co_lines() if at == line)
    return [one for one in around(code, line, offset) if one.is_entered is is_entered]


TRIES = """\
def f(path):
    outside()  # outside
    try:
        with open(path) as file, lock:
            file.read()  # deep
        tried()  # tried
    except (OSError, ValueError) as error:
        handled()
        again()  # handled
    except:
        bare()
    else:
        other()  # else
    finally:
        final()  # final
    with a(), b(  # first
        1,
    ), c(
        2,  # header
    ):
        body()  # body
    for x in y:
        with d:
            def inner():
                pass  # inner
            looped()  # loop
        if x:
            try:
                last()  # last
            finally:
                pass
"""


@pytest.mark.parametrize(
    ("mark", "texts"),
    [
        ("# outside", []),
        ("# deep", ["with lock", "with open(path)", "except (OSError, ValueError)", "except", "finally"]),
        ("# tried", ["except (OSError, ValueError)", "except", "finally"]),
        ("# handled", ["finally"]),
        ("# else", ["finally"]),
        ("# final", []),
        ("# body", ["with c(2)", "with b(1)", "with a()"]),
        ("# first", []),
        ("# header", ["with b(1)", "with a()"]),
        ("# loop", ["with d"]),
        ("# last", ["finally"]),
    ],
)
def test_the_cleanups_around_a_line(mark, texts):
    """Innermost first; of a `with` that is being entered those that are entered already; in a handler not itself."""
    assert [one.text for one in around_line(codes(TRIES)["f"], line_of(TRIES, mark))] == texts


@pytest.mark.parametrize(
    ("mark", "texts"), [("# first", ["with a()"]), ("# header", ["with c(2)"]), ("# body", []), ("# outside", [])]
)
def test_the_manager_that_is_being_made(mark, texts):
    """It has no exit to call yet; those after it are not told at all."""
    found = around_line(codes(TRIES)["f"], line_of(TRIES, mark), is_entered=False)
    assert [one.text for one in found] == texts
    assert all(one.exit is None for one in found)


def test_where_a_cleanup_stands():
    """A handler has the lines that run when it does; the others have their own line only."""
    found = around_line(codes(TRIES)["f"], line_of(TRIES, "# deep"))
    assert all(one.exit is not None for one in found[:2])
    assert [replace(one, exit=None) for one in found] == [
        Cleanup(text="with lock", line=4),
        Cleanup(text="with open(path)", line=4),
        Cleanup(text="except (OSError, ValueError)", line=7, first=8, last=9, is_handler=True),
        Cleanup(text="except", line=10, first=11, last=11, is_handler=True),
        Cleanup(text="finally", line=15, first=15, last=15),
    ]
    assert (found[0].first, found[0].last, found[0].is_handler) == (0, 0, False)


def test_a_cleanup_of_several_lines():
    """A handler ends where its last statement does; a `finally` is told by its first one."""
    text = "def f():\n  try:\n    x  # here\n  except E:\n    a(\n      1\n    )\n  finally:\n    b\n    c(\n      1)\n"
    handler, final = around_line(codes(text)["f"], line_of(text))
    assert (handler.first, handler.last, final.line, final.first, final.last) == (5, 7, 9, 9, 11)


def test_those_of_async_code_and_of_long_ones():
    """An `async with` is told as one; what is too long is cut, with dots, to 60 characters."""
    sixty = f"async with {'a' * 49}"
    text = f"async def f():\n    {sixty}:\n        x  # here\n    {sixty}b:\n        y  # there\n"
    code = codes(text)["f"]
    assert [one.text for one in around_line(code, line_of(text))] == [sixty]
    assert [one.text for one in around_line(code, line_of(text, "# there"))] == [sixty[:57] + "..."]


def test_code_without_source_has_no_cleanups():
    """Nor has a lambda."""
    assert around(compile("x", "nowhere.py", "exec"), 1, 0) == []
    assert around(codes("f = lambda: 1\n")["<lambda>"], 1, 0) == []


def test_blocks_of_statements():
    """All of them, those of handlers and cases too; a plain statement has none."""
    text = "try: a\nexcept A: b\nexcept B: c\nelse: d\nfinally: e\nmatch x:\n  case 1: f\n  case _: g\nh\n"
    tried, matched, plain = ast.parse(text).body
    assert [ast.unparse(block) for block in (one[0] for one in blocks_of(tried))] == ["a", "d", "e", "b", "c"]
    assert [ast.unparse(block[0]) for block in blocks_of(matched)] == ["f", "g"]
    assert list(blocks_of(plain)) == []
    assert [is_try(one) for one in (tried, matched, plain)] == [True, False, False]


# -- lines that are points

BODIES = """\
def f(a):
    with a: work()
    with a:
        work()  # one
    with a:
        try:
            pass
            work()  # two
        finally:
            a.close()
    with a, b(
        1
    ):
        yield 1  # three
    with a:
        x = 1
    with a:
        pass
    with a:
        y = len(a)
        z = a.append(1)
    with a:
        pass
        raise E  # four
    with a:
        w = 1  # five
        if w:
            work()
"""


def test_bodies_of_with_blocks():
    """The first line that a block hears of, where anything in it may fail; not on the line of the header."""
    lines = lines_of(codes(BODIES)["f"])
    assert lines.body == {line_of(BODIES, f"# {mark}"): "with" for mark in ("one", "two", "three", "four", "five")}
    assert lines.withs == {2, 3, 5, 11, 15, 17, 19, 22, 25}


def test_a_body_on_the_line_of_its_header_is_none_anywhere_in_a_file():
    """It has no line event of its own."""
    text = "\n" * 300 + "def f(a):\n    with a: work()\n"
    assert lines_of(codes(text)["f"]).body == {}


def test_bodies_in_async_code_have_no_interrupts():
    """An interrupt comes out of the event loop, elsewhere."""
    text = "async def f(a):\n    async with a:\n        await b()\n    with a:\n        c()\n"
    lines = lines_of(codes(text)["f"])
    assert lines.body == {3: "with", 5: "with"}
    assert (lines.interrupt, lines.strict, lines.withs) == ({}, {}, set())


INTERRUPTS = """\
def f(a):
    x = 1
    work()
    a.b.load(more())
    a.close()
    a.append(work())
    len(a)
    (lambda: 1)()
    calls[0]()
    try:
        inside()
    except OSError:
        first()
        second()
    except ValueError:
        first()
        second()
        raise
    else:
        other()
    finally:
        final()
    if ask():
        branch()
    for one in many():
        turn()
    match what():
        case 1:
            cased()
    def inner():
        hidden()
"""


def test_lines_where_an_interrupt_can_be_borne():
    """Those that call something that neither only moves things about nor gives something back."""
    lines = lines_of(codes(INTERRUPTS)["f"])
    assert lines.interrupt == {
        3: "work", 4: "load", 8: "call", 9: "call", 11: "inside", 14: "second", 20: "other", 23: "ask", 24: "branch",
        25: "many", 26: "turn", 27: "what", 29: "cased",
    }  # fmt: skip
    assert lines.strict == {
        5: STRICT + "close", 6: STRICT + "append", 10: STRICT + "try", 13: STRICT + "first", 16: STRICT + "first",
        17: STRICT + "second", 22: STRICT + "final",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("statement", "name"),
    [
        ("x = 1 + work()", "work"),
        ("len(work())", "work"),
        ("return [a, b.load()]", "load"),
        ("def inner(): hidden()", None),
        ("class Inner: pass", None),
        ("x = len(a)", None),
    ],
)
def test_what_is_called_in_a_statement(statement, name):
    """However deep; what is only defined there is not called, and hides nothing that follows."""
    lines = lines_of(codes(f"def f(a):\n    {statement}\n    after()\n")["f"])
    assert lines.interrupt == ({2: name, 3: "after"} if name else {3: "after"})


def test_what_may_fail_in_a_body():
    """A decorator is called where a function is defined; a `try` that does nothing fails in what follows."""
    decorated = "def f(a):\n    with a:\n        x = 1\n        @wrap()\n        def g(): pass\n"
    assert lines_of(codes(decorated)["f"]).body == {3: "with"}
    idle = "def f(a):\n with a:\n  try:\n   pass\n   pass\n  finally:\n   work()\n"
    assert lines_of(codes(idle)["f"]).body == {4: "with"}


@pytest.mark.parametrize(
    ("name", "body", "interrupt"),
    [
        ("work", True, True),
        ("close", False, False),  # the release itself
        ("_close_listener", False, False),  # a step of one
        ("close_account", True, True),  # may be anything
        ("__enter__", True, False),  # nobody has the object yet
        ("_work", True, True),
        ("__call__", True, True),
    ],
)
def test_lines_of_releases_are_no_points(name, body, interrupt):
    """An error there means that the release did not happen, which proves nothing."""
    lines = lines_of(codes(f"def {name}(a):\n    with a:\n        work()\n")[name])
    assert (lines.body, lines.interrupt) == ({3: "with"} if body else {}, {3: "work"} if interrupt else {})
    assert lines.strict == ({} if interrupt else {3: STRICT + "work"})


def test_the_end_of_the_first_instructions_of_a_line():
    """Told by the code object: CPython comes back to a `with` line when the block is left."""
    code = codes("def f(a):\n    with a:\n        b()\n    return 1\n")["f"]
    first = {}
    for _, end, line in code.co_lines():
        first.setdefault(line, end)
    first.pop(None, None)
    assert lines_of(code).ends == first


def test_code_without_source_has_no_points():
    """Nor has a lambda."""
    assert lines_of(compile("x", "nowhere.py", "exec")).ends == {}
    assert lines_of(codes("f = lambda: work()\n")["<lambda>"]).ends == {}
