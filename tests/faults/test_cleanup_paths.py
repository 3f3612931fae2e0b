"""The cleanup paths of a source: kind, line and what of each, by function."""

from __future__ import annotations

import itertools
import linecache

from pytest_leakguard.faults.cleanup_paths import KINDS, sites_of

_numbers = itertools.count()

SOURCE = """\
def withs(a):
    with a: pass
    with a:
        pass  # 4
    with (
        a,
        b(
            1)
    ):
        pass  # 10
    async def inner():
        async with a:
            pass

def tries(a):
    try:
        a()
    except (OSError,
            ValueError):
        a()  # 20
    except KeyError: pass
    except:
        pass
    else:
        pass
    finally:
        a()
        pass

class Manager:
    def __enter__(self):
        pass
    def __exit__(self, *error):
        pass
    async def __aexit__(self, *error):
        pass

def plain(a):
    return lambda: a

def generator(a):
    with a:
        print((yield a))

def final(a):
    try:
        yield a
    finally:
        pass

def caught(a):
    try:
        yield a
    except OSError:
        pass

def beside(a):
    with a:
        pass
    yield a

def within(a):
    with a:
        def inner():
            yield a

def stacks(a, other):
    with ExitStack() as stack, a as foreign, ExitStack():
        stack.callback(a)
        stack.push(a)
        stack.close()
        foreign.push(a)
        other.callback(a)
    made = contextlib.AsyncExitStack()
    made.callback(a)
    self.made = ExitStack()
    self.made.callback(a)
    calls[0]()
    named = other()
    named.push(a)
    other.enter_context(a)
    other.push_async_exit(a)
    callback(a)
"""


def found() -> dict[str, list[tuple[str, int, str]]]:
    name = f"paths_made_up_{next(_numbers)}.py"
    linecache.cache[name] = (len(SOURCE), None, SOURCE.splitlines(keepends=True), name)
    sites = sites_of(name, "app/code.py")
    assert {site.path.path for several in sites.values() for site in several} == {"app/code.py"}
    return {
        several[0].path.qualname: [(one.path.kind, one.path.line, one.path.what) for one in several]
        for several in sites.values()
    }


def line_of(text: str, start: str = "") -> int:
    """The line, from 1, that holds a text, after the one that holds `start`."""
    lines = SOURCE.splitlines()
    first = next(number for number, line in enumerate(lines) if start in line)
    return 1 + next(number for number, line in enumerate(lines) if number >= first and text in line)


def test_with_blocks():
    """Those with a body below their header; those of inner functions are theirs."""
    assert found()["withs"] == [("with", 3, ""), ("with", 5, "")]
    assert found()["withs.<locals>.inner"] == [("with", 12, "")]


def test_handlers_and_finally():
    """At their first lines, not where that is the line of the header; with the errors that are caught."""
    assert found()["tries"] == [("except", 20, "(OSError, ValueError)"), ("except", 23, ""), ("finally", 27, "")]


def test_methods_of_managers():
    """Both ends of both kinds; the other methods are none, nor are functions without a path."""
    paths = found()
    start = line_of("class Manager")
    assert paths["Manager.__exit__"] == [("exit method", start + 3, "")]
    assert paths["Manager.__aexit__"] == [("exit method", start + 5, "")]
    assert not {"Manager.__enter__", "plain"} & set(paths)


def test_generators_that_have_something_to_clean_up():
    """A `with` or a `finally` around a `yield`; not a handler, not a block beside it, not one of another function."""
    paths = found()
    kinds = {name: [kind for kind, _, _ in several] for name, several in paths.items()}
    assert kinds["generator"] == ["generator", "with"]
    assert paths["generator"][0][1] == line_of("def generator")
    assert kinds["final"] == ["generator", "finally"]
    assert (kinds["caught"], kinds["beside"], kinds["within"]) == (["except"], ["with"], ["with"])


def test_calls_of_exit_stacks():
    """Of a name that is bound to one; what only such stacks have, of any name."""
    start = line_of("def stacks")
    calls = [(line - start, what) for kind, line, what in found()["stacks"] if kind == "exit stack"]
    assert calls == [
        (2, "callback"), (3, "push"), (8, "callback"), (14, "enter_context"), (15, "push_async_exit"),
    ]  # fmt: skip


def test_what_tells_of_a_path():
    """The lines whose events do."""
    name = "paths_made_up.py"
    linecache.cache[name] = (len(SOURCE), None, SOURCE.splitlines(keepends=True), name)
    sites = sites_of(name, "x.py")
    one, several = sites["withs", 1]
    assert (one.lines, several.lines) == ({3}, {5, 6})
    first, bare, final = sites["tries", 15]
    assert [site.lines for site in (first, bare, final)] == [{20}, {23}, {27}]
    (method,) = sites["__exit__", line_of("def __exit__")]
    assert method.lines == set()
    assert not any(len(site.loop) for site in (one, several, first, bare, final, method))


def test_a_block_that_begins_with_a_loop():
    """It is entered at any line of the loop's header; its turns are on the lines of the loop."""
    text = "def f(a):\n try:\n  a\n except E:\n  while (\n   a\n  ):\n   a\n   b\n  c\n finally:\n  for b in a: b\n"
    linecache.cache["loops.py"] = (len(text), None, text.splitlines(keepends=True), "loops.py")
    (sites,) = sites_of("loops.py", "x.py").values()
    assert [(site.lines, site.loop) for site in sites] == [({5, 6, 7}, range(5, 10)), ({12}, range(12, 13))]


def test_a_path_is_found_anywhere_in_a_file():
    """At the first statement of its block; a block on the line of its header has no line event of its own."""
    text = "\n" * 300 + (
        "def f(a):\n with a: pass\n try: pass\n except E: pass\n try: pass\n except E:\n  a\n  b\n finally:\n  c\n  d\n"
    )
    linecache.cache["far_down.py"] = (len(text), None, text.splitlines(keepends=True), "far_down.py")
    (sites,) = sites_of("far_down.py", "x.py").values()
    assert [(site.path.kind, site.path.line) for site in sites] == [("except", 307), ("finally", 310)]


def test_the_kinds():
    """As reports order them."""
    assert KINDS == ("with", "finally", "except", "exit method", "generator", "exit stack", "fixture")
