"""The lines `then held` and `cleanup` tell what was seen in the trial: of each verdict, and for each way to inject."""

from __future__ import annotations

import html

import pytest

MODULE = """
import asyncio
import contextlib
import os
import time

broken = []


class Manager:
    def __init__(self, fails=False):
        self.fails = fails

    def __enter__(self):
        if self.fails:
            check()

    def __exit__(self, *error):
        pass

    async def __aenter__(self):
        await asyncio.sleep(0)

    async def __aexit__(self, *error):
        pass


def check():
    pass


def opened():
    return os.open(os.devnull, os.O_RDONLY)  # opened


def in_body():
    fd = opened()
    with Manager() as first, open(os.devnull) as second:  # in_body
        check()
    os.close(fd)


def entering():
    fd = opened()
    with Manager(), Manager(fails=True), Manager():  # entering
        pass
    os.close(fd)


def made():
    fd = opened()
    with Manager(), \\
            open(os.devnull):  # made
        pass
    os.close(fd)


def one_line():
    fd = opened()
    with contextlib.suppress(TypeError), Manager(): os.stat(os.devnull)  # one_line
    os.close(fd)


def caught():
    fd = opened()
    try:
        check()
    except ValueError:  # caught
        os.close(fd)
        raise
    finally:
        fd, left = None, fd
    os.close(left)


def swallowed():
    fd = opened()
    try:
        check()  # swallowed
    except Exception:
        pass
    finally:
        os.close(fd)


def hanging():
    fd = opened()
    try:
        try:
            check()
        except Exception:
            time.sleep(100)  # hanging
    finally:
        os.close(fd)


def polluting():
    with Manager():
        if broken:
            raise RuntimeError("broken for good")
        broken.append(1)
        check()  # polluting
        broken.clear()


async def work():
    fd = opened()
    async with Manager(), Manager():  # awaited
        await asyncio.sleep(0)
    os.close(fd)


def awaited():
    asyncio.run(work())
"""
TESTS = """
import pytest
from app import shapes


@pytest.mark.parametrize("name", ["entering", "caught", "swallowed"])
@pytest.mark.no_leaks(faults="call")
def test_call(name):
    getattr(shapes, name)()


@pytest.mark.no_leaks(faults="body")
def test_body():
    shapes.in_body()


@pytest.mark.parametrize("name", ["in_body", "caught"])
@pytest.mark.no_leaks(faults="interrupt")
def test_interrupt(name):
    getattr(shapes, name)()


@pytest.mark.parametrize("name", ["made"])
@pytest.mark.no_leaks(faults="acquire")
def test_acquire(name):
    getattr(shapes, name)()


@pytest.mark.parametrize("name", ["one_line"])
@pytest.mark.no_leaks(faults="call,acquire")
def test_one_line(name):
    getattr(shapes, name)()


@pytest.mark.no_leaks(faults="cancel")
def test_cancel():
    shapes.awaited()


@pytest.mark.no_leaks(faults="call")
def test_hanging():
    shapes.hanging()


@pytest.mark.no_leaks(faults="call")
def test_polluting():
    shapes.polluting()
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Where all shapes are swept."""
    return tmp_path_factory.mktemp("seen")


@pytest.fixture(scope="module")
def swept(run_tree, folder):
    """All shapes in one process, on paper too."""
    files = {"app/__init__.py": "", "app/shapes.py": MODULE, "test_shapes.py": TESTS, "conftest.py": ""}
    return run_tree(folder, files, "--leakguard-report=html:page.html")


def line(name: str) -> int:
    """The line of the module that says `# name`."""
    return next(number for number, text in enumerate(MODULE.splitlines(), 1) if text.endswith(f"# {name}"))


def finding_of(swept, test: str, kind: str = "fd"):
    """The one finding of that test and kind."""
    (found,) = [
        one for one in swept.report["findings"] if (one["test"].partition("::")[2], one["kind"]) == (test, kind)
    ]
    return found


NOT_ENTERED = "not entered yet, so with no exit to call"
MANAGER = "with Manager()"


@pytest.mark.parametrize(
    ("test", "name", "seen"),
    [
        ("test_call[entering]", "entering", {NOT_ENTERED: [(MANAGER, 0)]}),
        ("test_acquire[made]", "made", {"ran": [(MANAGER, -1)], NOT_ENTERED: [("with open(os.devnull)", 0)]}),
        (
            "test_one_line[one_line]", "one_line",
            {"ran": [("with contextlib.suppress(TypeError)", 0)], NOT_ENTERED: [(MANAGER, 0)]},
        ),
        ("test_body", "in_body", {"ran": [("with open(os.devnull)", 0), (MANAGER, 0)]}),
        ("test_interrupt[in_body]", "in_body", {NOT_ENTERED: [(MANAGER, 0)]}),
        ("test_call[caught]", "caught", {"ran": [("finally", 4)], "did not run": [("except ValueError", 0)]}),
        ("test_interrupt[caught]", "caught", {"ran": [("finally", 4)], "did not run": [("except ValueError", 0)]}),
        ("test_cancel", "awaited", {NOT_ENTERED: [("async with Manager()", 0)]}),
    ],
)  # fmt: skip
def test_what_ran_of_a_leak_is_what_was_seen(swept, test, name, seen):
    """A `with` whose manager was not entered has no exit; the others before it in the same statement have."""
    first = line(name)
    assert finding_of(swept, test)["cleanups"] == [
        f"{fate}: {', '.join(f'{text} (app/shapes.py:{first + more})' for text, more in ones)}"
        for fate, ones in seen.items()
    ]


def test_a_swallowed_fault_has_them_too(swept):
    """It is told, and what was held and what ran with it."""
    finding = finding_of(swept, "test_call[swallowed]", "swallowed")
    (held,) = finding["held_then"]
    assert held.endswith(f"from app/shapes.py:{line('opened')} in opened")
    first = line("swallowed")
    assert finding["cleanups"] == [
        f"ran: except Exception (app/shapes.py:{first + 1}), finally (app/shapes.py:{first + 4})"
    ]


def test_of_a_hang_only_what_ran_before_it_was_ended_by_us(swept):
    """The handler in which it hangs was begun; the `finally` around it ran too late, when the time was up."""
    finding = finding_of(swept, "test_hanging", "hang")
    assert len(finding["held_then"]) == 1
    first = line("hanging")
    assert finding["cleanups"] == [
        f"ran: except Exception (app/shapes.py:{first - 1})",
        f"did not run: finally (app/shapes.py:{first + 2})",
    ]


def test_of_a_polluted_process_it_is_said_why_nobody_knows(swept):
    """With the error and the place of the trial that did it."""
    finding = finding_of(swept, "test_polluting", "polluted")
    assert finding["held_then"] == []
    assert finding["cleanups"] == [
        "what was held and which cleanups ran can't be known: the trial can't be repeated in the process it spoiled"
    ]
    assert finding["fault"].endswith(f"(injected) at app/shapes.py:{line('polluting')} in polluting")


def test_the_terminal_and_the_page_show_them(swept, folder):
    """Of what fails and of what is only told."""
    page = (folder / "page.html").read_text(encoding="utf-8")
    told = f"ran: except Exception (app/shapes.py:{line('swallowed') + 1})"
    hang = f"did not run: finally (app/shapes.py:{line('hanging') + 2})"
    for text in (told, hang):
        assert f"  cleanup   {text}" in swept.text
        assert text in html.unescape(page)
    below = swept.text[swept.text.index("faults: told, no failure") :].splitlines()[1:4]
    assert [words.split()[0] for words in below] == ["swallowed", "then", "cleanup"]


BY_HAND = """
import pytest
from app import shapes
from pytest_leakguard import LeakError


def lines_of(caught):
    (finding,) = caught.value.findings
    (held, *_) = finding.held_then
    assert "in opened" in held
    return [line.partition(" (")[0] for line in finding.cleanups]


def test_sweep(leak_faults):
    with pytest.raises(LeakError) as caught:
        leak_faults.sweep(shapes.hanging, families="call")
    assert lines_of(caught) == ["ran: except Exception", "did not run: finally"]


def test_cancel_each(leak_faults):
    with pytest.raises(LeakError) as caught:
        leak_faults.cancel_each(shapes.in_work)
    assert lines_of(caught) == ["ran: async with contextlib.AsyncExitStack()"]


def test_a_hang_in_cancel_each(leak_faults):
    with pytest.raises(LeakError) as caught:
        leak_faults.cancel_each(shapes.stuck)
    assert lines_of(caught) == ["ran: except asyncio.CancelledError", "did not run: finally"]


def test_releases(leak_check):
    with pytest.raises(LeakError) as caught:
        leak_check.releases(shapes.Leaky, faults="acquire")
    assert lines_of(caught) == ["ran: with contextlib.suppress(TypeError)"]
"""
MORE = """

async def in_work():
    fd = opened()
    async with contextlib.AsyncExitStack():
        await asyncio.sleep(0)
    os.close(fd)


async def stuck():
    fd = opened()
    try:
        try:
            await asyncio.sleep(0)
        except asyncio.CancelledError:
            await asyncio.sleep(100)
    finally:
        os.close(fd)


class Leaky:
    def __enter__(self):
        self.fd = opened()
        with contextlib.suppress(TypeError):
            open(os.devnull).close()

    def __exit__(self, *error):
        os.close(self.fd)
"""


def test_by_hand_too(pytester, alone):
    """`leak_faults.sweep`, `leak_faults.cancel_each` and `leak_check.releases`, without the check of all tests."""
    pytester.mkpydir("app").joinpath("shapes.py").write_text(MODULE + MORE)
    pytester.makepyfile(BY_HAND)
    alone(flag=()).result.assert_outcomes(passed=4)
