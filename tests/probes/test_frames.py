"""Stacks without frames, whose code a file is, and the user's line in a stack."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import sys
import sysconfig
import tempfile
import weakref

import pluggy
import pytest

from pytest_leakguard.origins import frames

HERE = __file__
STDLIB = sysconfig.get_path("stdlib")
SITE = os.path.join(sysconfig.get_path("purelib"), "")


def code(filename: str, name: str = "f", line: int = 1):
    """The code object of a function `name` that seems to stand in that file, after `line` - 1 empty lines."""
    namespace: dict[str, object] = {}
    exec(compile("\n" * (line - 1) + f"def {name}(): pass", filename, "exec"), namespace)
    return namespace[name].__code__  # type: ignore[attr-defined]


def stack(*filenames: str) -> frames.Stack:
    """A made-up stack, innermost first; the function of the nth file is called f<n>."""
    return tuple((code(filename, f"f{n}", n + 10), 0) for n, filename in enumerate(filenames))


PROJECT, TEST = "/proj/app/loader.py", "/proj/tests/test_a.py"
DEPENDENCY = f"{SITE}redis/connection.py"
LIBRARY = os.path.join(STDLIB, "tempfile.py")


# -- walk


def test_walk_keeps_code_and_instruction_of_each_frame():
    """Innermost first, and each pair gives the line that was running."""

    def inner() -> tuple[frames.Stack, int]:
        return frames.walk(sys._getframe()), sys._getframe().f_lineno

    def outer() -> tuple[frames.Stack, int]:
        return inner()

    found, line = outer()
    assert [pair[0].co_name for pair in found[:3]] == [
        "inner", "outer", "test_walk_keeps_code_and_instruction_of_each_frame",
    ]  # fmt: skip
    assert frames.line_of(*found[0]) == line
    assert frames.line_of(*found[1]) == outer.__code__.co_firstlineno + 1


def test_walk_stops_at_pytests_hook_call():
    """What called the test is no part of where it acquired something."""
    found = frames.walk(sys._getframe())
    assert found[-1][0].co_name == "pytest_pyfunc_call"
    assert all(pair[0].co_filename != pluggy._manager.__file__ for pair in found)


def test_what_stands_outside_is_told_by_its_caller_and_no_further(request):
    """A stack ends with the function of pytest that called the user's, not with all that is below it."""
    found = frames.walk(sys._getframe())
    assert [code.co_name for code, _ in found] == [request.node.name, "pytest_pyfunc_call"]


def test_walk_of_no_frame_is_empty():
    """No frame, no stack."""
    assert frames.walk(None) == ()


def test_a_deep_recursion_is_cut():
    """The cost of one acquisition has a bound."""

    def deep(n: int) -> frames.Stack:
        return deep(n - 1) if n else frames.walk(sys._getframe())

    assert len(deep(200)) == frames.DEPTH


def test_walk_keeps_no_local_alive():
    """A stack holds no frame, so what the frames hold may die."""

    class Local:
        pass

    def function() -> tuple[frames.Stack, weakref.ref]:
        local = Local()
        return frames.walk(sys._getframe()), weakref.ref(local)

    kept, alive = function()
    assert kept
    assert alive() is None


# -- regions


@pytest.mark.parametrize(
    ("filename", "region"),
    [
        (HERE, "project"),
        (PROJECT, "project"),
        (TEST, "project"),
        ("/proj/site-packages-mine/a.py", "project"),
        ("/proj/_pytest/a.py", "project"),
        ("", "project"),
        ("<string>", "stdlib"),
        ("<frozen importlib._bootstrap>", "stdlib"),
        ("<frozen os>", "stdlib"),
        (LIBRARY, "stdlib"),
        (os.path.join(STDLIB, "asyncio", "base_events.py"), "stdlib"),
        (json.__file__, "stdlib"),
        (DEPENDENCY, "dependency"),
        ("/proj/.venv/lib/python3.11/site-packages/redis/connection.py", "dependency"),
        ("/usr/lib/python3/dist-packages/yaml/__init__.py", "dependency"),
        (os.path.join(STDLIB, "site-packages", "single_module.py"), "dependency"),
        ("/v/site-packages/a/site-packages/pytest/x.py", "runner"),
        (pytest.__file__, "runner"),
        (pluggy.__file__, "runner"),
        (pytest.Item.__init__.__code__.co_filename, "runner"),
        ("/v/site-packages/pytest_asyncio/plugin.py", "dependency"),
        (frames.__file__, "self"),
    ],
)
def test_whose_code_a_file_is(filename, region):
    """Told from the name alone: installed packages, the standard library, the runner, us, and the project."""
    assert frames.region(filename) == region


# -- short paths


@pytest.mark.parametrize(
    ("filename", "root", "short"),
    [
        ("/proj/app/a.py", "/proj", "app/a.py"),
        ("/proj/app/a.py", "/proj/", "app/a.py"),
        ("/project/a.py", "/proj", "/project/a.py"),
        ("/proj/.venv/lib/python3.11/site-packages/redis/a.py", "/proj", "redis/a.py"),
        ("/elsewhere/a.py", "/proj", "/elsewhere/a.py"),
        (LIBRARY, "/proj", f"python{sys.version_info[0]}.{sys.version_info[1]}/tempfile.py"),
        ("<string>", "/proj", "<string>"),
    ],
)
def test_paths_in_a_report_are_short(filename, root, short):
    """Below the root relative to it, packages from their folder on, the standard library under Python's version."""
    assert frames.shorten(filename, root) == short


# -- imports and hooks


def test_a_stack_through_an_import_is_one(tmp_path, monkeypatch):
    """What a module does while it is imported; a call of a function of that module later is none."""
    (tmp_path / "walks_when_imported.py").write_text(
        "import sys\nfrom pytest_leakguard.origins import frames\n"
        "AT_IMPORT = frames.walk(sys._getframe())\n"
        "def later():\n    return frames.walk(sys._getframe())\n"
    )
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    import walks_when_imported  # type: ignore[import-not-found]

    sys.modules.pop("walks_when_imported")
    assert frames.is_import(walks_when_imported.AT_IMPORT)
    assert not frames.is_import(walks_when_imported.later())


@pytest.mark.parametrize(
    ("filename", "function", "is_hook"),
    [
        ("/proj/conftest.py", "pytest_runtest_setup", True),
        (f"{SITE}pytest_other/plugin.py", "pytest_runtest_teardown", True),
        (f"{SITE}pytest_asyncio/plugin.py", "pytest_pyfunc_call", False),
        (f"{SITE}anyio/pytest_plugin.py", "pytest_fixture_setup", False),
        (pytest.Item.__init__.__code__.co_filename, "pytest_runtest_call", False),
        ("/proj/tests/test_a.py", "test_pytest_is_here", False),
        ("/proj/conftest.py", "my_fixture", False),
    ],
)
def test_a_hook_of_another_plugin_is_told_by_the_outermost_frame(filename, function, is_hook):
    """Plugins and conftest files act for nobody; pytest's own hooks, and those that run tests, lead to the test."""
    found = ((code(PROJECT), 0), (code(filename, function), 0))
    assert frames.is_plugin_hook(found) is is_hook


def test_a_stack_that_was_cut_or_is_empty_is_no_hook():
    """Without the outermost frame nothing is claimed."""
    hook = (code("/proj/conftest.py", "pytest_runtest_setup"), 0)
    assert not frames.is_plugin_hook(())
    assert not frames.is_plugin_hook((hook,) * frames.DEPTH)
    assert frames.is_plugin_hook((hook,) * (frames.DEPTH - 1))


# -- the user's line


def origin(*filenames: str):
    return frames.origin_of(stack(*filenames), root="/proj", how="audit", event="open")


def test_the_first_line_of_the_project_is_the_origin():
    """Standard library frames inside it are folded, and named in order."""
    found = origin(LIBRARY, LIBRARY, PROJECT, TEST)
    assert (found.file, found.line, found.function, found.how, found.event) == (
        "app/loader.py", 12, "f2", "audit", "open",
    )  # fmt: skip
    assert found.within == ("f0", "f1")
    assert found.via == ""


def test_a_line_of_a_dependency_comes_with_the_projects_line_that_led_there():
    """Both are needed to fix it: where the library acquires, and who called the library."""
    found = origin(LIBRARY, DEPENDENCY, DEPENDENCY, LIBRARY, PROJECT, TEST)
    assert (found.file, found.line, found.function) == ("redis/connection.py", 11, "f1")
    assert found.via == "app/loader.py:14 in f4"
    assert found.within == ("f0",)


def test_a_dependency_that_nobody_of_the_project_called_has_no_via():
    """A thread of a library, say."""
    assert origin(DEPENDENCY, LIBRARY).via == ""


def test_frames_of_ours_and_of_the_runner_are_passed_over():
    """Neither is the user's line nor named in the folded ones."""
    found = origin(frames.__file__, pytest.__file__, LIBRARY, PROJECT)
    assert (found.file, found.within) == ("app/loader.py", ("f2",))


def test_without_a_line_of_the_user_the_innermost_is_told():
    """A thread of the standard library: its own line is better than none."""
    found = origin(LIBRARY, os.path.join(STDLIB, "threading.py"))
    version = f"python{sys.version_info[0]}.{sys.version_info[1]}"
    assert (found.file, found.line) == (f"{version}/tempfile.py", 10)


def test_an_empty_stack_says_that_no_python_ran():
    """Nothing to tell, with the reason."""
    found = frames.origin_of((), root="/proj", how="audit", event="open")
    assert (found.file, found.line, found.function, found.how) == (None, None, None, "unknown")
    assert found.reason == "no Python code was running"


def test_functions_have_their_qualified_names():
    """Methods and inner functions are told apart where Python keeps the name (3.11 and later)."""

    class Loader:
        def load(self) -> frames.Stack:
            return frames.walk(sys._getframe())

    found = frames.origin_of(Loader().load(), root="/", how="audit", event="open")
    qualified = "test_functions_have_their_qualified_names.<locals>.Loader.load"
    assert found.function == (qualified if sys.version_info >= (3, 11) else "load")


@pytest.mark.skipif(sys.platform == "win32", reason="the selector loop of Unix")
def test_the_line_of_a_coroutine_is_found_below_the_event_loop():
    """A task's stack ends in the loop; the project's line is the innermost all the same."""
    found = []

    async def acquire() -> None:
        with contextlib.ExitStack():
            found.append(frames.walk(sys._getframe()))

    asyncio.run(acquire())
    told = frames.origin_of(found[0], root=os.path.dirname(HERE), how="audit", event="open")
    assert told.file == os.path.basename(HERE)
    assert told.function is not None
    assert told.function.endswith("acquire")


def test_real_frames_of_the_standard_library_are_folded(tmp_path):
    """tempfile's own functions are within; the line of this test is the origin."""
    seen = []

    class Folder(os.PathLike):
        def __fspath__(self) -> str:
            seen.append(frames.walk(sys._getframe(1)))
            return str(tmp_path)

    with contextlib.closing(tempfile.NamedTemporaryFile(dir=Folder())):
        line = sys._getframe().f_lineno - 1
    told = frames.origin_of(seen[0], root=os.path.dirname(HERE), how="audit", event="open")
    assert (told.file, told.line) == (os.path.basename(HERE), line)
    assert "NamedTemporaryFile" in told.within
