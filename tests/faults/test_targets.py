"""Which code is made to fail: told from the names of files, and from the frames of a call."""

from __future__ import annotations

import json
import json.decoder
import os
import sys
from types import FrameType

import pytest

from pytest_leakguard.faults.targets import BadTarget, Targets, is_test_name, places_of, stack_of, target_frame
from pytest_leakguard.reference import files

OURS = os.path.dirname(os.path.dirname(os.path.abspath(files.__file__)))
REFERENCE = os.path.join(OURS, "reference")


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("/p/test_a.py", True), ("/p/a_test.py", True), ("/p/conftest.py", True), ("test_a.py", True),
        ("/p/tests/a.py", False), ("/p/atest_.py", False), ("/p/test_a.pyc", False), ("/p/my_conftest.py", False),
    ],
)  # fmt: skip
def test_names_of_test_files(name, expected):
    """By pytest's default patterns, over the name alone."""
    assert is_test_name(name) is expected


@pytest.mark.parametrize(
    ("given", "filename", "expected"),
    [
        ((), "/proj/app/x.py", True),
        ((), "/proj/app/test_x.py", False),
        ((), "/projects/x.py", False),
        ((), "/elsewhere/x.py", False),
        ((), "app/x.py", False),
        ((), "<string>", False),
        ((), json.__file__, False),
        ((), pytest.__file__, False),
        ((), os.path.join(REFERENCE, "files.py"), False),
        (("/proj/lib",), "/proj/app/x.py", False),
        (("/proj/lib",), "/proj/lib/deep/x.py", True),
        (("/proj/lib/",), "/proj/lib/x.py", True),
        (("/proj/lib",), "/proj/library/x.py", False),
        (("/proj/lib",), "/proj/lib/test_x.py", True),
        (("/proj/a.py", "/elsewhere"), "/elsewhere/x.py", True),
        (("/proj/a.py",), "/proj/a.py", True),
        (("/proj/a.py",), "/proj/a.pyx", False),
        ((os.path.dirname(json.__file__),), json.__file__, True),
        ((os.path.dirname(pytest.__file__),), pytest.__file__, False),
        ((OURS,), os.path.join(REFERENCE, "files.py"), False),
        ((REFERENCE,), os.path.join(REFERENCE, "files.py"), True),
        ((os.path.join(REFERENCE, "files.py"),), os.path.join(REFERENCE, "files.py"), True),
    ],
)
def test_which_files_are_targets(given, filename, expected):
    """What is named, or all of the project but its tests; never the test runner, of ours only what is bundled."""
    targets = Targets(root="/proj", given=given)
    assert targets.is_target(filename) is expected
    assert targets.is_target(filename) is expected  # remembered


def test_a_file_may_be_a_target_besides():
    """Whatever else it is; and who knows better which files are tests is asked."""
    assert Targets(root="/proj", also=frozenset({"<cell>"})).is_target("<cell>")
    own = Targets(root="/proj", is_test_file=lambda name: name.endswith("/spec.py"))
    assert (own.is_target("/proj/spec.py"), own.is_target("/proj/test_x.py")) == (False, True)


def test_places_that_are_named(tmp_path):
    """Paths from a folder, else packages and modules by name, in the order in which they were named."""
    (tmp_path / "json").mkdir()
    (tmp_path / "x.py").write_text("")
    assert places_of(["x.py", "json", str(tmp_path)], folder=str(tmp_path)) == (
        str(tmp_path / "x.py"), str(tmp_path / "json"), str(tmp_path),
    )  # fmt: skip
    assert places_of(["json", "json.decoder"], folder="/nowhere") == (
        os.path.dirname(json.__file__), json.decoder.__file__,
    )  # fmt: skip
    assert places_of([], folder="/nowhere") == ()


@pytest.mark.parametrize(
    "word", ["no_such_thing", "no_such.thing", "sys", "json.nothing", "./json", ".json", "json.decoder.x"]
)
def test_what_is_no_place_is_refused(word):
    """With what was given; a module that has no file is none."""
    with pytest.raises(BadTarget, match="no such file, folder or package: ") as caught:
        places_of([word], folder="/nowhere")
    assert repr(word) in str(caught.value)


def call_through(*steps: tuple[str, str]) -> FrameType:
    """The innermost frame of functions that call each other: file and name of each, outermost first."""

    def inner() -> FrameType:
        return sys._getframe(1)

    for filename, name in reversed(steps):
        names = {"inner": inner}
        exec(compile(f"\n\ndef {name}():\n    return inner()\n", filename, "exec"), names)
        inner = names[name]
    return inner()


APP, STDLIB, IMPORT = "/proj/app/x.py", json.__file__, "<frozen importlib._bootstrap>"


@pytest.mark.parametrize(
    ("steps", "found"),
    [
        ([(APP, "load")], "load"),
        ([(APP, "outer"), (APP, "load")], "load"),
        ([(APP, "load"), (STDLIB, "loads"), (STDLIB, "decode")], "load"),
        ([("/elsewhere/x.py", "load")], None),
        ([(APP, "load"), ("/elsewhere/x.py", "call")], None),  # a dependency's own
        ([(APP, "load"), (pytest.__file__, "call")], None),
        ([(APP, "close")], None),  # a release
        ([(APP, "load"), (STDLIB, "close")], None),
        ([(APP, "close"), (APP, "load")], "load"),
        ([(IMPORT, "_load"), (APP, "load")], None),  # while a module is imported
        ([(APP, "load"), (IMPORT, "_load")], None),
        ([(IMPORT, "_load"), (STDLIB, "x"), (APP, "load"), (STDLIB, "loads")], None),
    ],
)
def test_the_frame_whose_call_fails(steps, found):
    """The first one outwards that is no standard library's, if it is a target and no release."""
    targets = Targets(root="/proj", given=("/proj/app",))
    frame = target_frame(call_through(*steps), targets)
    assert (frame and frame.f_code.co_name) == found
    assert target_frame(None, targets) is None


def test_the_stack_of_a_call():
    """Innermost first, from the root; the runner and this plugin are left out, unless they are targets."""
    steps = [(APP, "outer"), (pytest.__file__, "run"), (os.path.join(REFERENCE, "files.py"), "opened"), (APP, "load")]
    frame = call_through(*steps)
    shown = stack_of(frame, Targets(root="/proj"))
    assert shown[:2] == ("app/x.py:4 in load", "app/x.py:4 in outer")
    own = stack_of(frame, Targets(root="/proj", given=(REFERENCE,)))
    assert [line.rpartition(" in ")[2] for line in own[:3]] == ["load", "opened", "outer"]
    deep = call_through(*[(APP, "load")] * 50)
    assert len(stack_of(deep, Targets(root="/proj"))) == 40
    assert stack_of(deep, Targets(root="/proj"), limit=2) == ("app/x.py:4 in load",) * 2
